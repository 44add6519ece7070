# SPDX-License-Identifier: Apache-2.0
"""Domains: the containers of users, groups and projects.

Rows and names are shared with projects: places.py. A domain can only be deleted once it was disabled,
and takes everything in it along.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Absent, OpenShape, Page, collection, envelope, field
from skyhold.identity import groups, permits, places, policy, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, NAME, ResourceOptions, extra_of, options_of
from skyhold.identity.tables import ASSIGNMENTS, GROUPS, PROJECTS, ROLES, USERS
from skyhold.identity.views import Domain, domain_view

# ---- shape ---------------------------------------------------------------------------------


class DomainCreate(OpenShape):
    name: str = field(min=1, max=64, pattern=NAME)
    description: str | None = field(default="")
    enabled: bool = field(default=True)
    explicit_domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    options: ResourceOptions | Absent = field(optional=True)


class DomainChange(OpenShape, min_fields=1):
    name: str | Absent = field(optional=True, min=1, max=64, pattern=NAME)
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)
    options: ResourceOptions | Absent = field(optional=True)


class DomainQuery(ListQuery):
    name: str | None = field(default=None)
    enabled: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("domain", Domain)


@routes.get(
    "/v3/domains", policy=policy.LIST_DOMAINS, query=DomainQuery, reply=collection(
        "domains", Domain, links="links"
    )
)
async def index(ctx: Context, query: DomainQuery) -> Page:
    """List domains."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/domains", policy=policy.CREATE_DOMAIN, body=envelope("domain", DomainCreate), reply=ONE, status=201
)
async def create(ctx: Context, want: DomainCreate) -> Domain:
    """Create a domain."""
    return await ctx.write(insert, want)


@routes.get("/v3/domains/{domain_id}", policy=policy.GET_DOMAIN, reply=ONE)
async def show(ctx: Context, domain_id: str) -> Domain:
    """Show a domain."""
    return domain_view(ctx, await ctx.read(places.domains.get, domain_id))


@routes.patch(
    "/v3/domains/{domain_id}", policy=policy.UPDATE_DOMAIN, body=envelope("domain", DomainChange), reply=ONE
)
async def update(ctx: Context, domain_id: str, want: DomainChange) -> Domain:
    """Change a domain."""
    return await ctx.write(change, domain_id, want)


@routes.delete("/v3/domains/{domain_id}", policy=policy.DELETE_DOMAIN)
async def delete(ctx: Context, domain_id: str) -> None:
    """Delete a disabled domain and everything in it."""
    await ctx.write(remove, domain_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: DomainCreate) -> Domain:
    """Raises Conflict for a name or an id that is taken."""
    row = places.insert(
        tx, places.domains, id=want.explicit_domain_id or permits.hex_id(ctx), name=want.name, domain_id="",
        parent_id=None, is_domain=True, enabled=want.enabled, description=want.description or "",
        extra=extra_of(want), options=permits.options_after({}, options_of(want.options)), tags=[],
    )
    journal.record(tx, "domain.create", row)
    return domain_view(ctx, row)


def change(tx: Tx, ctx: Context, domain_id: str, want: DomainChange) -> Domain:
    row = places.domains.get(tx, ctx, domain_id)
    options = options_of(want.options)
    permits.check_change(row, "domain", places.plain(want) | want.extra, options)
    row = places.change(
        tx, places.domains, row, **places.plain(want), extra=row.extra | extra_of(want),
        options=permits.options_after(row.options, options),
    )
    void(tx)
    journal.record(tx, "domain.update", row)
    return domain_view(ctx, row)


def remove(tx: Tx, ctx: Context, domain_id: str) -> None:
    """Raises Forbidden while the domain is enabled, and for the default domain."""
    row = places.domains.get(tx, ctx, domain_id)
    if row.id == places.DEFAULT_DOMAIN_ID:
        raise errors.Forbidden(
            "Cannot delete the default domain: the administrator and the services' project are in it.",
            reason="default_domain",
        )
    permits.changeable(row, "domain", "delete")
    if row.enabled:
        raise errors.Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    for user in rows_in(tx, users.store, USERS, domain_id):
        users.remove_row(tx, user)
    for group in rows_in(tx, groups.store, GROUPS, domain_id):
        groups.remove_row(tx, group)
    for project in rows_in(tx, places.projects, PROJECTS, domain_id):
        places.remove(tx, places.projects, project)
    of_domain = sa.select(ROLES.c.id).where(ROLES.c.domain_id == domain_id)
    tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.role_id.in_(of_domain)))
    tx.execute(ROLES.delete().where(ROLES.c.domain_id == domain_id))
    places.remove(tx, places.domains, row)
    void(tx)


# ---- queries -------------------------------------------------------------------------------


def rows_in(tx: Tx, store: Any, table: sa.Table, domain_id: str) -> list[Any]:
    """Locked, for they are to go: what somebody else is just deleting is waited for, and then isn't among them."""
    inside = sa.select(*table.c).where(table.c.domain_id == domain_id).order_by(table.c.id).with_for_update()
    return [store.Row._make(row) for row in tx.all(inside)]


def list_page(tx: Tx, ctx: Context, query: DomainQuery) -> Page:
    return page(tx, ctx, places.domains, query, "domains", domain_view, equal=["name"], flags=["enabled"])
