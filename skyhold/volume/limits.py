# SPDX-License-Identifier: Apache-2.0
"""Limits: a project's quota and usage in one document, as clients ask before they create.

Changing them is quotas.py. There are no rate limits to show, and no backups yet to count.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, envelope, field
from skyhold.volume import policy
from skyhold.volume.quotas import QUOTA


class Absolute(Shape):
    volumes: int = field("maxTotalVolumes")
    snapshots: int = field("maxTotalSnapshots")
    gigabytes: int = field("maxTotalVolumeGigabytes")
    backups: int = field("maxTotalBackups")
    backup_gigabytes: int = field("maxTotalBackupGigabytes")
    volumes_used: int = field("totalVolumesUsed")
    snapshots_used: int = field("totalSnapshotsUsed")
    gigabytes_used: int = field("totalGigabytesUsed")
    backups_used: int = field("totalBackupsUsed", default=0)
    backup_gigabytes_used: int = field("totalBackupGigabytesUsed", default=0)


class Both(Shape):
    rate: list[Any]
    absolute: Absolute


class LimitsQuery(Shape, extra="ignore"):
    project_id: str | None = None
    tenant_id: str | None = None


routes = Routes()


@routes.get("/v3/limits", policy=policy.LIMITS, query=LimitsQuery, reply=envelope("limits", Both))
async def show(ctx: Context, query: LimitsQuery) -> Both:
    """Show a project's limits and usage."""
    return await ctx.read(limits, query.project_id or query.tenant_id or ctx.project_id)


def limits(tx: Tx, ctx: Context, project_id: str) -> Both:
    ctx.demand(policy.LIMITS, {"project_id": project_id})
    most, used = QUOTA.limits(tx, project_id), QUOTA.usage(tx, project_id)
    return Both(rate=[], absolute=Absolute(
        volumes=most["volumes"], snapshots=most["snapshots"], gigabytes=most["gigabytes"], backups=most["backups"],
        backup_gigabytes=most["backup_gigabytes"], volumes_used=used["volumes"], snapshots_used=used["snapshots"],
        gigabytes_used=used["gigabytes"],
    ))
