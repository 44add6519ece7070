# SPDX-License-Identifier: Apache-2.0
"""The rows of ports, their addresses and groups; used by every resource that owns ports.

What a user may ask of a port is ports/ops.py. Who sees a port: its project, and the project of the
network it is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.network import addresses, policy
from skyhold.network.answers import Dressed, chunks
from skyhold.network.logic import addresses as logic
from skyhold.network.tables import ADDRESSES, NETWORKS, PORT_GROUPS, PORTS, TAGS

MAC_TRIES = 16
NAMED = 3
"""How many ports a refusal names."""
DHCP, GATEWAY, INTERFACE, FLOATING = (
    "network:dhcp", "network:router_gateway", "network:router_interface", "network:floatingip",
)
INTERFACES = (INTERFACE, "network:router_interface_distributed", "network:ha_router_replicated_interface")

DHCP_DEVICE = "dhcp-"
"""Followed by the subnet's id, this is the device of the port that holds a subnet's DHCP address."""

PLAIN: dict[str, Any] = {
    "name": "", "description": "", "tags": [], "revision": 1, "admin_up": True, "status": "DOWN",
    "device_id": "", "device_owner": "", "port_security": False, "host_id": "", "vnic_type": "normal",
    "vif_type": "unbound", "profile": {}, "pairs": [], "dhcp_options": [], "hostname": "",
    "made_by_compute": False,
}


def visible_besides(ctx: Context) -> list[Any]:
    if "reader" not in ctx.creds.roles or not ctx.project_id:
        return []
    return [PORTS.c.network_id.in_(sa.select(NETWORKS.c.id).where(NETWORKS.c.project_id == ctx.project_id))]


store = Store(PORTS, service="network", kind="port", label="Port", shared=visible_besides)


def insert(tx: Tx, ctx: Context, *, network_id: str, mac: str | None = None, **values: Any) -> Any:
    """A port without addresses. Conflict (MacAddressInUse) for a given address that is taken."""
    for _ in range(MAC_TRIES):
        id = ctx.new_id()
        row = {**PLAIN, "id": id, "network_id": network_id, "mac": mac or logic.made_mac(id), **values}
        if (made := store.add(tx, **row)) is not None:
            return made
        if mac is not None:
            raise errors.Conflict(
                f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
                kind="MacAddressInUse",
            )
        if tx.first(sa.select(NETWORKS.c.id).where(NETWORKS.c.id == network_id)) is None:
            raise errors.NotFound(f"Network {network_id} could not be found.", kind="network", id=network_id)
    raise errors.Unavailable("Unable to generate unique mac on network.", kind="MacAddressGenerationFailure")


def delete(tx: Tx, rows: Sequence[Any]) -> None:
    """The rows and what hangs on them; quota, journal and the data plane are the caller's."""
    ids = [row.id for row in rows]
    addresses.give_back(tx, ids)
    tx.execute(PORT_GROUPS.delete().where(PORT_GROUPS.c.port_id.in_(ids)))
    if any(row.tags for row in rows):
        tx.execute(TAGS.delete().where(TAGS.c.resource_id.in_(ids)))
    tx.execute(PORTS.delete().where(PORTS.c.id.in_(ids)))


def still_there(tx: Tx, rows: Sequence[Any]) -> list[Any]:
    """Those of the rows that nobody else has removed, locked: what goes with a port must go once."""
    found: set[str] = set()
    for ids in chunks([row.id for row in rows]):
        found.update(row.id for row in tx.all(sa.select(PORTS.c.id).where(PORTS.c.id.in_(ids)).with_for_update()))
    return [row for row in rows if row.id in found]


def answers_dhcp(row: Any) -> bool:
    """Whether the cloud made this port for a subnet's own DHCP address."""
    return bool(row.device_owner == DHCP and row.device_id.startswith(DHCP_DEVICE))


def set_groups(tx: Tx, port_id: str, group_ids: Iterable[str]) -> None:
    rows = [{"port_id": port_id, "group_id": each} for each in dict.fromkeys(group_ids)]
    if rows:
        tx.execute(PORT_GROUPS.insert(), rows)


FIXED_IPS = (
    sa.select(ADDRESSES.c.port_id, ADDRESSES.c.subnet_id, ADDRESSES.c.ip)
    .where(among(ADDRESSES.c.port_id, "ids"))
    .order_by(ADDRESSES.c.port_id, ADDRESSES.c.rank)
)
GROUPS = (
    sa.select(PORT_GROUPS.c.port_id, PORT_GROUPS.c.group_id)
    .where(among(PORT_GROUPS.c.port_id, "ids"))
    .order_by(PORT_GROUPS.c.group_id)
)


def fixed_ips(tx: Tx, port_ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Per port, as upstream prints them, in the order they were given."""
    found: dict[str, list[dict[str, str]]] = {}
    for ids in chunks(port_ids):
        for port_id, subnet_id, ip in tx.all(FIXED_IPS, {"ids": ids}):
            found.setdefault(port_id, []).append({"subnet_id": subnet_id, "ip_address": ip})
    return found


def groups(tx: Tx, port_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for ids in chunks(port_ids):
        for port_id, group_id in tx.all(GROUPS, {"ids": ids}):
            found.setdefault(port_id, []).append(group_id)
    return found


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    ids = [row.id for row in rows]
    ips, members = fixed_ips(tx, ids), groups(tx, ids)
    return [dressed(row, ips.get(row.id, []), members.get(row.id, [])) for row in rows]


def dressed(row: Any, ips: list[dict[str, str]], group_ids: list[str]) -> Dressed:
    return Dressed(
        row, fixed_ips=ips, security_groups=group_ids, vif_details=vif_details(row),
        ip_allocation="immediate" if ips else "none",
    )


def vif_details(row: Any) -> dict[str, Any]:
    """How a hypervisor plugs the port; nothing while it is bound nowhere."""
    return {"port_filter": True, "connectivity": "l2"} if row.host_id else {}


def holders(tx: Tx, ctx: Context, held_by: Any) -> str:
    """Ports for the sentence of a refusal: ids of those the caller may see, and how many there are besides.

    `held_by` is a clause over PORTS.
    """
    return named(tx, PORTS, held_by, store.visible(ctx, policy.GET_PORT))


def named(tx: Tx, table: sa.Table, held_by: Any, visible: Any) -> str:
    """As `holders`, of any table with ids; `visible` is a clause for what the caller may see of it."""
    seen = [row.id for row in tx.all(
        sa.select(table.c.id).where(held_by, visible).order_by(table.c.id).limit(NAMED)
    )]
    besides = (tx.scalar(sa.select(sa.func.count()).select_from(table).where(held_by)) or 0) - len(seen)
    if not seen:
        return f"{besides} that you can't see"
    return ", ".join(seen) + (f" and {besides} more" if besides else "")
