# SPDX-License-Identifier: Apache-2.0
"""Roles: the words that policy asks for; those of the cloud and those of single domains.

What a role implies is implied_roles.py, who has it assignments/. A domain's own role is never in a
token: it stands for the roles it implies.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, places, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.shapes import ID, NAME, ResourceOptions, extra_of, given, options_of
from skyhold.identity.tables import ROLES
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class RoleCreate(OpenShape):
    name: str = field(min=1, max=255, pattern=NAME)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    description: str | None = field(default=None)
    options: ResourceOptions | Absent = field(optional=True)


class RoleChange(OpenShape, min_fields=1):
    name: str | Absent = field(optional=True, min=1, max=255, pattern=NAME)
    domain_id: str | Absent | None = field(optional=True)
    description: str | Absent | None = field(optional=True)
    options: ResourceOptions | Absent = field(optional=True)


class Role(OpenShape):
    id: str
    name: str
    domain_id: str | None
    description: str | None
    options: JsonObject
    links: JsonObject


class RoleQuery(NamedQuery):
    domain_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("role", Role)
MANY = collection("roles", Role, links="links")


@routes.get("/v3/roles", policy=policy.LIST_ROLES, query=RoleQuery, reply=MANY)
async def index(ctx: Context, query: RoleQuery) -> Page:
    """List the cloud's roles, or with `domain_id` those of a domain."""
    return await ctx.read(list_page, query)


@routes.post("/v3/roles", policy=policy.CREATE_ROLE, body=envelope("role", RoleCreate), reply=ONE, status=201)
async def create(ctx: Context, want: RoleCreate) -> Role:
    """Create a role."""
    return await ctx.write(insert, want)


@routes.get("/v3/roles/{role_id}", policy=policy.GET_ROLE, reply=ONE)
async def show(ctx: Context, role_id: str) -> Role:
    """Show a role."""
    return view(ctx, await ctx.read(get, role_id, policy.GET_DOMAIN_ROLE))


@routes.patch("/v3/roles/{role_id}", policy=policy.UPDATE_ROLE, body=envelope("role", RoleChange), reply=ONE)
async def update(ctx: Context, role_id: str, want: RoleChange) -> Role:
    """Change a role."""
    return await ctx.write(change, role_id, want)


@routes.delete("/v3/roles/{role_id}", policy=policy.DELETE_ROLE)
async def delete(ctx: Context, role_id: str) -> None:
    """Delete a role; who had it, has it no more."""
    await ctx.write(remove, role_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: RoleCreate) -> Role:
    """Raises Conflict for a name that is taken."""
    if want.domain_id is not None:
        permits.demand(ctx, policy.CREATE_DOMAIN_ROLE, {"target.role.domain_id": want.domain_id})
        places.domain(tx, want.domain_id)
    with once(tx, taken(want.name)):
        row = store.insert(
            tx, id=permits.hex_id(ctx), name=want.name, domain_id=want.domain_id or "",
            description=want.description, extra=extra_of(want),
            options=permits.options_after({}, options_of(want.options)),
        )
    journal.record(tx, "role.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, role_id: str, want: RoleChange) -> Role:
    row = get(tx, ctx, role_id, policy.UPDATE_DOMAIN_ROLE)
    if want.domain_id is not ABSENT and (want.domain_id or "") != row.domain_id:
        raise errors.Invalid("Cannot change Domain ID.")
    values, options = given(name=want.name, description=want.description), options_of(want.options)
    permits.check_change(row, "role", values | want.extra, options)
    with once(tx, taken(want.name)):
        row = store.update(
            tx, row, **values, extra=row.extra | extra_of(want),
            options=permits.options_after(row.options, options),
        )
    void(tx)
    journal.record(tx, "role.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, role_id: str) -> None:
    """Assignments and implications go along: foreign keys say so."""
    row = get(tx, ctx, role_id, policy.DELETE_DOMAIN_ROLE)
    permits.changeable(row, "role", "delete")
    store.delete(tx, row)
    void(tx)
    journal.record(tx, "role.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(
    ROLES, service="identity", kind="role", label="Role", targets={"target.role.domain_id": "domain_id"}
)


def get(tx: Tx, ctx: Context, role_id: str, of_domain: Rule) -> Any:
    """The role; one of a domain also needs what `of_domain` asks for."""
    row = store.get(tx, ctx, role_id)
    if row.domain_id:
        permits.demand(ctx, of_domain, {"target.role.domain_id": row.domain_id})
    return row


def view(ctx: Context, row: Any) -> Role:
    return Role(
        id=row.id, name=row.name, domain_id=row.domain_id or None, description=row.description,
        options=row.options, links=links.to(ctx, f"roles/{row.id}"), extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: RoleQuery) -> Page:
    if query.domain_id:
        permits.demand(ctx, policy.LIST_DOMAIN_ROLES, {"target.role.domain_id": query.domain_id})
    where = [ROLES.c.domain_id == (query.domain_id or "")]
    return page(tx, ctx, store, query, "roles", view, equal=["name"], where=where)


def taken(name: object) -> errors.Conflict:
    return duplicate("role", f"Duplicate entry found with name {name}")
