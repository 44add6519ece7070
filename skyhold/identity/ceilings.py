# SPDX-License-Identifier: Apache-2.0
"""What a project may have of each resource of a service, all limits taken together.

Setting limits is limits.py and registered_limits.py; counting what is used is core/quota.py, which
asks here through core's protocol Limits. A limit of this cloud's region wins over one of no region.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Ceilings
from skyhold.identity.logic import limit_models
from skyhold.identity.slots import numbered, slots
from skyhold.identity.tables import LIMITS, PROJECTS, REGISTERED_LIMITS, SERVICES

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx

R, L = REGISTERED_LIMITS.c, LIMITS.c
DOMAIN_OF = sa.select(PROJECTS.c.domain_id).where(PROJECTS.c.id == sa.bindparam("project_id"))
OF_SERVICE = sa.select(SERVICES.c.id).where(SERVICES.c.type == sa.bindparam("service_type"))
@lru_cache(maxsize=256)
def in_force(holders: int, names: int) -> sa.Select[Any]:
    """The statement for that many holders and names: it stands in the way of every quota that is taken."""
    of_holder = sa.and_(L.registered_limit_id == R.id, L.holder_id.in_(slots("holder", holders)))
    return (
        sa.select(R.id, R.region_id, R.resource_name, R.default_limit, L.holder_id, L.resource_limit)
        .select_from(REGISTERED_LIMITS.outerjoin(LIMITS, of_holder))
        .where(
            R.service_id.in_(OF_SERVICE), sa.or_(R.region_id == "", R.region_id == sa.bindparam("region")),
            R.resource_name.in_(slots("name", names)),
        )
        # The region's own come last and win.
        .order_by(R.region_id)
    )


class UnifiedLimits:
    """core's Limits, answered from the tables. One a process."""

    def __init__(self, core: Core) -> None:
        self._settings = core.settings

    @property
    def _strict(self) -> bool:
        return self._settings.identity.limit_model == limit_models.STRICT

    def of(self, tx: Tx, project_id: str, service_type: str, names: Sequence[str]) -> Ceilings:
        """See the protocol. What isn't registered has no ceiling here: the caller's own default counts."""
        domain_id = self._domain(tx, project_id) if self._strict else None
        own: dict[str, int] = {}
        shared: dict[str, int] = {}
        for row in self._rows(tx, project_id, domain_id, service_type, names):
            own[row["name"]] = row["own"]
            if domain_id is not None:
                shared[row["name"]] = row["of_domain"]
                own[row["name"]] = limit_models.smaller(row["own"], row["of_domain"])
        return Ceilings(own, shared, () if domain_id is None else projects_of(tx, domain_id))

    def _domain(self, tx: Tx, project_id: str) -> str | None:
        """The project's domain; locked in a write, since its projects share what it may have."""
        p = PROJECTS.c
        domain_id: str | None = tx.scalar(DOMAIN_OF, {"project_id": project_id})
        if domain_id and tx.writing and tx.dialect != "sqlite":
            tx.first(sa.select(p.id).where(p.id == domain_id).with_for_update())
        return domain_id or None

    def _rows(
        self, tx: Tx, project_id: str, domain_id: str | None, service_type: str, names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Of each name the registered limit that counts, with the project's and the domain's own."""
        found: dict[str, dict[str, Any]] = {}
        holders = [project_id] if domain_id is None else [project_id, domain_id]
        for row in tx.all(in_force(len(holders), len(names)), {
            "service_type": service_type, "region": self._settings.region, **numbered("holder", holders),
            **numbered("name", names),
        }):
            known = found.get(row.resource_name)
            if known is None or known["id"] != row.id:
                known = found[row.resource_name] = {
                    "id": row.id, "name": row.resource_name, "own": row.default_limit,
                    "of_domain": row.default_limit,
                }
            if row.holder_id == project_id:
                known["own"] = row.resource_limit
            elif row.holder_id is not None:
                known["of_domain"] = row.resource_limit
        return list(found.values())


def projects_of(tx: Tx, domain_id: str) -> tuple[str, ...]:
    p = PROJECTS.c
    return tuple(row.id for row in tx.all(sa.select(p.id).where(p.domain_id == domain_id)))
