# SPDX-License-Identifier: Apache-2.0
"""Frees a volume that is kept for a server which is not there, when an operator says so (core/operator/mend.py).

What finds it is audit.py. A server that goes gives its volumes back in the same commit, so no request leads here; and
none leads out, because only compute ends what compute holds (CVE-2023-2088), and does it for servers that are there.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute.drivers.base import GuestList, Nothing
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors
from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import rows
from skyhold.volume import facade as volume


async def free_volume(ctx: Context, attachment_id: str) -> str:
    """Raises NotFound, and Conflict while the server is there, or its guest, or somebody is at work on either."""
    held, host_id = await ctx.read(orphan, attachment_id)
    await refuse_running(ctx, held, host_id)
    await ctx.write(release, attachment_id)
    now = "would no longer be" if ctx.dry_run else "is no longer"
    return f"Volume {held.volume_id} {now} kept for server {held.server_id}."


def orphan(tx: Tx, ctx: Context, attachment_id: str) -> tuple[volume.Attachment, str | None]:
    """The attachment and the host of its volume."""
    held = volume.attachment(tx, ctx, attachment_id)
    if held is None:
        raise errors.NotFound(f"There is no attachment {attachment_id[:100]} that compute made.")
    if SERVERS_STORE.find(tx, held.server_id) is not None:
        raise errors.Conflict(
            f"Server {held.server_id} is there: detach its volume (`openstack server remove volume {held.server_id} "
            f"{held.volume_id}`), or delete the server.", reason="server_exists",
        )
    for id in (held.server_id, held.volume_id):
        if kind := rows.live(tx, ctx, id):
            raise errors.Conflict(f"{kind} of {id} is under way and will end by itself.", reason="busy")
    disk = volume.disk(tx, ctx, [held.volume_id]).get(held.volume_id)
    return held, disk.host_id if disk is not None else None


async def refuse_running(ctx: Context, held: volume.Attachment, host_id: str | None) -> None:
    """A host that is away is not waited for, as when a server is deleted: it removes the guest when it is back."""
    if host_id is None:
        return
    try:
        answer: Any = await ctx.core.bus.call(host_id, "guest.list", Nothing(), request_id=ctx.request_id)
    except HostUnreachable:
        return
    for guest in answer.guests if isinstance(answer, GuestList) else ():
        if guest.guest_id == held.server_id or held.volume_id in (guest.volumes or ()):
            raise errors.Conflict(
                f"The volume's host has guest {guest.guest_id}, which may write to it. The audit says what becomes of "
                "it: try again then.", reason="guest_runs",
            )


def release(tx: Tx, ctx: Context, attachment_id: str) -> None:
    held, _ = orphan(tx, ctx, attachment_id)
    volume.release(tx, ctx, held.id)
