# SPDX-License-Identifier: Apache-2.0
"""The security groups of a server's ports, in the words compute's API had for them.

Groups and rules are the network service's; adding one to a server is an action (servers/actions.py).
Only incoming rules are printed: this form is from before there were others.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.network import facade as network

routes = Routes()

EVERYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}
WITH_PORTS = ("tcp", "udp")


@routes.get("/v2.1/servers/{server_id}/os-security-groups", policy=policy.SERVER_SECURITY_GROUPS)
async def index(ctx: Context, server_id: str) -> Any:
    """List a server's security groups."""
    return {"security_groups": await ctx.read(groups_of, server_id)}


def groups_of(tx: Tx, ctx: Context, server_id: str) -> list[dict[str, Any]]:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    ports = network.views(tx, ctx, [server.id]).get(server.id, [])
    mine = {group_id for port in ports for group_id in port.security_group_ids}
    groups = network.group_views(tx, ctx, sorted(mine))
    remote = {rule[-1] for group in groups.values() for rule in group.ingress if rule[-1]}
    known = groups | network.group_views(tx, ctx, sorted(remote - mine))
    found = sorted(groups.values(), key=lambda group: (group.project_id, group.name, group.id))
    return [printed(group, known) for group in found]


def printed(group: network.GroupView, known: dict[str, network.GroupView]) -> dict[str, Any]:
    return {
        "id": group.id, "name": group.name, "description": group.description, "tenant_id": group.project_id,
        "rules": [printed_rule(group.id, rule, known) for rule in group.ingress],
    }


def printed_rule(group_id: str, rule: tuple[Any, ...], known: dict[str, network.GroupView]) -> dict[str, Any]:
    id, ethertype, protocol, least, most, cidr, remote_id = rule
    if protocol and least is None and most is None:
        # Upstream spells out "all ports" where a protocol has ports, else -1.
        least, most = (1, 65535) if protocol.lower() in WITH_PORTS else (-1, -1)
    remote = known.get(remote_id or "")
    return {
        "id": id, "parent_group_id": group_id, "ip_protocol": protocol, "from_port": least, "to_port": most,
        "ip_range": {} if remote_id else {"cidr": cidr or EVERYWHERE[ethertype]},
        "group": {"name": remote.name, "tenant_id": remote.project_id} if remote else {},
    }
