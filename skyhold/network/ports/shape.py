# SPDX-License-Identifier: Apache-2.0
"""The wire form of ports.

What may be asked is ports/ops.py. Binding attributes are for administrators and services only,
to set and to see; the kind of the card (`binding:vnic_type`) is everybody's.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.shapes import Absent, JsonObject, LooseBool, Shape, field
from skyhold.network.answers import Common

VNIC_TYPES = ("normal",)


class FixedIpAsked(Shape):
    subnet_id: str | None = field(default=None, max=64)
    ip_address: str | None = field(default=None, max=64)


class AddressPair(Shape):
    ip_address: str = field(max=64)
    mac_address: str | None = field(default=None, max=32)


class DhcpOption(Shape):
    name: str = field("opt_name", min=1, max=64)
    value: str | None = field("opt_value", max=255)
    ip_version: int | str = field(default=4)


class PortChange(Shape):
    name: str | Absent = field(optional=True, max=255)
    description: str | Absent = field(optional=True, max=255)
    admin_up: LooseBool | Absent = field("admin_state_up", optional=True)
    mac: str | Absent = field("mac_address", optional=True, max=32, policy="update_port:mac_address")
    fixed_ips: list[FixedIpAsked] | Absent | None = field(optional=True, max_items=20)
    device_id: str | Absent = field(optional=True, max=255)
    device_owner: str | Absent = field(optional=True, max=255)
    security_groups: list[str] | Absent | None = field(optional=True, max_items=64, max=255)
    pairs: list[AddressPair] | Absent | None = field(
        "allowed_address_pairs", optional=True, max_items=10, policy="update_port:allowed_address_pairs"
    )
    port_security: LooseBool | Absent = field(
        "port_security_enabled", optional=True, policy="update_port:port_security_enabled"
    )
    dhcp_options: list[DhcpOption] | Absent | None = field("extra_dhcp_opts", optional=True, max_items=32)
    host_id: str | Absent | None = field(
        "binding:host_id", optional=True, max=255, policy="update_port:binding:host_id"
    )
    vnic_type: str | Absent = field("binding:vnic_type", optional=True, enum=VNIC_TYPES)
    profile: JsonObject | Absent | None = field("binding:profile", optional=True, policy="update_port:binding:profile")
    qos_policy_id: Absent | None = field(optional=True)


class PortCreate(Shape):
    network_id: str = field(max=64)
    name: str = field(default="", max=255)
    description: str = field(default="", max=255)
    admin_up: LooseBool = field("admin_state_up", default=True)
    mac: str | Absent = field("mac_address", optional=True, max=32, policy="create_port:mac_address")
    fixed_ips: list[FixedIpAsked] | Absent | None = field(optional=True, max_items=20)
    device_id: str = field(default="", max=255)
    device_owner: str = field(default="", max=255)
    security_groups: list[str] | Absent | None = field(optional=True, max_items=64, max=255)
    pairs: list[AddressPair] | Absent | None = field(
        "allowed_address_pairs", optional=True, max_items=10, policy="create_port:allowed_address_pairs"
    )
    port_security: LooseBool | Absent = field(
        "port_security_enabled", optional=True, policy="create_port:port_security_enabled"
    )
    dhcp_options: list[DhcpOption] | Absent | None = field("extra_dhcp_opts", optional=True, max_items=32)
    host_id: str | Absent | None = field(
        "binding:host_id", optional=True, max=255, policy="create_port:binding:host_id"
    )
    vnic_type: str = field("binding:vnic_type", default="normal", enum=VNIC_TYPES)
    profile: JsonObject | Absent | None = field("binding:profile", optional=True, policy="create_port:binding:profile")
    tags: list[str] | Absent = field(optional=True, max_items=50, min=1, max=255)
    qos_policy_id: Absent | None = field(optional=True)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)


class Port(Common):
    name: str
    description: str
    tags: list[str]
    network_id: str
    admin_up: bool = field("admin_state_up")
    status: str
    mac: str = field("mac_address")
    fixed_ips: list[Any]
    device_id: str
    device_owner: str
    security_groups: list[str]
    pairs: list[Any] = field("allowed_address_pairs")
    port_security: bool = field("port_security_enabled")
    dhcp_options: list[Any] = field("extra_dhcp_opts")
    vnic_type: str = field("binding:vnic_type")
    host_id: str = field("binding:host_id", policy="get_port:binding:host_id")
    profile: JsonObject = field("binding:profile", policy="get_port:binding:profile")
    vif_type: str = field("binding:vif_type", policy="get_port:binding:vif_type")
    vif_details: JsonObject = field("binding:vif_details", policy="get_port:binding:vif_details")
