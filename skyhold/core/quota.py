# SPDX-License-Identifier: Apache-2.0
"""Quota: what a project has used of a countable thing, kept by conditional updates.

Each service makes one `Quota` with its resources and their default limits. Taking is one UPDATE
that succeeds only within the limit, in the transaction of the create; so two creates can never
pass one remaining place, and a roll-back gives it back.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Ceilings
from skyhold.core.db.among import among
from skyhold.core.db.tx import LookAgain
from skyhold.core.store import Store
from skyhold.core.tables import QUOTA_LIMITS, QUOTA_USAGES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

UNLIMITED = -1
LONGEST_ID = 64
SAME_ROW = (QUOTA_USAGES.c.project_id == sa.bindparam("project")) & (
    QUOTA_USAGES.c.resource == sa.bindparam("what")
)
LIMIT = (
    sa.select(QUOTA_LIMITS.c.maximum)
    .where(
        QUOTA_LIMITS.c.project_id == sa.bindparam("limited"),
        QUOTA_LIMITS.c.resource == sa.bindparam("what"),
    )
    .scalar_subquery()
)
EVERYBODYS = (
    sa.select(QUOTA_LIMITS.c.maximum.label("everybodys"))
    .where(QUOTA_LIMITS.c.project_id == "", QUOTA_LIMITS.c.resource == sa.bindparam("what"))
    .scalar_subquery()
)
# The limits of project "" are what an operator set for all that have none of their own.
MAXIMUM = sa.func.coalesce(LIMIT, EVERYBODYS, sa.bindparam("default", type_=sa.BigInteger()))
TAKE = (
    QUOTA_USAGES.update()
    .where(SAME_ROW, sa.or_(MAXIMUM < 0, QUOTA_USAGES.c.used + sa.bindparam("n") <= MAXIMUM))
    .values(used=QUOTA_USAGES.c.used + sa.bindparam("n"))
)
USED = sa.select(QUOTA_USAGES.c.used).where(SAME_ROW)
USED_TOGETHER = sa.select(sa.func.sum(QUOTA_USAGES.c.used)).where(
    among(QUOTA_USAGES.c.project_id, "projects"), QUOTA_USAGES.c.resource == sa.bindparam("what")
)
USAGES = sa.select(QUOTA_USAGES.c.resource, QUOTA_USAGES.c.used).where(
    QUOTA_USAGES.c.project_id == sa.bindparam("project"), among(QUOTA_USAGES.c.resource, "names")
)
ALL_LIMITS = (
    sa.select(QUOTA_LIMITS.c.project_id, QUOTA_LIMITS.c.resource, QUOTA_LIMITS.c.maximum)
    .where(among(QUOTA_LIMITS.c.resource, "names"))
    .order_by(QUOTA_LIMITS.c.project_id)
)
LIMITS = ALL_LIMITS.where(QUOTA_LIMITS.c.project_id.in_(["", sa.bindparam("project")]))
SET_LIMIT = (
    QUOTA_LIMITS.update()
    .where(QUOTA_LIMITS.c.project_id == sa.bindparam("project"), QUOTA_LIMITS.c.resource == sa.bindparam("what"))
    .values(maximum=sa.bindparam("n"))
)


class Quota:
    """`Quota("compute", instances=10)`; resources are stored as `compute:instances`.

    With `unified`, a service's type in the catalogue, the unified limits say what a project may have, and
    the defaults count for what nobody registered there.
    """

    def __init__(self, service: str, *, unified: str = "", **defaults: int) -> None:
        self.service = service
        self.unified = unified
        self.defaults = dict(defaults)
        self._limits = Store(QUOTA_LIMITS, service=service, kind="quota", label="Quota", key="project_id")

    def take(self, tx: Tx, project_id: str, **amounts: int) -> None:
        """Raises OverQuota naming used, limit and asked of the first resource that is short."""
        self.take_under(tx, project_id, project_id, **amounts)

    def take_under(self, tx: Tx, limited_by: str, holder_id: str, **amounts: int) -> None:
        """As `take`, for what is counted for somebody in a project: `limited_by` is the one whose limits hold."""
        more = {resource: amount for resource, amount in amounts.items() if amount > 0}
        if len(more) < 2 or tx.careful or not self._take_together(tx, holder_id, limited_by, more):
            for resource, amount in more.items():
                self._take(tx, holder_id, limited_by, resource, amount)
        self.give(tx, holder_id, **{resource: -amount for resource, amount in amounts.items() if amount < 0})

    def give(self, tx: Tx, project_id: str, **amounts: int) -> None:
        less = {resource: amount for resource, amount in amounts.items() if amount}
        if less:
            tx.execute(giving(len(less)), self._each(less) | {"project": project_id})

    def count(self, tx: Tx, project_id: str, **amounts: int) -> None:
        """Takes what a project has whatever its limit, so that giving it back comes out even."""
        for resource in amounts:
            self._ensure_row(tx, project_id, resource)
        self.give(tx, project_id, **{resource: -amount for resource, amount in amounts.items()})

    def usage(self, tx: Tx, project_id: str) -> dict[str, int]:
        rows = tx.all(USAGES, {"project": project_id, "names": self._names()})
        used = {row.resource.partition(":")[2]: row.used for row in rows}
        return {resource: used.get(resource, 0) for resource in self.defaults}

    def limits(self, tx: Tx, project_id: str) -> dict[str, int]:
        """The limits in force; with project "" those of projects that have none of their own."""
        rows = tx.all(LIMITS, {"project": project_id, "names": self._names()})
        own = {row.resource.partition(":")[2]: row.maximum for row in rows}
        return {**self.defaults, **self._ceilings(tx, project_id, list(self.defaults)).own, **own}

    def own_limits(self, tx: Tx) -> dict[str, dict[str, int]]:
        """Of every project that has limits of its own, by its id: those in force, as `limits` gives them."""
        rows = tx.all(ALL_LIMITS, {"names": self._names()})
        found: dict[str, dict[str, int]] = {}
        everybodys = dict(self.defaults)
        for row in rows:
            # The limits of project "" come first.
            kept = found.setdefault(row.project_id, dict(everybodys)) if row.project_id else everybodys
            kept[row.resource.partition(":")[2]] = row.maximum
        return found

    def set_limits(self, tx: Tx, project_id: str, limits: dict[str, int]) -> None:
        """Of a project, or with "" of all that have none of their own. Raises Invalid for no project's id."""
        refuse_long(project_id)
        for resource, maximum in limits.items():
            params = {"project": project_id, "what": self._name(resource), "n": maximum}
            if tx.changed(SET_LIMIT, params):
                continue
            if not tx.add(QUOTA_LIMITS, {"project_id": project_id, "resource": params["what"], "maximum": maximum}):
                # Another transaction was first; now there is a row to change.
                tx.execute(SET_LIMIT, params)
        self._record(tx, "quota.update", project_id, limits)

    def clear_limits(self, tx: Tx, project_id: str) -> None:
        refuse_long(project_id)
        self._record(tx, "quota.delete", project_id, self.limits(tx, project_id))
        tx.execute(
            QUOTA_LIMITS.delete().where(
                QUOTA_LIMITS.c.project_id == project_id, QUOTA_LIMITS.c.resource.in_(self._names())
            )
        )

    def _record(self, tx: Tx, action: str, project_id: str, limits: dict[str, int]) -> None:
        for resource, maximum in limits.items():
            row = self._limits.Row(project_id=project_id, resource=resource, maximum=maximum)
            journal.record(tx, action, row, project_id=project_id)

    def _name(self, resource: str) -> str:
        return f"{self.service}:{resource}"

    def _names(self) -> list[str]:
        return [self._name(resource) for resource in self.defaults]

    def _ceilings(self, tx: Tx, project_id: str, resources: list[str]) -> Ceilings:
        if not self.unified:
            return Ceilings({}, {}, ())
        return tx.ctx.core.limits.of(tx, project_id, self.unified, resources)

    def _take(self, tx: Tx, project_id: str, limited_by: str, resource: str, amount: int) -> None:
        ceilings = self._ceilings(tx, limited_by, [resource])
        params = {
            "project": project_id, "limited": limited_by, "what": self._name(resource),
            "n": amount, "default": ceilings.own.get(resource, self.defaults[resource]),
        }
        if not tx.changed(TAKE, params):
            self._ensure_row(tx, project_id, resource)
            if not tx.changed(TAKE, params):
                used = tx.scalar(USED, {"project": project_id, "what": self._name(resource)}) or 0
                raise over(resource, amount, used, self.limits(tx, limited_by)[resource])
        self._refuse_beyond_shared(tx, project_id, resource, amount, ceilings)

    def _take_together(self, tx: Tx, holder_id: str, limited_by: str, amounts: dict[str, int]) -> bool:
        """In one statement, which can't tell what was short: then each is looked at. False where projects share a
        ceiling."""
        ceilings = self._ceilings(tx, limited_by, list(amounts))
        if any(ceilings.shared.get(resource, UNLIMITED) >= 0 for resource in amounts):
            return False
        defaults = {
            f"default_{i}": ceilings.own.get(resource, self.defaults[resource]) for i, resource in enumerate(amounts)
        }
        params = self._each(amounts) | defaults | {"project": holder_id, "limited": limited_by}
        if tx.changed(taking(len(amounts)), params) != len(amounts):
            raise LookAgain
        return True

    def _each(self, amounts: dict[str, int]) -> dict[str, Any]:
        """The parameters `what_0`, `n_0`, `what_1`, …"""
        names = {f"what_{i}": self._name(resource) for i, resource in enumerate(amounts)}
        return names | {f"n_{i}": amount for i, amount in enumerate(amounts.values())}

    def _refuse_beyond_shared(
        self, tx: Tx, project_id: str, resource: str, amount: int, ceilings: Ceilings
    ) -> None:
        """Projects may share a ceiling; whoever answers for it lets one of them take at a time."""
        limit = ceilings.shared.get(resource, UNLIMITED)
        if limit < 0:
            return
        params = {"projects": list(ceilings.projects), "what": self._name(resource)}
        used = int(tx.scalar(USED_TOGETHER, params) or 0)
        if used > limit:
            self.give(tx, project_id, **{resource: amount})
            raise over(resource, amount, used - amount, limit)

    def _ensure_row(self, tx: Tx, project_id: str, resource: str) -> None:
        """Another transaction may be first to need this row; then it is there, too."""
        if tx.first(USED, {"project": project_id, "what": self._name(resource)}) is None:
            tx.add(QUOTA_USAGES, {"project_id": project_id, "resource": self._name(resource), "used": 0})


def refuse_long(project_id: str) -> None:
    if len(project_id) > LONGEST_ID:
        raise errors.Invalid(f"{project_id[:80]} is no project: ids have at most {LONGEST_ID} characters.")


def of_each(many: int, name: str) -> Any:
    """That of the parameters `name_0`, `name_1`, … that goes with the row's resource `what_0`, `what_1`, …"""
    return sa.case(*[
        (QUOTA_USAGES.c.resource == sa.bindparam(f"what_{i}"), sa.bindparam(f"{name}_{i}", type_=sa.BigInteger()))
        for i in range(many)
    ])


def rows_of_each(many: int) -> Any:
    return (QUOTA_USAGES.c.project_id == sa.bindparam("project")) & QUOTA_USAGES.c.resource.in_(
        [sa.bindparam(f"what_{i}") for i in range(many)]
    )


@cache
def giving(many: int) -> sa.Update:
    used = QUOTA_USAGES.c.used - of_each(many, "n")
    return QUOTA_USAGES.update().where(rows_of_each(many)).values(used=used)


@cache
def taking(many: int) -> sa.Update:
    def limit_of(project: Any) -> Any:
        of_row = (QUOTA_LIMITS.c.project_id == project) & (QUOTA_LIMITS.c.resource == QUOTA_USAGES.c.resource)
        return sa.select(QUOTA_LIMITS.c.maximum).where(of_row).correlate(QUOTA_USAGES).scalar_subquery()

    used = QUOTA_USAGES.c.used + of_each(many, "n")
    maximum = sa.func.coalesce(limit_of(sa.bindparam("limited")), limit_of(""), of_each(many, "default"))
    fits = sa.or_(maximum < 0, used <= maximum)
    return QUOTA_USAGES.update().where(rows_of_each(many), fits).values(used=used)


def over(resource: str, asked: int, used: int, limit: int) -> errors.OverQuota:
    return errors.OverQuota(
        f"Quota exceeded for {resource}: requested {asked}, but already used {used} of {limit} "
        f"{resource}. Delete what is not needed or ask for a higher quota.",
        resource=resource, used=used, limit=limit, asked=asked,
    )
