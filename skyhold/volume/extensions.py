# SPDX-License-Identifier: Apache-2.0
"""What this API can do beyond its core, by upstream's aliases, and the availability zone.

Clients decide by these aliases what they ask for, so none stands here without its behaviour.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.volume import policy
from skyhold.volume.pools import ZONE

UPDATED = "2024-01-01T00:00:00+00:00"
EXTENSIONS = {
    "os-admin-actions": "AdminActions",
    "os-availability-zone": "AvailabilityZones",
    "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
    "os-quota-class-sets": "QuotaClasses",
    "os-quota-sets": "Quotas",
    "os-services": "Services",
    "os-types-extra-specs": "TypesExtraSpecs",
    "os-types-manage": "TypesManage",
    "os-used-limits": "UsedLimits",
    "os-vol-host-attr": "VolumeHostAttribute",
    "os-vol-image-meta": "VolumeImageMetadata",
    "os-vol-mig-status-attr": "VolumeMigStatusAttribute",
    "os-vol-tenant-attr": "VolumeTenantAttribute",
    "os-volume-actions": "VolumeActions",
    "scheduler-stats": "Scheduler_stats",
}

routes = Routes()


@routes.get("/v3/extensions", policy=policy.EXTENSIONS_LIST)
async def index(ctx: Context) -> Any:
    """List extensions."""
    return {"extensions": [
        {"alias": alias, "name": name, "description": name, "updated": UPDATED, "links": []}
        for alias, name in EXTENSIONS.items()
    ]}


@routes.get("/v3/os-availability-zone", policy=policy.ZONES_LIST)
async def zones(ctx: Context) -> Any:
    """List availability zones."""
    return {"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}}]}
