# SPDX-License-Identifier: Apache-2.0
"""Names for lists of assignments: of actors, places, roles and the domains of each.

The list itself is listing.py. Each kind is read once, whatever the length of the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.identity.tables import GROUPS, PROJECTS, ROLES, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

MOST_BINDS = 10_000


class Names:
    def __init__(self, tx: Tx, found: Iterable[Any]) -> None:
        found = list(found)
        actors = {held[1] for held in found}
        self._actors = {**rows(tx, USERS, actors), **rows(tx, GROUPS, actors)}
        self._roles = rows(tx, ROLES, {held[4] for held in found})
        places = rows(tx, PROJECTS, {held[3] for held in found})
        domains = {row.domain_id for row in (*self._actors.values(), *self._roles.values(), *places.values())}
        self._places = {**rows(tx, PROJECTS, domains - {""}), **places}

    def actor(self, id: str) -> dict[str, Any]:
        return self._with_domain(self._actors[id]) if id in self._actors else {"id": id}

    def place(self, id: str) -> dict[str, Any]:
        return self._with_domain(self._places[id]) if id in self._places else {"id": id}

    def role(self, id: str) -> dict[str, Any]:
        return self._with_domain(self._roles[id]) if id in self._roles else {"id": id}

    def _with_domain(self, row: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"id": row.id, "name": row.name}
        if row.domain_id:
            domain = self._places.get(row.domain_id)
            found["domain"] = {"id": row.domain_id, "name": domain.name if domain else ""}
        return found


def rows(tx: Tx, table: sa.Table, ids: set[str]) -> dict[str, Any]:
    """Beyond a bound of ids, the whole table is the cheaper question."""
    statement = sa.select(table.c.id, table.c.name, table.c.domain_id)
    if len(ids) <= MOST_BINDS:
        statement = statement.where(table.c.id.in_(list(ids)))
    return {row.id: row for row in tx.all(statement)}
