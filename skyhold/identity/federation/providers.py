# SPDX-License-Identifier: Apache-2.0
"""Identity providers: who else may say who somebody is.

By which protocol one speaks is protocols.py, what its word becomes here mappings.py. Each has a domain of its
own for its users; disabling or deleting one voids every token that came by it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, places
from skyhold.identity.auth.sessions import void
from skyhold.identity.federation import policy, shadows
from skyhold.identity.federation.tables import PROVIDERS, REMOTE_IDS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, given
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------

LONGEST_TTL_MIN = 60 * 24 * 366 * 10


class ProviderCreate(Shape):
    description: str | None = field(default=None)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    enabled: bool = field(default=False)
    authorization_ttl: int | None = field(default=None, min=0, max=LONGEST_TTL_MIN)
    remote_ids: list[str] | None = field(default=None, max=255, max_items=1000, unique_items=True)


class ProviderChange(Shape, min_fields=1):
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)
    authorization_ttl: int | Absent | None = field(optional=True, min=0, max=LONGEST_TTL_MIN)
    remote_ids: list[str] | Absent | None = field(optional=True, max=255, max_items=1000, unique_items=True)


class Provider(Shape):
    id: str
    domain_id: str
    description: str | None
    enabled: bool
    authorization_ttl: int | None
    remote_ids: list[str]
    links: JsonObject


class ProviderQuery(ListQuery):
    id: str | None = field(default=None)
    enabled: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-FEDERATION/identity_providers"
ONE = ALL + "/{idp_id}"
REPLY = envelope("identity_provider", Provider)


@routes.get(
    ALL, policy=policy.LIST_IDENTITY_PROVIDERS, query=ProviderQuery,
    reply=collection("identity_providers", Provider, links="links"),
)
async def index(ctx: Context, query: ProviderQuery) -> Page:
    """List identity providers."""
    return await ctx.read(list_page, query)


@routes.put(
    ONE, policy=policy.CREATE_IDENTITY_PROVIDER, body=envelope("identity_provider", ProviderCreate), reply=REPLY,
    status=201,
)
async def create(ctx: Context, idp_id: str, want: ProviderCreate) -> Provider:
    """Register an identity provider; without a domain it gets one of its own."""
    return await ctx.write(insert, idp_id, want)


@routes.get(ONE, policy=policy.GET_IDENTITY_PROVIDER, reply=REPLY)
async def show(ctx: Context, idp_id: str) -> Provider:
    """Show an identity provider."""
    return await ctx.read(get, idp_id)


@routes.patch(
    ONE, policy=policy.UPDATE_IDENTITY_PROVIDER, body=envelope("identity_provider", ProviderChange), reply=REPLY
)
async def update(ctx: Context, idp_id: str, want: ProviderChange) -> Provider:
    """Change an identity provider; disabling it voids the tokens that came by it."""
    return await ctx.write(change, idp_id, want)


@routes.delete(ONE, policy=policy.DELETE_IDENTITY_PROVIDER)
async def delete(ctx: Context, idp_id: str) -> None:
    """Delete an identity provider with its protocols; the tokens that came by it are void."""
    await ctx.write(remove, idp_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, idp_id: str, want: ProviderCreate) -> Provider:
    """Raises Conflict for an id, a domain or a remote id that another one has."""
    named(idp_id, "identity provider")
    if store.find(tx, idp_id) is not None:
        raise taken(idp_id)
    domain_id = places.domain(tx, want.domain_id).id if want.domain_id else own_domain(tx, ctx, idp_id)
    row = store.add(
        tx, id=idp_id, domain_id=domain_id, description=want.description, enabled=want.enabled,
        authorization_ttl=want.authorization_ttl,
    )
    if row is None:
        raise clash(tx, idp_id, domain_id)
    remember(tx, idp_id, want.remote_ids or [])
    journal.record(tx, "identity_provider.create", row)
    return view(tx, ctx, [row])[0]


def own_domain(tx: Tx, ctx: Context, idp_id: str) -> str:
    name = permits.hex_id(ctx)
    row = places.insert(
        tx, places.domains, id=permits.hex_id(ctx), name=name, domain_id="", parent_id=None, is_domain=True,
        enabled=True, description=f"Users of the identity provider {idp_id}.", extra={}, options={}, tags=[],
    )
    journal.record(tx, "domain.create", row)
    domain_id: str = row.id
    return domain_id


def change(tx: Tx, ctx: Context, idp_id: str, want: ProviderChange) -> Provider:
    row = store.get(tx, ctx, idp_id)
    values = given(
        description=want.description, enabled=want.enabled, authorization_ttl=want.authorization_ttl
    )
    if not values and want.remote_ids is ABSENT:
        raise errors.Invalid("An identity provider's change names at least one attribute.")
    if row.enabled and want.enabled is False:
        shadows.sign_out(tx, idp_id)
    if values:
        row = store.update(tx, row, **values)
    if want.remote_ids is not ABSENT:
        tx.execute(REMOTE_IDS.delete().where(REMOTE_IDS.c.provider_id == idp_id))
        remember(tx, idp_id, want.remote_ids or [])
    void(tx)
    journal.record(tx, "identity_provider.update", row)
    return view(tx, ctx, [row])[0]


def remove(tx: Tx, ctx: Context, idp_id: str) -> None:
    row = store.get(tx, ctx, idp_id)
    shadows.sign_out(tx, idp_id)
    store.delete(tx, row)
    journal.record(tx, "identity_provider.delete", row)


def remember(tx: Tx, idp_id: str, remote_ids: list[str]) -> None:
    if not remote_ids:
        return
    with once(tx, errors.Conflict(
        "One of the remote ids belongs to another identity provider.", reason="remote_id_taken"
    )):
        tx.execute(
            REMOTE_IDS.insert(), [{"remote_id": each, "provider_id": idp_id} for each in sorted(remote_ids)]
        )


# ---- queries -------------------------------------------------------------------------------

store = Store(PROVIDERS, service="identity", kind="identity_provider", label="Identity provider")


def get(tx: Tx, ctx: Context, idp_id: str) -> Provider:
    return view(tx, ctx, [store.get(tx, ctx, idp_id)])[0]


def list_page(tx: Tx, ctx: Context, query: ProviderQuery) -> Page:
    found = page(
        tx, ctx, store, query, "OS-FEDERATION/identity_providers", lambda ctx, row: row, equal=["id"],
        flags=["enabled"],
    )
    return Page(view(tx, ctx, list(found.items)), found.links)


def view(tx: Tx, ctx: Context, rows: list[Any]) -> list[Provider]:
    known = remote_ids_of(tx, [row.id for row in rows])
    return [
        Provider(
            id=row.id, domain_id=row.domain_id, description=row.description, enabled=row.enabled,
            authorization_ttl=row.authorization_ttl, remote_ids=known.get(row.id, []),
            links=links_of(ctx, row.id),
        )
        for row in rows
    ]


def links_of(ctx: Context, idp_id: str) -> JsonObject:
    at = f"{links.base(ctx)}/OS-FEDERATION/identity_providers/{idp_id}"
    return {"self": at, "protocols": at + "/protocols"}


def remote_ids_of(tx: Tx, idp_ids: list[str]) -> dict[str, list[str]]:
    r = REMOTE_IDS.c
    found: dict[str, list[str]] = {}
    if idp_ids:
        rows = tx.all(sa.select(r.provider_id, r.remote_id).where(r.provider_id.in_(idp_ids)).order_by(r.remote_id))
        for row in rows:
            found.setdefault(row.provider_id, []).append(row.remote_id)
    return found


def named(id: str, kind: str) -> None:
    """The address names the new thing: raises Invalid for what couldn't be addressed or stored."""
    if not 1 <= len(id) <= 64:
        raise errors.Invalid(f"The id of a new {kind} is 1 to 64 characters long.")


def clash(tx: Tx, idp_id: str, domain_id: str) -> errors.Conflict:
    other = tx.first(sa.select(PROVIDERS.c.id).where(PROVIDERS.c.domain_id == domain_id, PROVIDERS.c.id != idp_id))
    if other is None:
        return taken(idp_id)
    return errors.Conflict(
        f"Domain {domain_id} already belongs to another identity provider.", reason="domain_taken"
    )


def taken(idp_id: str) -> errors.Conflict:
    return duplicate("identity_provider", f"Duplicate entry found with ID {idp_id}")
