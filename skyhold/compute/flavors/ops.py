# SPDX-License-Identifier: Apache-2.0
"""Decisions about flavors, and the look-up that creating a server uses.

HTTP is api.py, queries store.py. A server keeps a snapshot of its flavor, so changing or deleting a
flavor never touches the servers made with it.
"""

from __future__ import annotations

import re
from typing import Any

from skyhold.compute import versions
from skyhold.compute.flavors import shape, store
from skyhold.compute.logic import extra_specs
from skyhold.compute.projects import require_project
from skyhold.compute.tables import FLAVOR_ACCESS
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

# ---- for servers ---------------------------------------------------------------------------


def lookup(tx: Tx, ctx: Context, flavor_id: str) -> Any:
    """The row of a flavor that the caller may make a server with; Invalid when there is none."""
    row = store.find(tx, ctx, flavor_id)
    if row is None or row.disabled:
        raise errors.Invalid(f"Flavor {flavor_id} could not be found.", reason="flavor_not_found")
    return row


def snapshot(row: Any) -> dict[str, Any]:
    """What a server keeps of its flavor: id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb and
    extra_specs."""
    return {
        "id": row.id, "name": row.name, "vcpus": row.vcpus, "ram_mb": row.ram_mb, "disk_gb": row.disk_gb,
        "ephemeral_gb": row.ephemeral_gb, "swap_mb": row.swap_mb, "extra_specs": dict(row.extra_specs),
    }


# ---- for the API ---------------------------------------------------------------------------


def create(tx: Tx, ctx: Context, want: shape.FlavorCreate) -> Any:
    """Raises Conflict for a name or an id that is taken."""
    values = {name: getattr(want, name) for name in want.__struct_fields__}
    values["id"] = ctx.new_id() if want.id == "auto" else want.id
    row = store.store.add(tx, **values, disabled=False, extra_specs={})
    if row is None:
        what = f"ID {want.id}" if store.store.find(tx, values["id"]) is not None else f"name {want.name}"
        raise errors.Conflict(f"Flavor with {what} already exists.")
    journal.record(tx, "flavor.create", row)
    return row


def describe(tx: Tx, ctx: Context, flavor_id: str, description: str | None) -> Any:
    row = store.store.update(tx, store.get(tx, ctx, flavor_id), description=description)
    journal.record(tx, "flavor.update", row)
    return row


def delete(tx: Tx, ctx: Context, flavor_id: str) -> None:
    row = store.get(tx, ctx, flavor_id)
    tx.execute(FLAVOR_ACCESS.delete().where(FLAVOR_ACCESS.c.flavor_id == row.id))
    store.store.delete(tx, row)
    journal.record(tx, "flavor.delete", row)


# ---- who may use it ------------------------------------------------------------------------


def access(tx: Tx, ctx: Context, flavor_id: str) -> list[dict[str, str]]:
    """Projects that may use a private flavor; NotFound for a public one, which has no such list."""
    row = store.get(tx, ctx, flavor_id)
    if row.is_public:
        raise errors.NotFound("Access list not available for public flavors.")
    return access_list(tx, row)


def access_list(tx: Tx, row: Any) -> list[dict[str, str]]:
    return [{"flavor_id": row.id, "tenant_id": project} for project in store.projects_with_access(tx, row.id)]


def add_access(tx: Tx, ctx: Context, flavor_id: str, project_id: str) -> list[dict[str, str]]:
    """Raises Invalid for an unknown project, Conflict when it has access already."""
    row = store.get(tx, ctx, flavor_id)
    if row.is_public and ctx.version >= versions.NO_ACCESS_TO_PUBLIC:
        raise errors.Conflict("Can not add access to a public flavor.")
    require_project(tx, ctx, project_id)
    if not tx.add(FLAVOR_ACCESS, {"flavor_id": row.id, "project_id": project_id}):
        raise errors.Conflict(
            f"Flavor access already exists for flavor {row.id} and project {project_id} combination."
        )
    journal.record(tx, "flavor.access.add", row, project_id=project_id)
    return access_list(tx, row)


def remove_access(tx: Tx, ctx: Context, flavor_id: str, project_id: str) -> list[dict[str, str]]:
    row = store.get(tx, ctx, flavor_id)
    require_project(tx, ctx, project_id)
    same = (FLAVOR_ACCESS.c.flavor_id == row.id) & (FLAVOR_ACCESS.c.project_id == project_id)
    if not tx.changed(FLAVOR_ACCESS.delete().where(same)):
        raise errors.NotFound(f"Flavor access not found for {row.id} / {project_id} combination.")
    journal.record(tx, "flavor.access.remove", row, project_id=project_id)
    return access_list(tx, row)


# ---- extra specs ---------------------------------------------------------------------------


def specs(tx: Tx, ctx: Context, flavor_id: str) -> dict[str, str]:
    return dict(store.get(tx, ctx, flavor_id).extra_specs)


def spec(tx: Tx, ctx: Context, flavor_id: str, key: str) -> str:
    row = store.get(tx, ctx, flavor_id)
    if key not in row.extra_specs:
        raise no_spec(row, key)
    return str(row.extra_specs[key])


def set_specs(tx: Tx, ctx: Context, flavor_id: str, given: dict[str, str]) -> None:
    row = store.get(tx, ctx, flavor_id)
    if ctx.version >= versions.EXTRA_SPECS_CHECKED:
        for key, value in given.items():
            extra_specs.check(key, value)
    row = store.store.update(tx, row, extra_specs={**row.extra_specs, **given})
    journal.record(tx, "flavor.extra_specs.update", row)


def set_spec(tx: Tx, ctx: Context, flavor_id: str, key: str, given: dict[str, str]) -> dict[str, str]:
    if len(given) != 1:
        raise errors.Invalid("The body must hold exactly one extra spec.")
    if key not in given:
        raise errors.Invalid("Request body and URI mismatch")
    if not re.fullmatch(shape.SPEC_KEY, key):
        raise errors.Invalid(f"Key Names {key[:50]!r} can only contain letters, digits, spaces, and -_:.")
    set_specs(tx, ctx, flavor_id, given)
    return given


def delete_spec(tx: Tx, ctx: Context, flavor_id: str, key: str) -> None:
    row = store.get(tx, ctx, flavor_id)
    if key not in row.extra_specs:
        raise no_spec(row, key)
    left = {name: value for name, value in row.extra_specs.items() if name != key}
    journal.record(tx, "flavor.extra_specs.delete", store.store.update(tx, row, extra_specs=left))


def no_spec(row: Any, key: str) -> errors.NotFound:
    return errors.NotFound(f"Flavor {row.id} has no extra specs with key {key[:255]}.")
