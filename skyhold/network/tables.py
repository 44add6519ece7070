# SPDX-License-Identifier: Apache-2.0
"""Network's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. `tags` stands on the row
for reading and in network_tags for filtering; addresses are rows of network_addresses, whose key
makes it impossible to give one twice.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.db.columns import (
    flag,
    id_column,
    json,
    micros,
    number,
    ref_column,
    serial_column,
    table,
    text,
)


def common() -> list[sa.Column[Any]]:
    """What every resource of this API has (upstream: standard attributes)."""
    return [
        id_column(),
        ref_column("project_id"),
        sa.Column("name", text(), nullable=False),
        sa.Column("description", text(), nullable=False),
        sa.Column("tags", json(), nullable=False),
        sa.Column("revision", number(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
    ]


NETWORKS = table(
    "network_networks",
    *common(),
    sa.Column("admin_up", flag(), nullable=False),
    sa.Column("shared", flag(), nullable=False),
    sa.Column("external", flag(), nullable=False),
    sa.Column("is_default", flag(), nullable=False),
    sa.Column("mtu", number(), nullable=False),
    sa.Column("port_security", flag(), nullable=False),
    sa.Column("dns_domain", text(), nullable=False),
    sa.Column("zone_hints", json(), nullable=False),
    sa.Column("segment", number(), nullable=False),
    sa.Column("provider_type", text(32), nullable=False),
    sa.Column("physical_network", text(64)),
    sa.Column("segmentation_id", number()),
    sa.Column("provider_key", text(160)),
    sa.UniqueConstraint("segment", name="network_networks_segment"),
    sa.UniqueConstraint("provider_key", name="network_networks_provider"),
    sa.Index("network_networks_list", "project_id", "created_at", "id"),
)

SUBNETS = table(
    "network_subnets",
    *common(),
    ref_column("network_id"),
    sa.Column("ip_version", number(), nullable=False),
    sa.Column("cidr", text(64), nullable=False),
    sa.Column("gateway_ip", text(64)),
    sa.Column("dhcp", flag(), nullable=False),
    sa.Column("dhcp_ip", text(64)),
    sa.Column("ra_mode", text(32)),
    sa.Column("address_mode", text(32)),
    sa.Column("dns", json(), nullable=False),
    sa.Column("routes", json(), nullable=False),
    sa.Column("pools", json(), nullable=False),
    sa.Column("service_types", json(), nullable=False),
    sa.ForeignKeyConstraint(["network_id"], ["network_networks.id"], name="network_subnets_network"),
    sa.Index("network_subnets_list", "project_id", "created_at", "id"),
    sa.Index("network_subnets_of", "network_id"),
)

POOLS = table(
    # Where the next free address of a subnet is: `next` runs from first to last and never back.
    "network_pools",
    ref_column("subnet_id", primary_key=True),
    sa.Column("position", number(), primary_key=True),
    sa.Column("first", number(), nullable=False),
    sa.Column("last", number(), nullable=False),
    sa.Column("next", number(), nullable=False),
)

HOLES = table(
    # Addresses below `next` that were given back, used in this order once the pools have run out.
    "network_holes",
    serial_column(),
    ref_column("subnet_id"),
    sa.Column("place", number(), nullable=False),
    sa.UniqueConstraint("subnet_id", "place", name="network_holes_once"),
    sa.Index("network_holes_order", "subnet_id", "id"),
)

ADDRESSES = table(
    # `place` is the distance from the subnet's first address, when a BIGINT can hold it.
    "network_addresses",
    ref_column("subnet_id", primary_key=True),
    sa.Column("ip", text(64), primary_key=True),
    sa.Column("place", number()),
    ref_column("port_id"),
    sa.Column("rank", number(), nullable=False),
    sa.Index("network_addresses_port", "port_id"),
    sa.Index("network_addresses_place", "subnet_id", "place"),
    sa.Index("network_addresses_ip", "ip"),
)

PORTS = table(
    "network_ports",
    *common(),
    ref_column("network_id"),
    sa.Column("mac", text(32), nullable=False),
    sa.Column("admin_up", flag(), nullable=False),
    sa.Column("status", text(16), nullable=False),
    sa.Column("device_id", text(), nullable=False),
    sa.Column("device_owner", text(), nullable=False),
    sa.Column("port_security", flag(), nullable=False),
    sa.Column("host_id", text(), nullable=False),
    sa.Column("vnic_type", text(64), nullable=False),
    sa.Column("vif_type", text(64), nullable=False),
    sa.Column("profile", json(), nullable=False),
    sa.Column("pairs", json(), nullable=False),
    sa.Column("dhcp_options", json(), nullable=False),
    sa.Column("hostname", text(), nullable=False),
    sa.Column("nic_tag", text(64)),
    sa.Column("made_by_compute", flag(), nullable=False),
    sa.ForeignKeyConstraint(["network_id"], ["network_networks.id"], name="network_ports_network"),
    sa.UniqueConstraint("network_id", "mac", name="network_ports_mac"),
    sa.Index("network_ports_list", "project_id", "created_at", "id"),
    sa.Index("network_ports_device", "device_id"),
    sa.Index("network_ports_host", "host_id", "id"),
)

PORT_GROUPS = table(
    "network_port_groups",
    ref_column("port_id", primary_key=True),
    ref_column("group_id", primary_key=True),
    sa.ForeignKeyConstraint(["group_id"], ["network_security_groups.id"], name="network_port_groups_group"),
    sa.Index("network_port_groups_of", "group_id"),
)

ROUTERS = table(
    "network_routers",
    *common(),
    sa.Column("admin_up", flag(), nullable=False),
    sa.Column("status", text(16), nullable=False),
    sa.Column("gateway_network_id", text(64)),
    sa.Column("gateway_port_id", text(64)),
    sa.Column("snat", flag(), nullable=False),
    sa.Column("routes", json(), nullable=False),
    sa.Column("zone_hints", json(), nullable=False),
    sa.ForeignKeyConstraint(["gateway_network_id"], ["network_networks.id"], name="network_routers_gateway"),
    sa.Index("network_routers_list", "project_id", "created_at", "id"),
)

FLOATING_IPS = table(
    "network_floating_ips",
    *common(),
    ref_column("network_id"),
    ref_column("own_port_id"),
    sa.Column("address", text(64), nullable=False),
    sa.Column("port_id", text(64)),
    sa.Column("fixed_ip", text(64)),
    sa.Column("router_id", text(64)),
    sa.Column("status", text(16), nullable=False),
    sa.UniqueConstraint("port_id", "fixed_ip", name="network_floating_ips_fixed"),
    sa.Index("network_floating_ips_list", "project_id", "created_at", "id"),
    sa.Index("network_floating_ips_router", "router_id"),
    sa.Index("network_floating_ips_address", "address"),
)

SECURITY_GROUPS = table(
    "network_security_groups",
    *common(),
    sa.Column("stateful", flag(), nullable=False),
    sa.Column("default_of", text(64)),
    sa.UniqueConstraint("default_of", name="network_security_groups_default"),
    sa.Index("network_security_groups_list", "project_id", "created_at", "id"),
)

SECURITY_RULES = table(
    "network_security_rules",
    id_column(),
    ref_column("project_id"),
    ref_column("group_id"),
    sa.Column("description", text(), nullable=False),
    sa.Column("direction", text(16), nullable=False),
    sa.Column("ethertype", text(8), nullable=False),
    sa.Column("protocol", text(40)),
    sa.Column("port_min", number()),
    sa.Column("port_max", number()),
    sa.Column("remote_cidr", text(64)),
    sa.Column("normalized_cidr", text(64)),
    sa.Column("remote_group_id", text(64)),
    sa.Column("sameness", text(64), nullable=False),
    sa.Column("revision", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.ForeignKeyConstraint(["group_id"], ["network_security_groups.id"], name="network_security_rules_group"),
    sa.UniqueConstraint("group_id", "sameness", name="network_security_rules_once"),
    sa.Index("network_security_rules_list", "project_id", "created_at", "id"),
    sa.Index("network_security_rules_remote", "remote_group_id"),
)

TAGS = table(
    "network_tags",
    ref_column("resource_id", primary_key=True),
    sa.Column("tag", text(), primary_key=True),
    sa.Index("network_tags_tag", "tag"),
)

CHANGES = table(
    # What the data plane hasn't heard of yet: written with the change, removed when applied.
    "network_changes",
    serial_column(),
    sa.Column("kind", text(32), nullable=False),
    ref_column("object_id"),
)
