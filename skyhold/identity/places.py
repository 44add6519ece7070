# SPDX-License-Identifier: Apache-2.0
"""What domains and projects have in common as rows: their stores, names, and how they end.

The resources are domains.py and projects/. Removing one takes along what only makes sense with it:
assignments, delegations, and in a domain everything.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.identity.auth import events
from skyhold.identity.delegation.rows import discard_of_project
from skyhold.identity.shapes import given
from skyhold.identity.tables import ASSIGNMENTS, PROJECTS
from skyhold.identity.unique import duplicate, once

P = PROJECTS.c
DEFAULT_DOMAIN_ID = "default"

domains = Store(
    PROJECTS, service="identity", kind="domain", label="Domain", targets={"target.domain.id": "id"},
    alive=P.is_domain.is_(True),
)
projects = Store(
    PROJECTS, service="identity", kind="project", label="Project",
    targets={"target.project.domain_id": "domain_id", "target.project.id": "id"},
)


def insert(tx: Tx, store: Store, **values: Any) -> Any:
    """Raises Conflict for a name that is taken."""
    with once(tx, taken(store, values["name"])):
        return store.insert(tx, generation=0, **values)


def change(tx: Tx, store: Store, row: Any, **values: Any) -> Any:
    """Disabling voids the tokens for it for good, not only until it is enabled again."""
    if row.enabled and values.get("enabled") is False:
        values["generation"] = row.generation + 1
        events.tell(tx, **{f"{store.kind}_id": row.id})
    with once(tx, taken(store, values.get("name", row.name))):
        return store.update(tx, row, **values)


def plain(want: Any) -> dict[str, Any]:
    """The columns of a change that are taken over as they are; a description of null is an empty one."""
    values = given(name=want.name, enabled=want.enabled, description=want.description)
    if "description" in values:
        values["description"] = values["description"] or ""
    return values


def taken(store: Store, name: str) -> errors.Conflict:
    where = "" if store.kind == "domain" else " in the same domain"
    why = f"it is not permitted to have two {store.kind}s with the same name{where}: {name}"
    return duplicate(store.kind, why)


def remove(tx: Tx, store: Store, row: Any) -> None:
    """The row with its assignments and delegations."""
    tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.target_id == row.id))
    discard_of_project(tx, row.id)
    store.delete(tx, row)
    events.tell(tx, **{f"{store.kind}_id": row.id})
    journal.record(tx, f"{store.kind}.delete", row, project_id=row.id)


def domain(tx: Tx, domain_id: str) -> Any:
    """The domain that a new thing is to be in, locked against being removed meanwhile; NotFound if none."""
    row = domains.find(tx, domain_id, lock=True)
    if row is None:
        raise errors.NotFound(f"Could not find domain: {domain_id}.", kind="domain", id=domain_id)
    return row
