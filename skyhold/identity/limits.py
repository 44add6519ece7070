# SPDX-License-Identifier: Apache-2.0
"""Limits: what one project or one domain may have of a resource, instead of the registered default.

What can be limited at all is registered_limits.py, what is in force for somebody ceilings.py, how a
domain's limit binds its projects logic/limit_models.py. A limit goes with its project or domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, places, policy, registered_limits
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.logic import limit_models
from skyhold.identity.registered_limits import MOST, UNLIMITED
from skyhold.identity.shapes import ID, given
from skyhold.identity.tables import LIMITS, REGISTERED_LIMITS
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class LimitCreate(Shape):
    project_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    service_id: str = field(min=1, max=64, pattern=ID)
    region_id: str | None = field(default=None, max=255)
    resource_name: str = field(min=1, max=255)
    resource_limit: int = field(min=UNLIMITED, max=MOST)
    description: str | None = field(default=None)


class LimitChange(Shape):
    resource_limit: int | Absent = field(optional=True, min=UNLIMITED, max=MOST)
    description: str | Absent | None = field(optional=True)


class Limit(Shape):
    id: str
    project_id: str | None
    domain_id: str | None
    service_id: str
    region_id: str | None
    resource_name: str
    resource_limit: int
    description: str | None
    links: JsonObject


class LimitQuery(ListQuery):
    service_id: str | None = field(default=None)
    region_id: str | None = field(default=None)
    resource_name: str | None = field(default=None)
    project_id: str | None = field(default=None)
    domain_id: str | None = field(default=None)


class Model(Shape):
    name: str
    description: str


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("limit", Limit)
MANY = collection("limits", Limit, links="links")


@routes.get("/v3/limits/model", policy=policy.GET_LIMIT_MODEL, reply=envelope("model", Model))
async def model(ctx: Context) -> Model:
    """How limits of projects and domains bind each other in this cloud."""
    name = ctx.core.settings.identity.limit_model
    return Model(name=name, description=limit_models.DESCRIPTIONS[name])


@routes.get("/v3/limits", policy=policy.LIST_LIMITS, query=LimitQuery, reply=MANY)
async def index(ctx: Context, query: LimitQuery) -> Page:
    """List limits: those of the own project or domain, for administrators all."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/limits", policy=policy.CREATE_LIMITS, body=collection("limits", LimitCreate), reply=MANY, status=201
)
async def create(ctx: Context, wanted: list[LimitCreate]) -> Page:
    """Set limits of projects and domains, all of them or none."""
    return await ctx.write(insert_all, wanted)


@routes.get("/v3/limits/{limit_id}", policy=policy.GET_LIMIT, reply=ONE)
async def show(ctx: Context, limit_id: str) -> Limit:
    """Show a limit."""
    return await ctx.read(get, limit_id)


@routes.patch("/v3/limits/{limit_id}", policy=policy.UPDATE_LIMIT, body=envelope("limit", LimitChange), reply=ONE)
async def update(ctx: Context, limit_id: str, want: LimitChange) -> Limit:
    """Change a limit."""
    return await ctx.write(change, limit_id, want)


@routes.delete("/v3/limits/{limit_id}", policy=policy.DELETE_LIMIT)
async def delete(ctx: Context, limit_id: str) -> None:
    """Delete a limit: the registered default counts again."""
    await ctx.write(remove, limit_id)


# ---- operations ----------------------------------------------------------------------------


def insert_all(tx: Tx, ctx: Context, wanted: list[LimitCreate]) -> Page:
    """Raises Invalid for a project or domain that isn't there, Forbidden for a resource that isn't
    registered or a limit that doesn't fit its domain's, Conflict for one that is set already."""
    if not wanted:
        raise errors.Invalid("Name at least one limit.")
    rows = [insert(tx, ctx, want) for want in wanted]
    # Once all are there: a domain's and its project's limits may come in one body, in any order.
    for row in rows:
        check_model(tx, ctx, row)
    return Page(views(tx, ctx, rows))


def insert(tx: Tx, ctx: Context, want: LimitCreate) -> Any:
    holder = holder_of(tx, want)
    registered = registered_of(tx, want)
    domain = holder.is_domain
    with once(tx, duplicate("limit", f"Duplicate entry: {want.resource_name} of {holder.id}")):
        row = store.insert(
            tx, id=permits.hex_id(ctx), registered_limit_id=registered.id, holder_id=holder.id,
            project_id=None if domain else holder.id, domain_id=holder.id if domain else None,
            owner_domain_id=holder.id if domain else holder.domain_id,
            resource_limit=want.resource_limit, description=want.description,
        )
    journal.record(tx, "limit.create", row)
    return row


def holder_of(tx: Tx, want: LimitCreate) -> Any:
    """The row of the project or domain; a domain's id may also come as the project's, as upstream has it."""
    if (want.project_id is None) == (want.domain_id is None):
        raise errors.Invalid("A limit is either of a project or of a domain: give project_id or domain_id.")
    kind = places.projects if want.project_id is not None else places.domains
    asked = want.project_id or want.domain_id or ""
    row = kind.find(tx, asked, lock="stay")
    if row is None:
        raise errors.Invalid(f"Could not find {kind.kind}: {asked}.", reason=f"{kind.kind}_not_found")
    return row


def registered_of(tx: Tx, want: LimitCreate) -> Any:
    r = REGISTERED_LIMITS.c
    id = tx.scalar(sa.select(r.id).where(
        r.service_id == want.service_id, r.region_id == (want.region_id or ""),
        r.resource_name == want.resource_name,
    ))
    row = None if id is None else registered_limits.store.find(tx, id, lock="stay")
    if row is None:
        raise errors.Forbidden(
            "Unable to create a limit that has no corresponding registered limit: register "
            f"{want.resource_name} of this service and region first.", reason="not_registered",
        )
    return row


def change(tx: Tx, ctx: Context, limit_id: str, want: LimitChange) -> Limit:
    row = store.get(tx, ctx, limit_id)
    values = given(resource_limit=want.resource_limit, description=want.description)
    row = store.update(tx, row, **values) if values else row
    check_model(tx, ctx, row)
    journal.record(tx, "limit.update", row)
    return views(tx, ctx, [row])[0]


def remove(tx: Tx, ctx: Context, limit_id: str) -> None:
    row = store.get(tx, ctx, limit_id)
    store.delete(tx, row)
    journal.record(tx, "limit.delete", row)


def check_model(tx: Tx, ctx: Context, row: Any) -> None:
    """Raises Forbidden where domains bind their projects and this limit doesn't fit."""
    if ctx.core.settings.identity.limit_model != limit_models.STRICT:
        return
    domain = places.domains.find(tx, row.owner_domain_id, lock=True)
    fits = projects_fit(tx, row) if row.domain_id else domain_fits(tx, row)
    if domain is None or not fits:
        whose = "domain_id" if row.domain_id else "project_id"
        raise errors.Forbidden(
            f"Invalid resource limit: The resource limit ({whose}: {row.holder_id}, resource_limit: "
            f"{row.resource_limit}) doesn't satisfy current hierarchy model: a project's limit may not be above "
            "its domain's.", reason="limit_tree",
        )


def domain_fits(tx: Tx, row: Any) -> bool:
    default = tx.scalar(
        sa.select(REGISTERED_LIMITS.c.default_limit).where(REGISTERED_LIMITS.c.id == row.registered_limit_id)
    )
    of_domain = tx.scalar(sa.select(LIMITS.c.resource_limit).where(
        LIMITS.c.registered_limit_id == row.registered_limit_id, LIMITS.c.holder_id == row.owner_domain_id
    ))
    return limit_models.child_fits(row.resource_limit, of_domain, default)


def projects_fit(tx: Tx, row: Any) -> bool:
    of_projects = tx.all(sa.select(LIMITS.c.resource_limit).where(
        LIMITS.c.registered_limit_id == row.registered_limit_id, LIMITS.c.owner_domain_id == row.holder_id,
        LIMITS.c.project_id.is_not(None),
    ))
    return limit_models.parent_fits(row.resource_limit, (each.resource_limit for each in of_projects))


# ---- queries -------------------------------------------------------------------------------

store = Store(
    LIMITS, service="identity", kind="limit", label="Limit", targets={
        "target.limit.project_id": "project_id", "target.limit.domain.id": "domain_id",
        "target.limit.project.domain_id": "owner_domain_id",
    },
)


def get(tx: Tx, ctx: Context, limit_id: str) -> Limit:
    return views(tx, ctx, [store.get(tx, ctx, limit_id)])[0]


def list_page(tx: Tx, ctx: Context, query: LimitQuery) -> Page:
    """Whoever may list at all sees what they may show."""
    r = REGISTERED_LIMITS.c
    asked = {"service_id": query.service_id, "region_id": query.region_id, "resource_name": query.resource_name}
    clauses = [r[name] == value for name, value in asked.items() if value is not None]
    where = [LIMITS.c.registered_limit_id.in_(sa.select(r.id).where(*clauses))] if clauses else []
    found = page(
        tx, ctx, store, query, "limits", lambda ctx, row: row, equal=["project_id", "domain_id"], where=where,
        may=policy.GET_LIMIT,
    )
    return Page(views(tx, ctx, list(found.items)), found.links)


def of_projects(tx: Tx, ctx: Context, ids: Sequence[str]) -> dict[str, list[Limit]]:
    """The limits of each of these projects that the caller may see."""
    found: dict[str, list[Limit]] = {id: [] for id in ids}
    mine = sa.and_(LIMITS.c.project_id.in_(ids), store.visible(ctx, policy.GET_LIMIT))
    rows = tx.all(sa.select(*LIMITS.c).where(mine).order_by(LIMITS.c.id))
    for each in views(tx, ctx, rows):
        found[each.project_id or ""].append(each)
    return found


def views(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Limit]:
    r = REGISTERED_LIMITS.c
    ids = {row.registered_limit_id for row in rows}
    known = {row.id: row for row in tx.all(sa.select(*r).where(r.id.in_(ids)))} if ids else {}
    return [view(ctx, row, known[row.registered_limit_id]) for row in rows]


def view(ctx: Context, row: Any, registered: Any) -> Limit:
    return Limit(
        id=row.id, project_id=row.project_id, domain_id=row.domain_id, service_id=registered.service_id,
        region_id=registered.region_id or None, resource_name=registered.resource_name,
        resource_limit=row.resource_limit, description=row.description,
        links=links.to(ctx, f"limits/{row.id}"),
    )
