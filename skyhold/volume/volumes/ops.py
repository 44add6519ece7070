# SPDX-License-Identifier: Apache-2.0
"""Decisions about volumes: create, update, delete, extend, and what the instant actions do.

HTTP is api.py and actions.py, queries store.py; whatever takes time is a saga (volume/sagas/). Each function is one
transaction. Errors of state are bad requests here, as in Cinder.
"""

from __future__ import annotations

from typing import Any

import msgspec

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT
from skyhold.image import facade as image_facade
from skyhold.volume import policy, pools, states, types
from skyhold.volume.quotas import QUOTA
from skyhold.volume.tables import ATTACHMENTS
from skyhold.volume.volumes import shape
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE, copied_by, get, need, snapshots_of

READABLE = ("raw", "qcow2")
"""What hosts can make volumes of."""
SOURCES = (states.AVAILABLE,)
OF_THE_IMAGE = ("image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A new volume, as the API or compute wishes it; at most one of the sources is given."""

    size_gib: int | None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    metadata: dict[str, str] = {}
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volume_id: str | None = None
    host_id: str | None = None
    """Where it must lie; None leaves it to the pools."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a new volume takes over from its source."""

    least_gib: int = 0
    size_gib: int | None = None
    type_id: str | None = None
    host_id: str | None = None
    bootable: bool = False
    image_metadata: dict[str, str] | None = None


def create(tx: Tx, ctx: Context, want: shape.VolumeCreate) -> Any:
    """Raises Invalid for what can't be meant or isn't done, NotFound for a source or type, OverQuota."""
    refuse_unknown_wishes(want)
    image_id = want.image_id or want.image_ref
    return add(tx, ctx, Plan(
        size_gib=want.size, name=stripped(want.name if want.name is not None else want.display_name),
        description=stripped(want.description if want.description is not None else want.display_description),
        volume_type=want.volume_type, availability_zone=want.availability_zone, metadata=want.metadata or {},
        image_id=image_id, snapshot_id=want.snapshot_id, source_volume_id=want.source_volid,
    ))


def refuse_unknown_wishes(want: shape.VolumeCreate) -> None:
    wishes = {
        "multiattach": want.multiattach, "consistencygroup_id": want.consistencygroup_id, "group_id": want.group_id,
        "backup_id": want.backup_id, "OS-SCH-HNT:scheduler_hints": want.hints,
    }
    for name, value in wishes.items():
        if value:
            raise errors.Invalid(f"This cloud's volumes don't know {name} yet: leave it out.", reason="not_implemented")


def stripped(text: str | None) -> str | None:
    return text if text is None else text.strip()


def add(tx: Tx, ctx: Context, plan: Plan) -> Any:
    """The new volume's row with its quota taken and its saga started."""
    from skyhold.volume.sagas.create import CreateVolume

    refuse_two_sources(plan)
    origin = origin_of(tx, ctx, plan)
    size_gib = chosen_size(plan, origin)
    kind = types.chosen(tx, plan.volume_type or origin.type_id)
    check_zone(plan.availability_zone)
    take_quota(tx, ctx, size_gib)
    volume = VOLUMES_STORE.insert(
        tx, id=ctx.new_id(), project_id=ctx.project_id, user_id=ctx.user_id, name=plan.name,
        description=plan.description, size_gib=size_gib, state=states.CREATING, type_id=kind.id,
        availability_zone=pools.ZONE, bootable=origin.bootable, metadata=plan.metadata,
        image_metadata=origin.image_metadata, image_id=plan.image_id, snapshot_id=plan.snapshot_id,
        source_volume_id=plan.source_volume_id,
    )
    journal.record(tx, "volume.create.start", volume)
    only = plan.host_id or origin.host_id or ""
    CreateVolume.start(tx, ctx, subject=volume.id, kept=CreateVolume.Kept(only=only))
    if ctx.dry_run:
        rehearse(tx, ctx, size_gib, only)
    return volume


def rehearse(tx: Tx, ctx: Context, size_gib: int, only: str) -> None:
    """What the saga would find later. Raises Invalid with every host's reason when no host would do."""
    host_id, sentence = pools.choose(tx, ctx, size_gib, only=only or None, without=[], reasons={})
    if host_id is None:
        raise errors.Invalid(sentence, reason="no_valid_host")


def refuse_two_sources(plan: Plan) -> None:
    given = [name for name in ("image_id", "snapshot_id", "source_volume_id") if getattr(plan, name)]
    if len(given) > 1:
        raise errors.Invalid(f"A volume is made of one source: {' and '.join(given)} were given.")


def check_zone(name: str | None) -> None:
    if name is not None and name != pools.ZONE:
        raise errors.Invalid(f"Availability zone '{name[:100]}' is invalid: there is '{pools.ZONE}'.")


def chosen_size(plan: Plan, origin: Origin) -> int:
    size_gib = plan.size_gib if plan.size_gib is not None else origin.size_gib
    if size_gib is None:
        raise errors.Invalid("Size of the volume is missing: give 'size' in GiB.")
    if size_gib < origin.least_gib:
        raise errors.Invalid(
            f"Invalid input received: Volume size {size_gib} cannot be smaller than its source, which needs "
            f"{origin.least_gib}.", reason="too_small",
        )
    return size_gib


def origin_of(tx: Tx, ctx: Context, plan: Plan) -> Origin:
    if plan.image_id:
        return of_image(tx, ctx, plan.image_id)
    if plan.snapshot_id:
        return of_snapshot(tx, ctx, plan)
    if plan.source_volume_id:
        return of_volume(tx, ctx, plan)
    return Origin()


def of_image(tx: Tx, ctx: Context, image_id: str) -> Origin:
    # Work that was permitted earlier has no roles of its own any more.
    if not ctx.creds.internal:
        ctx.demand(policy.VOLUMES_CREATE_FROM_IMAGE, {"project_id": ctx.project_id})
    image = image_facade.get(tx, ctx, image_id)
    if image.status != "active":
        raise errors.Invalid(f"Image {image.id} is not active: its status is {image.status}.")
    if image.disk_format not in READABLE or image.container_format != "bare":
        raise errors.Invalid(
            f"Volumes are made of raw and qcow2 images in bare containers; image {image.id} is {image.disk_format} "
            f"in {image.container_format}."
        )
    disk_gib = -(-(image.virtual_size_bytes or image.size_bytes or 0) // pools.GIB)
    return Origin(least_gib=max(disk_gib, image.min_disk_gb), bootable=True, image_metadata=said_by(image))


def said_by(image: Any) -> dict[str, str]:
    """What the volume says of its image, its properties and its own fields."""
    own = (image.id, image.name or "", image.checksum or "", image.container_format, image.disk_format,
           image.min_disk_gb, image.min_ram_mb, image.size_bytes)
    return {**image.properties, **{name: str(value) for name, value in zip(OF_THE_IMAGE, own, strict=True)}}


def of_snapshot(tx: Tx, ctx: Context, plan: Plan) -> Origin:
    snapshot = SNAPSHOTS_STORE.get(tx, ctx, str(plan.snapshot_id), may=policy.SNAPSHOTS_SHOW, lock="stay")
    if snapshot.state != states.AVAILABLE:
        raise errors.Invalid(
            f"Invalid snapshot: Originating snapshot status must be available, but {snapshot.id} is {snapshot.state}."
        )
    volume = VOLUMES_STORE.expect(tx, snapshot.volume_id)
    return copied(volume, snapshot.size_gib, snapshot.host_id, plan)


def of_volume(tx: Tx, ctx: Context, plan: Plan) -> Origin:
    volume = VOLUMES_STORE.get(tx, ctx, str(plan.source_volume_id), may=policy.VOLUMES_SHOW, lock="stay")
    if volume.state not in SOURCES:
        raise errors.Invalid(
            f"Invalid volume: A volume is copied while it is available; {volume.id} is {volume.state}. Make a snapshot "
            "of a volume in use, and the new volume of that."
        )
    return copied(volume, volume.size_gib, volume.host_id, plan)


def copied(volume: Any, size_gib: int, host_id: str, plan: Plan) -> Origin:
    if plan.host_id not in (None, host_id):
        raise errors.Invalid(
            "The volume's source lies on another host than the one it is wanted on: volumes are copied within a host.",
            reason="other_host",
        )
    return Origin(
        least_gib=size_gib, size_gib=size_gib, type_id=volume.type_id, host_id=host_id, bootable=volume.bootable,
        image_metadata=volume.image_metadata,
    )


def take_quota(tx: Tx, ctx: Context, size_gib: int) -> None:
    refuse_too_large(tx, ctx.project_id, size_gib)
    QUOTA.take(tx, ctx.project_id, volumes=1, gigabytes=size_gib)


def refuse_too_large(tx: Tx, project_id: str, size_gib: int) -> None:
    most = QUOTA.limits(tx, project_id)["per_volume_gigabytes"]
    if 0 <= most < size_gib:
        raise errors.OverQuota(
            f"Requested volume size {size_gib} is larger than maximum allowed limit {most}: that is of each volume by "
            "itself, however much is used (per_volume_gigabytes).",
            resource="per_volume_gigabytes", used=0, limit=most, asked=size_gib,
        )


def update(tx: Tx, ctx: Context, volume_id: str, want: shape.VolumeUpdate) -> Any:
    volume = get(tx, ctx, volume_id)
    named: dict[str, Any] = {
        "name": want.name if want.name is not ABSENT else want.display_name,
        "description": want.description if want.description is not ABSENT else want.display_description,
        "metadata": want.metadata,
    }
    values = {key: value for key, value in named.items() if value is not ABSENT}
    if not values:
        raise errors.Invalid("Nothing to change: give name, description or metadata.")
    values |= {key: stripped(values[key]) for key in ("name", "description") if key in values}
    volume = VOLUMES_STORE.update(tx, volume, **values)
    journal.record(tx, "volume.update", volume)
    return volume


# ---- delete ----------------------------------------------------------------------------------


def delete(tx: Tx, ctx: Context, volume_id: str, *, cascade: bool = False, force: bool = False) -> None:
    """Raises Invalid for a volume that is attached, copied, or has snapshots that are not to go with it.

    One that is still being made stops being made; `force`, an administrator's, ends whatever else is under way.
    """
    if force:
        ctx.demand(policy.VOLUMES_FORCE_DELETE)
    begin_delete(tx, ctx, get(tx, ctx, volume_id), cascade=cascade, force=force)


def force_delete(tx: Tx, ctx: Context, volume_id: str) -> None:
    begin_delete(tx, ctx, get(tx, ctx, volume_id), force=True)


def begin_delete(tx: Tx, ctx: Context, volume: Any, *, cascade: bool = False, force: bool = False) -> None:
    from skyhold.volume.sagas.delete import DeleteVolume

    if volume.state == states.DELETING and force:
        return
    if not force:
        need(tx, volume, (*states.DELETABLE, states.CREATING), "delete it")
    refuse_attached(tx, volume)
    if copy := copied_by(tx, volume_id=volume.id):
        raise errors.Invalid(f"Invalid volume: Volume {copy} is just being made of volume {volume.id}: wait for it.")
    doom_snapshots(tx, volume, cascade)
    volume = VOLUMES_STORE.move(tx, volume, volume.state, states.DELETING)
    journal.record(tx, "volume.delete.start", volume)
    DeleteVolume.start(tx, ctx, subject=volume.id, supersede=True)


def refuse_attached(tx: Tx, volume: Any) -> None:
    held = tx.first(ATTACHMENTS.select().where(ATTACHMENTS.c.volume_id == volume.id, ATTACHMENTS.c.of_compute))
    if held is not None:
        raise errors.Invalid(
            f"Invalid volume: Volume {volume.id} is attached to server {held.server_id}: detach it first.",
            reason="attached",
        )


def doom_snapshots(tx: Tx, volume: Any, cascade: bool) -> None:
    # Locked, so that no volume comes to be made of one of them while it is looked who does.
    snapshots = snapshots_of(tx, volume.id, lock=True)
    if snapshots and not cascade:
        raise errors.Invalid(
            f"Invalid volume: Volume still has {len(snapshots)} dependent snapshots. Delete them, or give cascade.",
            reason="has_snapshots",
        )
    for snapshot in snapshots:
        if snapshot.state not in (states.AVAILABLE, states.ERROR, states.ERROR_DELETING):
            raise errors.Invalid(f"Invalid volume: Its snapshot {snapshot.id} is {snapshot.state}: wait for it.")
        if copy := copied_by(tx, snapshot_id=snapshot.id):
            raise errors.Invalid(f"Invalid volume: Volume {copy} is just being made of its snapshot {snapshot.id}.")
        snapshot = SNAPSHOTS_STORE.move(tx, snapshot, snapshot.state, states.DELETING)
        journal.record(tx, "snapshot.delete.start", snapshot)


# ---- actions ---------------------------------------------------------------------------------


def extend(tx: Tx, ctx: Context, volume_id: str, new_size_gib: int) -> None:
    from skyhold.volume.sagas.extend import ExtendVolume

    volume = get(tx, ctx, volume_id)
    need(tx, volume, [states.AVAILABLE], "extend")
    if new_size_gib <= volume.size_gib:
        raise errors.Invalid(
            f"Invalid input received: New size for extend must be greater than current size. (current: "
            f"{volume.size_gib}, extended: {new_size_gib})."
        )
    refuse_too_large(tx, volume.project_id, new_size_gib)
    QUOTA.take(tx, volume.project_id, gigabytes=new_size_gib - volume.size_gib)
    volume = VOLUMES_STORE.move(
        tx, volume, states.AVAILABLE, states.EXTENDING, growing_gib=new_size_gib, fault=None
    )
    journal.record(tx, "volume.extend.start", volume)
    ExtendVolume.start(tx, ctx, subject=volume.id)


def set_bootable(tx: Tx, ctx: Context, volume_id: str, bootable: bool) -> None:
    volume = VOLUMES_STORE.update(tx, get(tx, ctx, volume_id), bootable=bootable)
    journal.record(tx, "volume.update", volume)


def image_metadata(tx: Tx, ctx: Context, volume_id: str) -> dict[str, str]:
    return dict(get(tx, ctx, volume_id).image_metadata or {})


def set_image_metadata(tx: Tx, ctx: Context, volume_id: str, given: dict[str, str]) -> dict[str, str]:
    volume = get(tx, ctx, volume_id)
    volume = VOLUMES_STORE.update(tx, volume, image_metadata={**(volume.image_metadata or {}), **given})
    journal.record(tx, "volume.update", volume)
    return dict(volume.image_metadata)


def drop_image_metadata(tx: Tx, ctx: Context, volume_id: str, key: str) -> None:
    volume = get(tx, ctx, volume_id)
    kept = dict(volume.image_metadata or {})
    if key not in kept:
        raise errors.NotFound(f"Metadata item {key[:100]} was not found in the image metadata of volume {volume.id}.")
    del kept[key]
    journal.record(tx, "volume.update", VOLUMES_STORE.update(tx, volume, image_metadata=kept or None))


def reset_status(tx: Tx, ctx: Context, volume_id: str, want: shape.ResetStatus) -> None:
    """An administrator's word on what the volume is; refused while a saga knows better."""
    from skyhold.core.saga import rows

    volume = get(tx, ctx, volume_id)
    if want.attach_status or want.migration_status:
        raise errors.Invalid("Only 'status' can be reset: attachments are a resource of their own.")
    if want.status not in states.VOLUME.resting:
        raise errors.Invalid(f"Must specify a valid status: one of {', '.join(sorted(states.VOLUME.resting))}.")
    if kind := rows.live(tx, ctx, volume.id):
        raise errors.Conflict(f"Volume {volume.id} is busy: {kind} is under way and will end by itself.")
    if want.status == states.AVAILABLE:
        # Somebody else could have it while a guest still writes to it.
        refuse_attached(tx, volume)
    volume = VOLUMES_STORE.update(tx, volume, state=want.status, fault=None)
    journal.record(tx, "volume.reset_status", volume)
