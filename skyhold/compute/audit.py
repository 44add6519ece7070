# SPDX-License-Identifier: Apache-2.0
"""Compares servers with guests on their hosts, with their ports, and with their room in placement.

The data plane is network/audit.py's and sums in placement placement/audit.py's. Whatever a live saga is
at work on is left out: it will come to rest, or be found past its deadline.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from skyhold.compute import states
from skyhold.compute.drivers.base import GuestList, GuestStatus, Nothing
from skyhold.compute.logic import scheduling
from skyhold.compute.servers.store import known
from skyhold.compute.tables import HOSTS, KEYPAIRS, SERVER_GROUPS, SERVERS
from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding, drift
from skyhold.core.saga import rows
from skyhold.network import facade as network
from skyhold.placement import facade as placement
from skyhold.volume import facade as volume

COUNTED = {"instances", "cores", "ram", "key_pairs", "server_groups"}
SERVER_ROWS = sa.select(
    SERVERS.c.id, SERVERS.c.project_id, SERVERS.c.state, SERVERS.c.task, SERVERS.c.host_id, SERVERS.c.flavor,
    SERVERS.c.image_id,
).where(SERVERS.c.deleted_at.is_(None))


@dataclass(frozen=True)
class Seen:
    """`on` says which guests each host that answered has, by their ids."""

    on: dict[str, dict[str, GuestStatus]]
    names: dict[str, str]


async def run(ctx: Context) -> list[Finding]:
    """Hosts are asked first: a server made meanwhile has a saga, and so is left out."""
    seen, found = Seen({}, {}), []
    for hello in ctx.core.bus.hosts():
        seen.names[hello.host_id] = hello.name
        try:
            answer = await ctx.core.bus.call(hello.host_id, "guest.list", Nothing(), request_id=ctx.request_id)
        except HostUnreachable:
            continue
        if isinstance(answer, GuestList):
            seen.on[hello.host_id] = {guest.guest_id: guest for guest in answer.guests}
            found += [leftover(hello.name, line) for line in answer.leftovers]
    return found + await ctx.read(compare, seen)


def leftover(name: str, line: str) -> Finding:
    return Finding("leftover", f"{name}: {line}", f"On host {name}, {line} belongs to no guest.",
                   "Restart the host agent: it removes what is left over when it starts.")


def compare(tx: Tx, ctx: Context, seen: Seen) -> list[Finding]:
    servers = {row.id: row for row in tx.all(SERVER_ROWS)}
    busy = rows.live_subjects(tx, ctx)
    quiet = {id: row for id, row in servers.items() if id not in busy}
    return [
        *passing(quiet), *guests(tx, ctx, servers, quiet, busy, seen), *plugged(tx, ctx, quiet, busy, seen),
        *rooms(tx, ctx, servers, quiet, busy), *bindings(tx, ctx, servers, busy), *holds(tx, ctx, servers, busy),
        *recount(tx, servers),
    ]


def passing(quiet: dict[str, Any]) -> list[Finding]:
    """Servers in a state that passes, without a saga that would end it."""
    return [
        Finding("server", id, f"Server {id} is {row.state} ({row.task or 'no task'}), and no saga is at work on it.",
                "Reset its state (`openstack server set --state`) or delete it.")
        for id, row in quiet.items() if row.task or row.state == states.BUILDING
    ]


def guests(
    tx: Tx, ctx: Context, servers: dict[str, Any], quiet: dict[str, Any], busy: set[str], seen: Seen
) -> list[Finding]:
    found = []
    strays = [
        (host, id) for host, on in seen.on.items() for id in sorted(on.keys() - busy)
        if id not in servers or servers[id].host_id != host
    ]
    ours = known(tx, ctx, [id for _, id in strays])
    for host, id in strays:
        found.append(Finding(
            "guest", id, f"Host {seen.names[host]} has guest {id}, but no server of that id is there.",
            "It is removed by itself within a minute." if id in ours else
            "This database never had it, so it is left alone: look whether it is another's; else end it by hand.",
        ))
    for id, row in quiet.items():
        if row.host_id in seen.on and row.state != states.ERROR and id not in seen.on[row.host_id]:
            found.append(Finding("server", id, f"Server {id} is {row.state} on host {seen.names[row.host_id]}, which "
                                 "has no such guest.", "Reboot it hard: its guest is made again; or delete it."))
        elif row.host_id and row.host_id not in seen.on:
            found.append(Finding("host", row.host_id, f"Host {row.host_id} does not answer, so its servers were not "
                                 "compared.", "Start its agent: `skyhold host`."))
    return list(dict.fromkeys(found))


def plugged(tx: Tx, ctx: Context, quiet: dict[str, Any], busy: set[str], seen: Seen) -> list[Finding]:
    """Guests have the volumes and ports of their servers, and no others: who writes to a volume that is free harms the
    next to have it."""
    there = {
        id: status for host, on in seen.on.items() for id, status in on.items()
        if id in quiet and quiet[id].host_id == host and quiet[id].state != states.ERROR
    }
    volumes = {
        (each.server_id, each.volume_id): each.id
        for held in volume.attachments_of(tx, ctx, there).values() for each in held
    }
    ports = {(port.server_id, port.id): port.id for port in network.bindings(tx, ctx)}
    has_volumes = {(id, each) for id, status in there.items() for each in status.volumes or ()}
    has_ports = {(id, each) for id, status in there.items() for each in status.ports or ()}
    # What a driver can't say is compared with nothing.
    told_volumes = {id for id, status in there.items() if status.volumes is not None}
    told_ports = {id for id, status in there.items() if status.ports is not None}
    return [
        *differing("volume", "attachment", volumes, has_volumes, told_volumes, busy),
        *differing("port", "port", ports, has_ports, told_ports, busy),
    ]


def differing(
    what: str, kind: str, wanted: dict[tuple[str, str], str], has: set[tuple[str, str]], told: set[str], busy: set[str]
) -> list[Finding]:
    """By (guest, volume or port): too many, and too few."""
    extra = [
        Finding("guest", guest, f"Guest {guest} has {what} {id}, which is not its server's.",
                "It is pulled out by itself within a minute.")
        for guest, id in sorted(has - wanted.keys()) if id not in busy
    ]
    return extra + [
        Finding(kind, wanted[guest, id], f"The guest of server {guest} lacks its {what} {id}.",
                f"Reboot the server hard: its {what} is plugged in again.")
        for guest, id in sorted(wanted.keys() - has) if guest in told and id not in busy
    ]


def rooms(tx: Tx, ctx: Context, servers: dict[str, Any], quiet: dict[str, Any], busy: set[str]) -> list[Finding]:
    """Room in placement is held by servers that are there, for what their flavors take, on their hosts."""
    hosts = {row.id for row in tx.all(sa.select(HOSTS.c.id))}
    consumers = set(placement.consumers_of(tx, ctx, *hosts))
    held = placement.allocations(tx, ctx, sorted(consumers | quiet.keys()))
    found = [
        Finding("allocation", id, f"Room is held for {id}, which is no server.",
                f"`openstack resource provider allocation delete {id}`.")
        for id in sorted(consumers - servers.keys() - busy)
    ]
    for id, row in quiet.items():
        wanted = {row.host_id: scheduling.resources(row.flavor, root_on_volume=not row.image_id)} if row.host_id else {}
        if held.get(id, {}) != wanted:
            found.append(Finding("allocation", id, f"Server {id} should hold {told(wanted)}, but holds "
                                 f"{told(held.get(id, {}))}.", "Report it as a defect; delete the server."))
    return found


def told(held: dict[str, dict[str, int]]) -> str:
    parts = [f"{amount} {name} of {host}" for host, each in held.items() for name, amount in sorted(each.items())]
    return ", ".join(parts) or "nothing"


def bindings(tx: Tx, ctx: Context, servers: dict[str, Any], busy: set[str]) -> list[Finding]:
    found = []
    for port in network.bindings(tx, ctx):
        server = servers.get(port.server_id)
        if port.server_id in busy:
            continue
        if server is None:
            wrong = f"is plugged into server {port.server_id}, which is not there"
        elif port.host_id and port.host_id != server.host_id:
            wrong = f"is bound to host {port.host_id}, but its server {server.id} is on {server.host_id or 'none'}"
        else:
            continue
        found.append(Finding("port", port.id, f"Port {port.id} {wrong}.", f"`openstack port delete {port.id}`."))
    return found


def holds(tx: Tx, ctx: Context, servers: dict[str, Any], busy: set[str]) -> list[Finding]:
    """A volume is kept for a server that is there, plugged into it, and lies on its host."""
    found = []
    attached = [each for each in volume.all_attachments(tx, ctx) if each.server_id not in busy]
    disks = volume.disk(tx, ctx, [each.volume_id for each in attached])
    for each in attached:
        server, disk = servers.get(each.server_id), disks.get(each.volume_id)
        remedy = (f"Detach it (`openstack server remove volume {each.server_id} {each.volume_id}`), or delete the "
                  "server.")
        if server is None:
            wrong = f"is kept for server {each.server_id}, which is not there"
            remedy = f"`skyhold admin mend attachment {each.id}`: the volume is free then."
        elif not each.attached and each.volume_id not in busy and not awaits_deletion(server, each):
            wrong = f"is reserved for server {each.server_id}, and no saga is at work to attach it"
        elif each.attached and disk is not None and server.host_id and disk.host_id != server.host_id:
            wrong = f"lies on host {disk.host_id}, but its server {server.id} is on {server.host_id}"
        else:
            continue
        found.append(Finding("attachment", each.id, f"Volume {each.volume_id} {wrong}.", remedy))
    return found


def awaits_deletion(server: Any, each: volume.Attachment) -> bool:
    """What was given to a server that could not be built, to go with it, goes when the server is deleted."""
    return bool(server.state == states.ERROR and server.host_id is None and each.delete_on_termination)


def recount(tx: Tx, servers: dict[str, Any]) -> list[Finding]:
    counted = Counter[tuple[str, str]]()
    for row in servers.values():
        counted[row.project_id, "instances"] += 1
        counted[row.project_id, "cores"] += row.flavor["vcpus"]
        counted[row.project_id, "ram"] += row.flavor["ram_mb"]
    counted.update((row.user_id, "key_pairs") for row in tx.all(sa.select(KEYPAIRS.c.user_id)))
    counted.update((row.project_id, "server_groups") for row in tx.all(sa.select(SERVER_GROUPS.c.project_id)))
    return drift(tx, "compute", COUNTED, counted)
