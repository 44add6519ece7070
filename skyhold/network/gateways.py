# SPDX-License-Identifier: Apache-2.0
"""A router's way outside: its port on an external network, with addresses and SNAT.

The router itself is routers.py, its legs into tenants' networks router_legs.py. The gateway's port
belongs to the cloud: it has no project and takes nobody's quota.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Absent, LooseBool, Shape, field
from skyhold.network import floating_ips, networks, policy, subnets
from skyhold.network.ports import addressing, ops, store
from skyhold.network.ports.addressing import Wish
from skyhold.network.ports.shape import FixedIpAsked
from skyhold.network.tables import FLOATING_IPS, PORTS


class GatewayAsked(Shape):
    network_id: str | None = field(default=None, max=64)
    enable_snat: LooseBool | Absent = field(optional=True)
    external_fixed_ips: list[FixedIpAsked] | Absent | None = field(optional=True, max_items=8)
    qos_policy_id: Absent | None = field(optional=True)


def apply(tx: Tx, ctx: Context, row: Any, asked: GatewayAsked | None, verb: str) -> dict[str, Any]:
    """Make the router's gateway what was asked; the columns of the router that change.

    `verb` is the rule's: create_router or update_router. Raises Invalid, NotFound, Forbidden, Conflict.
    """
    if asked is None or not asked.network_id:
        clear(tx, row)
        return {"gateway_network_id": None, "gateway_port_id": None, "snat": True}
    snat = row.snat if not isinstance(asked.enable_snat, bool) else asked.enable_snat
    if snat != row.snat:
        policy.require(ctx, f"{verb}:external_gateway_info:enable_snat", row._asdict())
    wishes = ops.read_wishes(asked.external_fixed_ips)
    if wishes:
        policy.require(ctx, f"{verb}:external_gateway_info:external_fixed_ips", row._asdict())
    network = networks.find_visible(tx, ctx, asked.network_id)
    if not network.external:
        raise errors.Invalid(
            f"Bad router request: Network {network.id} is not an external network.", kind="BadRequest"
        )
    if row.gateway_network_id == network.id and not wishes:
        return {"snat": snat}
    clear(tx, row, moving=row.gateway_network_id == network.id)
    port = make_port(tx, ctx, row, network, wishes)
    return {"gateway_network_id": network.id, "gateway_port_id": port.id, "snat": snat}


def make_port(tx: Tx, ctx: Context, row: Any, network: Any, wishes: Sequence[Wish] | None) -> Any:
    port = store.insert(
        tx, ctx, network_id=network.id, project_id="", device_id=row.id, device_owner=store.GATEWAY, status="ACTIVE"
    )
    nets = subnets.of_network(tx, network.id)
    if not nets:
        raise errors.Invalid(
            f"Bad router request: No IPs assigned to the gateway port for the following external network "
            f"{network.id}: it has no subnet.", kind="BadRequest",
        )
    addressing.give(tx, port, nets, wishes or None)
    return port


def clear(tx: Tx, row: Any, moving: bool = False) -> None:
    """Raises Conflict while floating IPs lead through this gateway, unless it stays on its network."""
    if row.gateway_port_id is None:
        return
    if not moving:
        used = FLOATING_IPS.c.router_id == row.id
        if tx.first(sa.select(FLOATING_IPS.c.id).where(used).limit(1)) is not None:
            raise errors.Conflict(
                f"Gateway cannot be updated for router {row.id}, since a gateway to external network "
                f"{row.gateway_network_id} is required by one or more floating IPs: {floating_ips.holders(tx, used)}.",
                kind="RouterExternalGatewayInUseByFloatingIp",
            )
    found = tx.all(sa.select(PORTS).where(PORTS.c.id == row.gateway_port_id))
    if found:
        store.delete(tx, found)
