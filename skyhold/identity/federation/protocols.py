# SPDX-License-Identifier: Apache-2.0
"""Protocols: by which an identity provider speaks to this cloud, and which mapping reads it.

How each is spoken is oidc/ and saml/; what only the operator knows of it (an issuer, a secret, a file of
metadata) are settings. The API's id of a protocol is unique within its provider only.
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
from skyhold.identity import links, permits
from skyhold.identity.federation import mappings, policy, providers, shadows
from skyhold.identity.federation.tables import PROTOCOLS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, given
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class ProtocolCreate(Shape):
    mapping_id: str = field(min=1, max=64, pattern=ID)
    remote_id_attribute: str | Absent = field(optional=True, max=64)


class ProtocolChange(Shape, min_fields=1):
    mapping_id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    remote_id_attribute: str | Absent = field(optional=True, max=64)


class Protocol(Shape):
    id: str
    mapping_id: str
    remote_id_attribute: str | Absent = field(optional=True)
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols"
ONE = ALL + "/{protocol_id}"
REPLY = envelope("protocol", Protocol)


@routes.get(ALL, policy=policy.LIST_PROTOCOLS, query=ListQuery, reply=collection("protocols", Protocol, links="links"))
async def index(ctx: Context, idp_id: str, query: ListQuery) -> Page:
    """List protocols of an identity provider."""
    return await ctx.read(list_page, idp_id, query)


@routes.put(ONE, policy=policy.CREATE_PROTOCOL, body=envelope("protocol", ProtocolCreate), reply=REPLY, status=201)
async def create(ctx: Context, idp_id: str, protocol_id: str, want: ProtocolCreate) -> Protocol:
    """Let an identity provider use a protocol, read by a mapping."""
    return await ctx.write(insert, idp_id, protocol_id, want)


@routes.get(ONE, policy=policy.GET_PROTOCOL, reply=REPLY)
async def show(ctx: Context, idp_id: str, protocol_id: str) -> Protocol:
    """Show a protocol of an identity provider."""
    return view(ctx, await ctx.read(get, idp_id, protocol_id))


@routes.patch(ONE, policy=policy.UPDATE_PROTOCOL, body=envelope("protocol", ProtocolChange), reply=REPLY)
async def update(ctx: Context, idp_id: str, protocol_id: str, want: ProtocolChange) -> Protocol:
    """Change the mapping of a protocol."""
    return await ctx.write(change, idp_id, protocol_id, want)


@routes.delete(ONE, policy=policy.DELETE_PROTOCOL)
async def delete(ctx: Context, idp_id: str, protocol_id: str) -> None:
    """Delete a protocol of an identity provider; the tokens that came by it are void."""
    await ctx.write(remove, idp_id, protocol_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, idp_id: str, protocol_id: str, want: ProtocolCreate) -> Protocol:
    """Raises NotFound without the provider, Invalid without the mapping."""
    providers.named(protocol_id, "protocol")
    provider = providers.store.find(tx, idp_id, lock="stay")
    if provider is None:
        raise providers.store.not_found(idp_id)
    check_mapping(tx, want.mapping_id)
    with once(tx, duplicate("federation_protocol", f"Duplicate entry found with ID {protocol_id}")):
        row = store.insert(
            tx, id=permits.hex_id(ctx), provider_id=idp_id, name=protocol_id, mapping_id=want.mapping_id,
            remote_id_attribute=given(it=want.remote_id_attribute).get("it"),
        )
    journal.record(tx, "protocol.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, idp_id: str, protocol_id: str, want: ProtocolChange) -> Protocol:
    row = get(tx, ctx, idp_id, protocol_id)
    values = given(mapping_id=want.mapping_id, remote_id_attribute=want.remote_id_attribute)
    if not values:
        raise errors.Invalid("A protocol's change names at least one attribute.")
    if "mapping_id" in values:
        check_mapping(tx, values["mapping_id"])
    row = store.update(tx, row, **values)
    journal.record(tx, "protocol.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, idp_id: str, protocol_id: str) -> None:
    row = get(tx, ctx, idp_id, protocol_id)
    shadows.sign_out(tx, idp_id, protocol_id)
    store.delete(tx, row)
    journal.record(tx, "protocol.delete", row)


def check_mapping(tx: Tx, mapping_id: str) -> None:
    if mappings.store.find(tx, mapping_id) is None:
        raise errors.Invalid(f"There is no mapping {mapping_id}: create it first.", reason="no_mapping")


# ---- queries -------------------------------------------------------------------------------

store = Store(PROTOCOLS, service="identity", kind="protocol", label="Protocol")


def get(tx: Tx, ctx: Context, idp_id: str, protocol_id: str) -> Any:
    """The row, locked in a write; NotFound names what the address named."""
    row = by_name(tx, idp_id, protocol_id)
    if row is None:
        raise store.not_found(protocol_id)
    return store.get(tx, ctx, row.id)


def by_name(tx: Tx, idp_id: str, protocol_id: str) -> Any:
    p = PROTOCOLS.c
    return tx.first(sa.select(*PROTOCOLS.c).where(p.provider_id == idp_id, p.name == protocol_id))


def list_page(tx: Tx, ctx: Context, idp_id: str, query: ListQuery) -> Page:
    if providers.store.find(tx, idp_id) is None:
        raise providers.store.not_found(idp_id)
    path = f"OS-FEDERATION/identity_providers/{idp_id}/protocols"
    return page(tx, ctx, store, query, path, view, where=[PROTOCOLS.c.provider_id == idp_id])


def view(ctx: Context, row: Any) -> Protocol:
    provider = f"{links.base(ctx)}/OS-FEDERATION/identity_providers/{row.provider_id}"
    return Protocol(
        id=row.name, mapping_id=row.mapping_id,
        remote_id_attribute=row.remote_id_attribute if row.remote_id_attribute is not None else ABSENT,
        links={"self": f"{provider}/protocols/{row.name}", "identity_provider": provider},
    )
