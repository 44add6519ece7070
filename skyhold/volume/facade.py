# SPDX-License-Identifier: Apache-2.0
"""What other services may ask of volumes: the only door.

The operations behind it are volumes/ops.py, snapshots.py and attachments.py. Functions of `(tx, ctx, …)` run in the
caller's transaction; what they answer are frozen copies, never rows. Making and deleting go on after the commit, in
sagas: `states` says how far they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.volume import attachments, policy, pools, snapshots, types
from skyhold.volume.attachments import store as attachments_store
from skyhold.volume.states import ATTACHED
from skyhold.volume.volumes import ops
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE, of_ids


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """`state` in Cinder's words (volume/states.py); `fault` says why one in error is. `host_id` is None until a host
    was chosen."""

    id: str
    project_id: str
    name: str | None
    size_gib: int
    state: str
    fault: str | None
    host_id: str | None
    bootable: bool
    image_metadata: dict[str, str]
    volume_type_id: str
    availability_zone: str


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """`boot_index` is None where nobody named one. `attached` is False while it is only reserved."""

    id: str
    volume_id: str
    server_id: str
    attached: bool
    device: str | None
    boot_index: int | None
    delete_on_termination: bool
    tag: str | None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """What a host needs to attach a volume: its own driver knows the path. `format` is what the file is."""

    volume_id: str
    host_id: str
    format: str
    size_bytes: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    volume_id: str
    size_gib: int
    state: str
    fault: str | None
    host_id: str


FORMAT = "qcow2"


def create(
    tx: Tx, ctx: Context, *, size_gib: int | None, name: str | None = None, image_id: str | None = None,
    snapshot_id: str | None = None, source_volume_id: str | None = None, volume_type: str | None = None,
    availability_zone: str | None = None, host_id: str | None = None,
) -> Volume:
    """A new volume of the context's project, in state `creating`: its quota is taken, its saga started.

    Raises Invalid, NotFound for a source or type, OverQuota. With `host_id` it lies there or nowhere.
    """
    return view(ops.add(tx, ctx, ops.Plan(
        size_gib=size_gib, name=name, volume_type=volume_type, availability_zone=availability_zone, image_id=image_id,
        snapshot_id=snapshot_id, source_volume_id=source_volume_id, host_id=host_id,
    )))


def check_wish(tx: Tx, ctx: Context, *, volume_type: str | None, from_image: bool) -> None:
    """Whether the caller may have such a volume made later, when nobody's roles are known any more. Raises
    Forbidden, Invalid for a type that isn't there."""
    rules = [policy.VOLUMES_CREATE, *([policy.VOLUMES_CREATE_FROM_IMAGE] if from_image else [])]
    for rule in rules:
        ctx.demand(rule, {"project_id": ctx.project_id})
    try:
        types.chosen(tx, volume_type)
    except errors.NotFound as unknown:
        raise errors.Invalid(unknown.message, reason="type_not_found") from None


def get(tx: Tx, ctx: Context, volume_id: str) -> Volume:
    """Raises NotFound unless the context's project has it. In a write the row is locked."""
    return view(VOLUMES_STORE.get(tx, ctx, volume_id, may=policy.VOLUMES_SHOW))


def many(tx: Tx, ctx: Context, volume_ids: Iterable[str]) -> dict[str, Volume]:
    """Those of these volumes that are there, by id, whoever asks: for work that was permitted earlier."""
    return {row.id: view(row) for row in of_ids(tx, volume_ids)}


def states(tx: Tx, ctx: Context, volume_ids: Iterable[str]) -> dict[str, str]:
    """States by id of those that are there: for a saga that waits."""
    return {row.id: row.state for row in of_ids(tx, volume_ids)}


def reserve(
    tx: Tx, ctx: Context, volume_id: str, server_id: str, *, mountpoint: str | None = None,
    boot_index: int | None = None, delete_on_termination: bool = False, tag: str | None = None,
) -> Attachment:
    """Keep an available volume for a server. Raises NotFound, and Invalid when it isn't available."""
    return seen(attachments.reserve(
        tx, ctx, volume_id, server_id, of_compute=True, device=mountpoint, boot_index=boot_index,
        delete_on_termination=delete_on_termination, tag=tag,
    ))


def complete(tx: Tx, ctx: Context, attachment_id: str, device: str | None, host_id: str) -> None:
    """The volume is plugged in. Once is as good as twice."""
    row = attachments_store.find(tx, attachment_id, lock=True)
    if row is not None and row.state != ATTACHED:
        attachments.attach(tx, row, device=device, host_id=host_id, host_name=pools.name_of(tx, host_id))


def release(tx: Tx, ctx: Context, attachment_id: str) -> None:
    """The volume is available again; nothing happens when it was released already."""
    row = attachments_store.find(tx, attachment_id, lock=True)
    if row is not None:
        attachments.end(tx, row)


def set_delete_on_termination(tx: Tx, ctx: Context, attachment_id: str, value: bool) -> None:
    row = attachments_store.find(tx, attachment_id, lock=True)
    if row is not None:
        attachments_store.update(tx, row, delete_on_termination=value)


def any_attached(tx: Tx, ctx: Context) -> bool:
    """Whether there is a single attachment in the cloud: to ask of a thousand servers costs more than of none."""
    return tx.scalar(attachments.ANY) is not None


def attachments_of(tx: Tx, ctx: Context, server_ids: Iterable[str]) -> dict[str, list[Attachment]]:
    """By server, the oldest first; a server without volumes isn't named. One query."""
    found = attachments.of_servers(tx, sorted(set(server_ids)))
    return {server_id: [seen(row) for row in rows] for server_id, rows in found.items()}


def attachment(tx: Tx, ctx: Context, attachment_id: str) -> Attachment | None:
    """One that compute made, whoever asks. In a write its row is locked."""
    row = attachments_store.find(tx, attachment_id, lock=True)
    return seen(row) if row is not None and row.of_compute else None


def all_attachments(tx: Tx, ctx: Context) -> list[Attachment]:
    """Every one that compute made, of all projects: for an audit."""
    return [seen(row) for row in tx.all(attachments.OF_COMPUTE)]


def disk(tx: Tx, ctx: Context, volume_ids: Iterable[str]) -> dict[str, Disk]:
    """By volume; one that lies on no host yet isn't named."""
    return {
        row.id: Disk(volume_id=row.id, host_id=row.host_id, format=FORMAT, size_bytes=row.size_gib * pools.GIB)
        for row in of_ids(tx, volume_ids) if row.host_id is not None
    }


def delete(tx: Tx, ctx: Context, volume_id: str) -> None:
    """As its server goes: nothing happens for one that is gone. Raises Invalid for one in use, or with snapshots."""
    volume = VOLUMES_STORE.find(tx, volume_id, lock=True)
    if volume is not None and volume.state != "deleting":
        ops.begin_delete(tx, ctx, volume)


def snapshot(tx: Tx, ctx: Context, volume_id: str, name: str, force: bool = True) -> Snapshot:
    """A copy at one instant, in state `creating`. With `force` also of a volume in use. Raises as the API does."""
    return pictured(snapshots.add(tx, ctx, volume_id, name=name, force=force))


def get_snapshot(tx: Tx, ctx: Context, snapshot_id: str) -> Snapshot:
    """Raises NotFound unless the context's project has it."""
    return pictured(SNAPSHOTS_STORE.get(tx, ctx, snapshot_id, may=policy.SNAPSHOTS_SHOW))


def find_snapshot(tx: Tx, ctx: Context, snapshot_id: str) -> Snapshot | None:
    """Whoever asks: for a saga that waits."""
    row = SNAPSHOTS_STORE.find(tx, snapshot_id)
    return None if row is None else pictured(row)


def delete_snapshot(tx: Tx, ctx: Context, snapshot_id: str) -> None:
    """Nothing happens for one that is gone or going: to undo what `snapshot` began."""
    row = SNAPSHOTS_STORE.find(tx, snapshot_id, lock=True)
    if row is not None and row.state != "deleting":
        snapshots.begin_delete(tx, ctx, row)


def view(row: Any) -> Volume:
    return Volume(
        id=row.id, project_id=row.project_id, name=row.name, size_gib=row.size_gib, state=row.state, fault=row.fault,
        host_id=row.host_id, bootable=row.bootable, image_metadata=row.image_metadata or {},
        volume_type_id=row.type_id, availability_zone=row.availability_zone,
    )


def seen(row: Any) -> Attachment:
    return Attachment(
        id=row.id, volume_id=row.volume_id, server_id=row.server_id, attached=row.state == ATTACHED,
        device=row.device, boot_index=row.boot_index, delete_on_termination=row.delete_on_termination, tag=row.tag,
    )


def pictured(row: Any) -> Snapshot:
    return Snapshot(
        id=row.id, project_id=row.project_id, volume_id=row.volume_id, size_gib=row.size_gib, state=row.state,
        fault=row.fault, host_id=row.host_id,
    )
