# SPDX-License-Identifier: Apache-2.0
"""A server's addresses by network, as the network service knows them.

The same addresses, with more about each, stand in the server itself (servers/views.py).
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy
from skyhold.compute.servers import views
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.network import facade as network

routes = Routes()
PATH = "/v2.1/servers/{server_id}/ips"


@routes.get(PATH, policy=policy.IPS_INDEX)
async def index(ctx: Context, server_id: str) -> Any:
    """List a server's addresses by network."""
    return {"addresses": await ctx.read(addresses, server_id)}


@routes.get(PATH + "/{network_label}", policy=policy.IPS_SHOW)
async def show(ctx: Context, server_id: str, network_label: str) -> Any:
    """List a server's addresses on one network."""
    found = await ctx.read(addresses, server_id)
    if network_label not in found:
        raise errors.NotFound("Instance is not a member of specified network")
    return {network_label: found[network_label]}


def addresses(tx: Tx, ctx: Context, server_id: str) -> dict[str, list[dict[str, Any]]]:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    cards = network.shown_cards(tx, ctx, [server.id]).get(server.id, network.ShownCards())
    return {
        name: [{"version": entry["version"], "addr": entry["addr"]} for entry in entries]
        for name, entries in views.addresses(cards.addresses).items()
    }
