# SPDX-License-Identifier: Apache-2.0
"""A server's ports: `/servers/{server_id}/os-interface`, listed, attached and detached.

Ports are the network service's; plugging them is sagas/ports.py. Attaching answers when the port
is plugged, as clients expect of this call, or with what went wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from skyhold.compute import actions, policy
from skyhold.compute.sagas.ports import AttachPort, DetachPort
from skyhold.compute.servers import ops
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, collection, envelope, field
from skyhold.network import facade as network

if TYPE_CHECKING:
    from skyhold.core.app import Core

INTERFACES = "/v2.1/servers/{server_id}/os-interface"
PATIENCE_S = 30.0

# ---- shape ---------------------------------------------------------------------------------


class FixedIpAsk(Shape):
    ip_address: str = field(format="ip")


class InterfaceAttach(Shape):
    net_id: str | None = field(default=None, format="uuid")
    port_id: str | None = field(default=None, format="uuid")
    fixed_ips: list[FixedIpAsk] = field(default_factory=list, max_items=1)
    tag: str | None = field(since="2.49", default=None, min=1, max=60, pattern=r"^[^,/]*$")


class FixedIp(Shape):
    subnet_id: str
    ip_address: str


class Interface(Shape):
    port_id: str
    net_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[FixedIp]
    tag: str | None = field(since="2.70")


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get(INTERFACES, policy=policy.INTERFACES_LIST, reply=collection("interfaceAttachments", Interface))
async def index(ctx: Context, server_id: str) -> list[Interface]:
    """List a server's ports."""
    return await ctx.read(list_of, server_id)


@routes.get(
    INTERFACES + "/{port_id}", policy=policy.INTERFACES_SHOW, reply=envelope("interfaceAttachment", Interface)
)
async def show(ctx: Context, server_id: str, port_id: str) -> Interface:
    """Show one port of a server."""
    return await ctx.read(one_of, server_id, port_id)


@routes.post(
    INTERFACES, policy=policy.INTERFACES_CREATE, body=envelope("interfaceAttachment", InterfaceAttach),
    reply=envelope("interfaceAttachment", Interface),
)
async def attach(ctx: Context, server_id: str, want: InterfaceAttach) -> Interface:
    """Attach a port, made now or existing, and wait until it is plugged."""
    begun, saga_id = await ctx.write(begin_attach, server_id, want)
    if ctx.dry_run:
        # It was rolled back: there is nothing to wait for, and nothing to read.
        return begun
    if error := await ctx.core.sagas.wait(saga_id, PATIENCE_S):
        raise errors.Conflict(f"Port {begun.port_id} could not be attached: {error}")
    return await ctx.read(one_of, server_id, begun.port_id)


@routes.delete(INTERFACES + "/{port_id}", policy=policy.INTERFACES_DELETE, status=202)
async def detach(ctx: Context, server_id: str, port_id: str) -> None:
    """Detach a port."""
    await ctx.write(begin_detach, server_id, port_id)


# ---- operations ----------------------------------------------------------------------------


def begin_attach(tx: Tx, ctx: Context, server_id: str, want: InterfaceAttach) -> tuple[Interface, str]:
    """(port, saga). Raises Invalid for contradicting wishes, Conflict in a wrong state."""
    if want.port_id and (want.net_id or want.fixed_ips):
        raise errors.Invalid("Give port_id, or net_id with an address: not both.")
    server = ops.placed(tx, ctx, server_id, "attach_interface")
    fixed_ip = want.fixed_ips[0].ip_address if want.fixed_ips else None
    ask = network.PortAsk(
        network_id=want.net_id, port_id=want.port_id, fixed_ip=fixed_ip, tag=want.tag,
    )
    named = want.net_id or want.port_id
    if fixed_ip and not named:
        raise errors.Invalid("Must input network_id when request IP address")
    asks = network.plan(tx, ctx, [ask] if named else None)
    if not asks:
        raise errors.Invalid("There is no network to attach: create one, or name one with net_id.")
    port_id, = network.create_ports(
        tx, ctx, [msgspec.structs.replace(asks[0], tag=want.tag)], server_id=server.id, project_id=server.project_id,
        hostname=server.hostname, security_groups=[],
    )
    port = next(one for one in network.views(tx, ctx, [server.id])[server.id] if one.id == port_id)
    network.bind(tx, ctx, server.id, server.host_id)
    action = actions.begin(tx, ctx, server, "attach_interface")
    kept = AttachPort.Kept(server_id=server.id, host_id=server.host_id, action_id=action)
    return view(port), AttachPort.start(tx, ctx, subject=port.id, kept=kept)


def begin_detach(tx: Tx, ctx: Context, server_id: str, port_id: str) -> None:
    server = ops.placed(tx, ctx, server_id, "detach_interface")
    port_of(tx, ctx, server_id, port_id)
    action = actions.begin(tx, ctx, server, "detach_interface")
    kept = DetachPort.Kept(server_id=server.id, host_id=server.host_id, action_id=action)
    DetachPort.start(tx, ctx, subject=port_id, kept=kept)


async def at_start(core: Core) -> None:
    network.add_source_of_devices(core, is_anothers)


def is_anothers(tx: Tx, ctx: Context, server_id: str) -> bool:
    """Whether it is a server that the caller may not attach a port to: then no port of theirs may say it is in it."""
    server = SERVERS_STORE.find(tx, server_id)
    return server is not None and not ctx.allows(policy.INTERFACES_CREATE, server._asdict())


# ---- queries -------------------------------------------------------------------------------


def list_of(tx: Tx, ctx: Context, server_id: str) -> list[Interface]:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    return [view(port) for port in network.views(tx, ctx, [server.id]).get(server.id, [])]


def one_of(tx: Tx, ctx: Context, server_id: str, port_id: str) -> Interface:
    return view(port_of(tx, ctx, server_id, port_id))


def port_of(tx: Tx, ctx: Context, server_id: str, port_id: str) -> Any:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    for port in network.views(tx, ctx, [server.id]).get(server.id, []):
        if port.id == port_id:
            return port
    raise errors.NotFound(f"Port id {port_id} is not attached to instance {server_id}.")


def view(port: Any) -> Interface:
    fixed = [FixedIp(subnet_id=fixed.subnet_id, ip_address=fixed.ip) for fixed in port.fixed_ips]
    return Interface(
        port_id=port.id, net_id=port.network_id, mac_addr=port.mac, port_state=port.status, fixed_ips=fixed,
        tag=port.tag,
    )

