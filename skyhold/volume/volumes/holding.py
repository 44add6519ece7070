# SPDX-License-Identifier: Apache-2.0
"""Reserving and attaching a volume by hand, as was done before attachments were a resource of their own.

Attachments themselves are ../attachments.py. What compute holds is its own: none of this touches it (CVE-2023-2088).
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.volume import attachments, states
from skyhold.volume.volumes import shape
from skyhold.volume.volumes.store import VOLUMES_STORE, get, need


def reserve(tx: Tx, ctx: Context, volume_id: str) -> None:
    move(tx, get(tx, ctx, volume_id), (states.AVAILABLE,), states.ATTACHING, "reserve")


def unreserve(tx: Tx, ctx: Context, volume_id: str) -> None:
    """Nothing happens to a volume that is not being attached, as upstream."""
    volume = get(tx, ctx, volume_id)
    refuse_held(tx, volume)
    if volume.state == states.ATTACHING:
        move(tx, volume, (states.ATTACHING,), states.AVAILABLE, "unreserve")


def attach(tx: Tx, ctx: Context, volume_id: str, want: shape.Attach) -> None:
    """Raises Invalid unless either a server or a host is named, and the volume is free or being attached."""
    if bool(want.instance_uuid) == bool(want.host_name):
        raise errors.Invalid("Name either the server or the host that the volume is attached to.")
    volume = get(tx, ctx, volume_id)
    refuse_held(tx, volume)
    need(tx, volume, (states.AVAILABLE, states.ATTACHING), "attach it")
    row = attachments.store.insert(
        tx, id=ctx.new_id(), project_id=volume.project_id, user_id=ctx.user_id, volume_id=volume.id,
        server_id=want.instance_uuid, state=states.ATTACHING, of_compute=False, mode=want.mode,
        delete_on_termination=False,
    )
    attachments.attach(tx, row, device=want.mountpoint, host_id=None, host_name=want.host_name)


def begin_detaching(tx: Tx, ctx: Context, volume_id: str) -> None:
    volume = get(tx, ctx, volume_id)
    refuse_held(tx, volume)
    move(tx, volume, (states.IN_USE,), states.DETACHING, "begin_detaching")


def roll_detaching(tx: Tx, ctx: Context, volume_id: str) -> None:
    """Nothing happens to a volume that is not being detached, as upstream."""
    volume = get(tx, ctx, volume_id)
    refuse_held(tx, volume)
    if volume.state == states.DETACHING:
        move(tx, volume, (states.DETACHING,), states.IN_USE, "roll_detaching")


def detach(tx: Tx, ctx: Context, volume_id: str, attachment_id: str | None) -> None:
    volume = get(tx, ctx, volume_id)
    refuse_held(tx, volume)
    need(tx, volume, (states.IN_USE, states.DETACHING), "detach it")
    held = [row for row in attachments.of_volume(tx, volume.id) if attachment_id in (None, row.id)]
    if attachment_id is not None and not held:
        raise errors.Invalid(f"Volume {volume.id} has no attachment {attachment_id}.")
    for row in held:
        attachments.end(tx, row)
    if not held:
        # Set in use by an administrator: there is nothing to end but the state.
        move(tx, volume, (volume.state,), states.AVAILABLE, "detach")


def move(tx: Tx, volume: Any, before: tuple[str, ...], after: str, verb: str) -> None:
    need(tx, volume, before, verb)
    journal.record(tx, f"volume.{verb}", VOLUMES_STORE.move(tx, volume, volume.state, after))


def refuse_held(tx: Tx, volume: Any) -> None:
    for row in attachments.of_volume(tx, volume.id):
        attachments.refuse_computes(row, "changed")
