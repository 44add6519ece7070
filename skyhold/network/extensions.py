# SPDX-License-Identifier: Apache-2.0
"""What this API can do beyond its core, by upstream's aliases, and the availability zones.

Clients decide by these aliases what they ask for, so none stands here without its behaviour.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.network import policy

UPDATED = "2024-01-01T00:00:00-00:00"
EXTENSIONS = {
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "filter-validation": "Filter parameters validation",
    "fip-port-details": "Floating IP Port Details Extension",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "port-security-groups-filtering": "Port filtering on security groups",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "security-groups-shared-filtering": "Security group filtering on the shared field",
    "service-type": "Neutron Service Type Management",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet-service-types": "Subnet service types",
}
ZONE = "nova"

routes = Routes()


@routes.get("/v2.0/extensions", policy=policy.GET_EXTENSION)
async def index(ctx: Context) -> Any:
    """List extensions."""
    return {"extensions": [described(alias) for alias in EXTENSIONS]}


@routes.get("/v2.0/extensions/{alias}", policy=policy.GET_EXTENSION)
async def show(ctx: Context, alias: str) -> Any:
    """Show one extension."""
    if alias not in EXTENSIONS:
        raise errors.NotFound(f"Extension with alias {alias[:80]} does not exist", kind="ExtensionNotFound")
    return {"extension": described(alias)}


@routes.get("/v2.0/availability_zones", policy=policy.GET_AVAILABILITY_ZONE)
async def zones(ctx: Context) -> Any:
    """List availability zones, for networks and for routers."""
    return {"availability_zones": [
        {"name": ZONE, "resource": resource, "state": "available"} for resource in ("network", "router")
    ]}


@routes.get("/v2.0/service-providers", policy=policy.GET_SERVICE_PROVIDER)
async def providers(ctx: Context) -> Any:
    """List what provides each service: routers are the only one here, and have one provider."""
    return {"service_providers": [{"service_type": "L3_ROUTER_NAT", "name": "skyhold", "default": True}]}


def described(alias: str) -> dict[str, Any]:
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": f"{name}.", "updated": UPDATED, "links": []}
