# SPDX-License-Identifier: Apache-2.0
"""Volume types: names that administrators give to kinds of storage, with extra specs.

Which type a volume has stands in its row. Every volume has one: who names none gets `__DEFAULT__`, which is always
there. All types are public so far; encryption and QoS of types are refused.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import context, errors, journal
from skyhold.core.app import Core
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Name, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.volume import policy
from skyhold.volume.links import next_link
from skyhold.volume.paging import page_size, sorting
from skyhold.volume.tables import TYPES, VOLUMES

DEFAULT = "__DEFAULT__"
SPEC_KEY = r"^[a-zA-Z0-9-_:.]{1,255}$"
SORTABLE = {"id": "id", "name": "name", "created_at": "created_at", "updated_at": "updated_at"}

# ---- shape ---------------------------------------------------------------------------------


class TypeCreate(Shape):
    name: Name
    description: str | None = field(max=255, default=None)
    extra_specs: dict[str, str] = field(keys=SPEC_KEY, max=255, default_factory=dict)
    is_public: LooseBool = field("os-volume-type-access:is_public", default=True)


class TypeUpdate(Shape):
    name: str | Absent | None = field(max=255, optional=True)
    description: str | Absent | None = field(max=255, optional=True)
    is_public: LooseBool | Absent = field(optional=True)


class Type(Shape):
    id: str
    name: str
    description: str | None
    is_public: bool = True
    access_public: bool = field("os-volume-type-access:is_public", default=True)
    qos_specs_id: str | None = field(policy=policy.SPECS_SEEN.name, default=None)
    extra_specs: dict[str, str] = field(policy=policy.SPECS_SEEN.name)


class TypeQuery(Shape, extra="ignore"):
    limit: int | None = field(min=0, default=None)
    marker: str | None = None
    sort: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None
    name: str | None = None
    is_public: str | None = None


class Specs(Shape):
    extra_specs: dict[str, str] = field(keys=SPEC_KEY, max=255, min_items=1)


ONE = envelope("volume_type", Type)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v3/types"
TYPE = PATH + "/{type_id}"
SPECS = TYPE + "/extra_specs"
SPEC = SPECS + "/{spec_key}"


@routes.get(
    PATH, policy=policy.TYPES_LIST, query=TypeQuery, reply=collection("volume_types", Type, links="volume_type_links")
)
async def index(ctx: Context, query: TypeQuery) -> Page:
    """List volume types."""
    return await ctx.read(list_page, query)


@routes.post(PATH, policy=policy.TYPES_CREATE, body=envelope("volume_type", TypeCreate), reply=ONE)
async def create(ctx: Context, want: TypeCreate) -> Type:
    """Create a volume type."""
    return shown(await ctx.write(insert, want))


@routes.get(TYPE, policy=policy.TYPES_SHOW, reply=ONE)
async def show(ctx: Context, type_id: str) -> Type:
    """Show a volume type; the id `default` is the one that volumes get without another."""
    return shown(await ctx.read(asked, type_id))


@routes.put(TYPE, policy=policy.TYPES_UPDATE, body=envelope("volume_type", TypeUpdate), reply=ONE)
async def update(ctx: Context, type_id: str, want: TypeUpdate) -> Type:
    """Change a volume type's name or description."""
    return shown(await ctx.write(change, type_id, want))


@routes.delete(TYPE, policy=policy.TYPES_DELETE, status=202)
async def delete(ctx: Context, type_id: str) -> None:
    """Delete a volume type that no volume has."""
    await ctx.write(remove, type_id)


@routes.get(SPECS, policy=policy.SPECS_INDEX)
async def list_specs(ctx: Context, type_id: str) -> Any:
    """List a volume type's extra specs."""
    return {"extra_specs": await ctx.read(specs, type_id)}


@routes.post(SPECS, policy=policy.SPECS_CREATE, body=Specs)
async def create_specs(ctx: Context, type_id: str, want: Specs) -> Any:
    """Set extra specs of a volume type, keeping the others."""
    await ctx.write(set_specs, type_id, want.extra_specs)
    return {"extra_specs": want.extra_specs}


@routes.get(SPEC, policy=policy.SPECS_SHOW)
async def show_spec(ctx: Context, type_id: str, key: str) -> Any:
    """Show one extra spec."""
    return {key: await ctx.read(spec, type_id, key)}


@routes.put(SPEC, policy=policy.SPECS_UPDATE, body=dict[str, str])
async def update_spec(ctx: Context, type_id: str, key: str, want: dict[str, str]) -> Any:
    """Change one extra spec."""
    if list(want) != [key]:
        raise errors.Invalid("Request body and URI mismatch: the body is one item with the key of the path.")
    if len(want[key]) > 255:
        raise errors.Invalid(f"The value of {key[:50]} has {len(want[key])} characters; at most 255 are kept.")
    await ctx.write(set_spec, type_id, key, want[key])
    return want


@routes.delete(SPEC, policy=policy.SPECS_DELETE, status=202)
async def delete_spec(ctx: Context, type_id: str, key: str) -> None:
    """Delete one extra spec."""
    await ctx.write(drop_spec, type_id, key)


# ---- operations ----------------------------------------------------------------------------


async def at_start(core: Core) -> None:
    await context.internal(core).write(ensure_default)


def ensure_default(tx: Tx, ctx: Context) -> None:
    if named(tx, DEFAULT) is not None:
        return
    row = store.add(tx, id=ctx.new_id(), name=DEFAULT, description="Default Volume Type", extra_specs={})
    # Another control process may be first.
    if row is not None:
        journal.record(tx, "volume_type.create", row)


def insert(tx: Tx, ctx: Context, want: TypeCreate) -> Any:
    """Raises Conflict for a name taken, NotImplementedHere for a private type."""
    refuse_private(want.is_public)
    row = store.add(
        tx, id=ctx.new_id(), name=want.name, description=want.description, extra_specs=want.extra_specs
    )
    if row is None:
        raise taken(want.name)
    journal.record(tx, "volume_type.create", row)
    return row


def change(tx: Tx, ctx: Context, type_id: str, want: TypeUpdate) -> Any:
    row = asked(tx, ctx, type_id)
    refuse_private(want.is_public)
    values = {
        key: value for key, value in (("name", want.name), ("description", want.description))
        if value is not ABSENT and (key != "name" or value is not None)
    }
    if not values and want.is_public is ABSENT:
        raise errors.Invalid("Specify volume type name, description, is_public or a combination thereof.")
    if not str(values.get("name", "x")).strip():
        raise errors.Invalid("Volume type name can not be empty.")
    if values.get("name", row.name) != row.name and row.name == DEFAULT:
        raise errors.Invalid(f"{DEFAULT} is what volumes get without another type; it keeps its name.")
    try:
        with tx.nested():
            row = store.update(tx, row, **values)
    except sa.exc.IntegrityError:
        raise taken(str(want.name)) from None
    journal.record(tx, "volume_type.update", row)
    return row


def remove(tx: Tx, ctx: Context, type_id: str) -> None:
    """Raises Invalid while volumes have it, and for the default type."""
    row = asked(tx, ctx, type_id)
    if row.name == DEFAULT:
        raise errors.Invalid(f"Volume type {row.id} is the default volume type and cannot be deleted.")
    try:
        with tx.nested():
            if tx.first(sa.select(VOLUMES.c.id).where(VOLUMES.c.type_id == row.id).limit(1)) is not None:
                raise in_use(row)
            store.delete(tx, row)
    except sa.exc.IntegrityError:
        # A volume came in between.
        raise in_use(row) from None
    journal.record(tx, "volume_type.delete", row)


def in_use(row: Any) -> errors.Invalid:
    return errors.Invalid(f"Target volume type {row.id} is still in use.", reason="in_use")


def specs(tx: Tx, ctx: Context, type_id: str) -> dict[str, str]:
    return dict(asked(tx, ctx, type_id).extra_specs)


def spec(tx: Tx, ctx: Context, type_id: str, key: str) -> str:
    found = specs(tx, ctx, type_id)
    if key not in found:
        raise no_spec(type_id, key)
    return found[key]


def no_spec(type_id: str, key: str) -> errors.NotFound:
    return errors.NotFound(f"Volume Type {type_id} has no extra specs with key {key[:100]}.")


def set_specs(tx: Tx, ctx: Context, type_id: str, given: dict[str, str]) -> None:
    row = asked(tx, ctx, type_id)
    journal.record(tx, "volume_type.update", store.update(tx, row, extra_specs={**row.extra_specs, **given}))


def set_spec(tx: Tx, ctx: Context, type_id: str, key: str, value: str) -> None:
    set_specs(tx, ctx, type_id, {key: value})


def drop_spec(tx: Tx, ctx: Context, type_id: str, key: str) -> None:
    row = asked(tx, ctx, type_id)
    if key not in row.extra_specs:
        raise no_spec(type_id, key)
    kept = {name: value for name, value in row.extra_specs.items() if name != key}
    journal.record(tx, "volume_type.update", store.update(tx, row, extra_specs=kept))


def refuse_private(is_public: Any) -> None:
    if is_public is False:
        raise errors.Invalid(
            "Private volume types are not there yet: make the type public, or leave it out.", reason="not_implemented"
        )


def taken(name: str) -> errors.Conflict:
    return errors.Conflict(f"Volume Type {name} already exists.", reason="name_taken")


# ---- queries -------------------------------------------------------------------------------

store = Store(TYPES, service="volume", kind="volume_type", label="Volume type")


def asked(tx: Tx, ctx: Context, type_id: str) -> Any:
    """By id; `default` is the default type."""
    if type_id == "default":
        type_id = named(tx, DEFAULT).id
    return store.get(tx, ctx, type_id)


def named(tx: Tx, name: str) -> Any:
    row = tx.first(sa.select(TYPES).where(TYPES.c.name == name))
    return None if row is None else store.Row._make(row)


def chosen(tx: Tx, name_or_id: str | None) -> Any:
    """The type for a new volume, which stays until the commit. Raises NotFound."""
    if not name_or_id:
        name_or_id = DEFAULT
    row = named(tx, name_or_id) or store.find(tx, name_or_id)
    found = None if row is None else store.find(tx, row.id, lock="stay")
    if found is None:
        raise errors.NotFound(f"Volume type {name_or_id[:100]} could not be found.")
    return found


def names(tx: Tx, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    return {row.id: row.name for row in tx.all(sa.select(TYPES.c.id, TYPES.c.name).where(TYPES.c.id.in_(sorted(ids))))}


def list_page(tx: Tx, ctx: Context, query: TypeQuery) -> Page:
    if str(query.is_public).lower() in ("false", "0", "no", "off"):
        # All are public.
        return Page([])
    size = page_size(ctx, query.limit)
    if size == 0:
        return Page([])
    filters = [("name", "eq", query.name)] if query.name else []
    rows = store.page(tx, ctx, filters=filters, sort=sorting(query, SORTABLE), limit=size, marker=query.marker)
    asked = {name: getattr(query, name) for name in query.__struct_fields__}
    following = next_link(ctx, "types", asked, rows[-1].id) if len(rows) == size else None
    return Page([shown(row) for row in rows], following)


def shown(row: Any) -> Type:
    return Type(id=row.id, name=row.name, description=row.description, extra_specs=row.extra_specs)
