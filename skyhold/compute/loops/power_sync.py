# SPDX-License-Identifier: Apache-2.0
"""Keeps true: a server is shown as its guest really is, and no host has guests, plugged ports
or attached volumes that nobody wants.

It asks each connected host what it runs, when the host connects and now and then; single changes
arrive as reports in between. Servers and guests with a live saga are left alone.
"""

from __future__ import annotations

from typing import Any

import structlog

from skyhold.compute import hosts, states
from skyhold.compute.drivers.base import GuestDetach, GuestList, GuestRef, GuestStatus, GuestUnplug, Nothing
from skyhold.compute.servers import announce
from skyhold.compute.servers.store import SERVERS_STORE, known, on_host
from skyhold.core import journal
from skyhold.core.bus import HostUnreachable, StaleFence
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.core.saga import rows
from skyhold.network import facade as network
from skyhold.volume import facade as volume

log = structlog.get_logger("compute")

EVERY_S = 30.0
STATE_OF_POWER = {
    "running": states.ACTIVE, "paused": states.PAUSED, "suspended": states.SUSPENDED,
    "stopped": states.STOPPED, "crashed": states.STOPPED, "absent": states.STOPPED,
}


async def run(ctx: Context) -> None:
    for host in ctx.core.bus.hosts():
        try:
            await sync_host(ctx, host.host_id)
            if host.host_id in hosts.greeted(ctx.core):
                hosts.greeted(ctx.core).discard(host.host_id)
                await announce.send_all(ctx, host.host_id)
        except HostUnreachable:
            log.info("host went away while it was asked", host=host.name)
        except StaleFence as stale:
            # A saga has told this host more since: the next look is for it, and the other hosts have their turn.
            log.info("host has heard newer words", host=host.name, error=str(stale))


async def sync_host(ctx: Context, host_id: str) -> None:
    asked_at = ctx.now
    seen = await ctx.core.bus.call(host_id, "guest.list", Nothing(), request_id=ctx.request_id)
    if not isinstance(seen, GuestList):
        return
    unwanted = await ctx.write(compare, host_id, seen.guests, asked_at)
    for guest_id, port_id in await ctx.read(left_plugged, host_id, seen.guests, {id for id, _ in unwanted}):
        log.info("port that left its server is pulled out", guest=guest_id, port=port_id, host=host_id)
        want = GuestUnplug(guest_id=guest_id, port_id=port_id)
        await ctx.core.bus.call(host_id, "guest.unplug", want, request_id=ctx.request_id)
    for guest_id, volume_id in await ctx.read(left_attached, host_id, seen.guests, {id for id, _ in unwanted}):
        log.info("volume that left its server is detached", guest=guest_id, volume=volume_id, host=host_id)
        gone = GuestDetach(guest_id=guest_id, volume_id=volume_id)
        await ctx.core.bus.call(host_id, "guest.detach", gone, request_id=ctx.request_id)
    for guest_id, fence in unwanted:
        log.info("guest without a server removed", guest=guest_id, host=host_id)
        await ctx.core.bus.call(
            host_id, "guest.absent", GuestRef(guest_id=guest_id), subject=guest_id, fence=fence,
            request_id=ctx.request_id,
        )


def compare(
    tx: Tx, ctx: Context, host_id: str, guests: list[GuestStatus], asked_at: int
) -> list[tuple[str, int]]:
    """Correct the servers of a host; which of its guests belong to none of them, with a fence.

    What a saga has written since the host was asked is newer than its answer: the next look is for it.
    A guest of which there is no row at all is another database's: rows of deleted servers stay, and
    to remove its disks because the wrong database was started could not be undone.
    """
    busy = rows.live_subjects(tx, ctx)
    servers = {server.id: server for server in on_host(tx, ctx, host_id)}
    seen = {guest.guest_id: guest for guest in guests}
    for server in servers.values():
        if server.id not in busy and server.updated_at < asked_at:
            missing = GuestStatus(guest_id=server.id, power="absent")
            correct(tx, ctx, server, seen.get(server.id, missing))
    strays = [id for id in seen if id not in servers and id not in busy]
    ours = known(tx, ctx, strays)
    for id in set(strays) - ours:
        log.warning("a guest of another cloud is left alone", guest=id, host=host_id)
    return [(id, tx.now) for id in strays if id in ours]


def left_plugged(
    tx: Tx, ctx: Context, host_id: str, guests: list[GuestStatus], gone: set[str]
) -> list[tuple[str, str]]:
    """(guest, port) of ports that were detached while the host could not be told."""
    plugged = [(guest.guest_id, port) for guest in guests for port in guest.ports or () if guest.guest_id not in gone]
    wanted = {(port.server_id, port.id) for port in network.bindings(tx, ctx, host_id)}
    busy = rows.live_subjects(tx, ctx)
    ours = {server.id for server in on_host(tx, ctx, host_id)}
    return [
        (guest, port) for guest, port in plugged
        if (guest, port) not in wanted and guest in ours and guest not in busy and port not in busy
    ]


def left_attached(
    tx: Tx, ctx: Context, host_id: str, guests: list[GuestStatus], gone: set[str]
) -> list[tuple[str, str]]:
    """(guest, volume) of volumes that are no longer their server's, as far as the host could not be told."""
    plugged = {guest.guest_id: guest.volumes for guest in guests if guest.volumes and guest.guest_id not in gone}
    if not plugged:
        return []
    held = volume.attachments_of(tx, ctx, plugged)
    wanted = {(each.server_id, each.volume_id) for attachments in held.values() for each in attachments}
    busy = rows.live_subjects(tx, ctx)
    ours = {server.id for server in on_host(tx, ctx, host_id)}
    return [
        (guest, volume_id) for guest, volumes in plugged.items() for volume_id in volumes
        if (guest, volume_id) not in wanted and guest in ours and guest not in busy and volume_id not in busy
    ]


async def guest_changed(ctx: Context, host_id: str, status: GuestStatus) -> None:
    """A host says that a guest changed unasked."""
    await ctx.write(note, host_id, status)


def note(tx: Tx, ctx: Context, host_id: str, status: GuestStatus) -> None:
    server = SERVERS_STORE.find(tx, status.guest_id, lock=True)
    if server is not None and server.host_id == host_id and not rows.live(tx, ctx, server.id):
        correct(tx, ctx, server, status)


def correct(tx: Tx, ctx: Context, server: Any, status: GuestStatus) -> None:
    """The guest is what it is: a stopped one makes its server SHUTOFF, whoever stopped it."""
    power = states.POWER_NUMBERS[status.power]
    state = STATE_OF_POWER[status.power]
    if server.state == states.ERROR or (server.power == power and server.state == state):
        return
    server = SERVERS_STORE.find(tx, server.id, lock=True)
    if server is None or server.task is not None:
        return
    if state not in states.SERVER.moves[server.state] and state != server.state:
        # Two changes seen as one (suspended to paused): the next look finds the server at rest.
        state = states.STOPPED if power == states.POWER_SHUTDOWN else server.state
    server = SERVERS_STORE.update(tx, server, state=state, power=power)
    journal.record(tx, "server.power_sync", server)
    if status.power == "running":
        announce.push_metadata(tx, ctx, server)


LOOP = Loop("compute.power_sync", EVERY_S, run)
