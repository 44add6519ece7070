# SPDX-License-Identifier: Apache-2.0
"""Clients of the issuer: programs that let this cloud's users sign in, registered by an administrator.

What they then do is authorize.py and granting.py. A browser is only ever sent to a redirect URI that is listed
here, spelled exactly so.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any
from urllib.parse import urlsplit

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits
from skyhold.identity.issuer import policy
from skyhold.identity.issuer.tables import CLIENTS
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.shapes import NAME, given
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class ClientCreate(Shape):
    name: str = field(min=1, max=255, pattern=NAME)
    redirect_uris: list[str] = field(min_items=1, max_items=50, max=2048, unique_items=True)
    public: bool = field(default=False)


class ClientChange(Shape):
    name: str | Absent = field(optional=True, min=1, max=255, pattern=NAME)
    redirect_uris: list[str] | Absent = field(optional=True, min_items=1, max_items=50, max=2048, unique_items=True)


class Client(Shape):
    id: str
    name: str
    redirect_uris: list[str]
    public: bool
    secret: str | Absent = field(optional=True, secret=True)
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
REPLY = envelope("client", Client)


@routes.get(
    policy.ALL, policy=policy.LIST_CLIENTS, query=NamedQuery, reply=collection("clients", Client, links="links")
)
async def index(ctx: Context, query: NamedQuery) -> Page:
    """List clients of the issuer."""
    return await ctx.read(list_page, query)


@routes.post(policy.ALL, policy=policy.CREATE_CLIENT, body=envelope("client", ClientCreate), reply=REPLY, status=201)
async def create(ctx: Context, want: ClientCreate) -> Client:
    """Register a client of the issuer; its secret is shown this once."""
    return await ctx.write(insert, want, None if want.public else secrets.token_urlsafe(32))


@routes.get(policy.ONE, policy=policy.GET_CLIENT, reply=REPLY)
async def show(ctx: Context, oidc_client_id: str) -> Client:
    """Show a client of the issuer."""
    return view(ctx, await ctx.read(store.get, oidc_client_id))


@routes.patch(policy.ONE, policy=policy.UPDATE_CLIENT, body=envelope("client", ClientChange), reply=REPLY)
async def update(ctx: Context, oidc_client_id: str, want: ClientChange) -> Client:
    """Change a client of the issuer."""
    return await ctx.write(change, oidc_client_id, want)


@routes.delete(policy.ONE, policy=policy.DELETE_CLIENT)
async def delete(ctx: Context, oidc_client_id: str) -> None:
    """Delete a client of the issuer, with every code and token it has."""
    await ctx.write(remove, oidc_client_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: ClientCreate, secret: str | None) -> Client:
    check_uris(want.redirect_uris)
    with once(tx, taken(want.name)):
        row = store.insert(
            tx, id=permits.hex_id(ctx), name=want.name, redirect_uris=want.redirect_uris,
            secret_digest=None if secret is None else digest(secret),
        )
    journal.record(tx, "oidc_client.create", row)
    return view(ctx, row, secret)


def change(tx: Tx, ctx: Context, client_id: str, want: ClientChange) -> Client:
    row = store.get(tx, ctx, client_id)
    values = given(name=want.name, redirect_uris=want.redirect_uris)
    if not values:
        raise errors.Invalid("A client's change names at least one attribute.")
    check_uris(values.get("redirect_uris", ()))
    with once(tx, taken(want.name)):
        row = store.update(tx, row, **values)
    journal.record(tx, "oidc_client.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, client_id: str) -> None:
    row = store.get(tx, ctx, client_id)
    store.delete(tx, row)
    journal.record(tx, "oidc_client.delete", row)


def check_uris(uris: Any) -> None:
    """Raises Invalid for what a browser must not be sent to with a code."""
    for uri in uris:
        try:
            parts = urlsplit(uri)
            local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        except ValueError:
            raise bad_uri(uri) from None
        plain = uri.isascii() and uri.isprintable() and not set(uri) & set(" <>\"'\\;,")
        fitting = parts.scheme == "https" or (parts.scheme == "http" and local)
        if not plain or not fitting or not parts.hostname or parts.fragment or parts.username is not None:
            raise bad_uri(uri)


def bad_uri(uri: str) -> errors.Invalid:
    return errors.Invalid(
        f"{uri[:200]!r} is no redirect URI: it is an https URL (http on this machine alone) without a fragment.",
        reason="bad_redirect_uri",
    )


# ---- queries -------------------------------------------------------------------------------

store = Store(CLIENTS, service="identity", kind="oidc_client", label="Client", secrets=["secret_digest"])


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def list_page(tx: Tx, ctx: Context, query: NamedQuery) -> Page:
    return page(tx, ctx, store, query, "OS-OIDC/clients", view, equal=["name"])


def view(ctx: Context, row: Any, secret: str | None = None) -> Client:
    return Client(
        id=row.id, name=row.name, redirect_uris=row.redirect_uris, public=row.secret_digest is None,
        secret=ABSENT if secret is None else secret, links=links.to(ctx, f"OS-OIDC/clients/{row.id}"),
    )


def taken(name: object) -> errors.Conflict:
    return duplicate("client", f"Duplicate entry found with name {name}")
