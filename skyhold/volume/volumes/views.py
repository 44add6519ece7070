# SPDX-License-Identifier: Apache-2.0
"""Volumes as the API prints them; a page costs a constant number of queries.

Shapes are shape.py, which rows there are lists.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT
from skyhold.volume import attachments, policy, pools, types
from skyhold.volume.links import links
from skyhold.volume.volumes import shape

BACKEND = "skyhold"


def brief(ctx: Context, row: Any) -> shape.VolumeBrief:
    return shape.VolumeBrief(id=row.id, name=row.name, links=links(ctx, "volumes", row.id))


def full(tx: Tx, ctx: Context, rows: list[Any]) -> list[shape.Volume]:
    named = types.names(tx, {row.type_id for row in rows})
    hosts = pools.names(tx, {row.host_id for row in rows if row.host_id})
    held = attachments.attached(tx, [row.id for row in rows])
    return [one(ctx, row, named[row.type_id], hosts.get(row.host_id), held.get(row.id, [])) for row in rows]


def said(tx: Tx, ctx: Context, row: Any) -> shape.VolumeSaid:
    """One that was just made or changed."""
    (whole,) = full(tx, ctx, [row])
    return shape.VolumeSaid(**{name: getattr(whole, name) for name in shape.VolumeSaid.__struct_fields__})


def one(ctx: Context, row: Any, type_name: str, host: str | None, held: list[Any]) -> shape.Volume:
    return shape.Volume(
        id=row.id, status=row.state, size=row.size_gib, availability_zone=row.availability_zone,
        created_at=row.created_at, updated_at=row.updated_at, name=row.name, description=row.description,
        volume_type=type_name, volume_type_id=row.type_id, snapshot_id=row.snapshot_id,
        source_volid=row.source_volume_id, metadata=row.metadata, links=links(ctx, "volumes", row.id),
        user_id=row.user_id, bootable="true" if row.bootable else "false",
        attachments=[attached(ctx, each) for each in held],
        volume_image_metadata=row.image_metadata or ABSENT, project_id=row.project_id, host=full_host(host),
        service_uuid=row.host_id,
    )


def attached(ctx: Context, row: Any) -> shape.Attached:
    """The host's name is for whoever may see a volume's host; for all others it is null, as upstream."""
    sees_host = ctx.allows(policy.HOST_ATTRIBUTE, {"project_id": row.project_id})
    return shape.Attached(
        id=row.volume_id, attachment_id=row.id, volume_id=row.volume_id, server_id=row.server_id,
        host_name=row.host_name if sees_host else None, device=row.device, attached_at=row.attached_at,
    )


def full_host(name: str | None) -> str | None:
    """Cinder's `host@backend#pool`."""
    return f"{name}@{BACKEND}#{BACKEND}" if name else None
