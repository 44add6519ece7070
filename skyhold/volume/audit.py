# SPDX-License-Identifier: Apache-2.0
"""Compares volumes and snapshots with their bytes on hosts, with their attachments, and with their quota.

Whatever a live saga is at work on is left out: it will come to rest, or be found past its deadline. Servers are
compute's: whether one of them still has the volume is its audit's business.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding, drift
from skyhold.core.saga import rows
from skyhold.volume import states
from skyhold.volume.drivers.base import Nothing, VolumeList
from skyhold.volume.quotas import COUNTED
from skyhold.volume.sagas.asking import what_remains
from skyhold.volume.tables import ATTACHMENTS, REMAINS, SNAPSHOTS, VOLUMES

HELD = (states.RESERVED, states.ATTACHING, states.IN_USE, states.DETACHING)


@dataclass
class Seen:
    """`on` says what each host that answered has: ids of volumes and of snapshots."""

    on: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


async def run(ctx: Context) -> list[Finding]:
    """Hosts are asked first: a volume made meanwhile has a saga, and so is left out."""
    seen, found = Seen(), []
    for hello in ctx.core.bus.hosts():
        seen.names[hello.host_id] = hello.name
        try:
            answer = await ctx.core.bus.call(hello.host_id, "volume.list", Nothing(), request_id=ctx.request_id)
        except HostUnreachable:
            continue
        if isinstance(answer, VolumeList):
            seen.on[hello.host_id] = set(answer.volumes), set(answer.snapshots)
            found += [leftover(hello.name, line) for line in answer.leftovers]
    return found + await ctx.read(compare, seen)


def leftover(name: str, line: str) -> Finding:
    return Finding("volume file", f"{name}: {line}", f"On host {name}, {line} belongs to no volume and no snapshot.",
                   "Look at it and remove it.")


def compare(tx: Tx, ctx: Context, seen: Seen) -> list[Finding]:
    volumes, snapshots = tx.all(sa.select(VOLUMES)), tx.all(sa.select(SNAPSHOTS))
    busy = rows.live_subjects(tx, ctx)
    going = {what_remains(row) for row in tx.all(sa.select(REMAINS.c.id))}
    return [
        *passing("volume", volumes, states.VOLUME, busy), *passing("snapshot", snapshots, states.SNAPSHOT, busy),
        *bytes_of("volume", 0, volumes, seen, busy | going), *bytes_of("snapshot", 1, snapshots, seen, busy | going),
        *unseen([*volumes, *snapshots], seen),
        *holds(tx, volumes), *recount(tx, volumes, snapshots),
    ]


def passing(kind: str, found: Any, table: Any, busy: set[str]) -> list[Finding]:
    """In a state that passes, without a saga that would end it."""
    command = "volume" if kind == "volume" else "volume snapshot"
    return [
        Finding("volume", row.id, f"The {kind} {row.id} is {row.state}, and no saga is at work on it.",
                f"Reset its state (`openstack {command} set --state`) or delete it.")
        for row in found if row.state not in table.resting and owner(row) not in busy and row.id not in busy
    ]


def owner(row: Any) -> str:
    """A snapshot that goes with its volume is in that one's hands."""
    return str(getattr(row, "volume_id", row.id))


def bytes_of(kind: str, place: int, found: Any, seen: Seen, busy: set[str]) -> list[Finding]:
    """Rows without bytes, and bytes without a row."""
    known = {row.id: row for row in found}
    missing = [
        Finding("volume", row.id, f"The {kind} {row.id} is {row.state}, but host {seen.names[row.host_id]} has no "
                "bytes of it.", "Bring its file back from a backup, or delete it.")
        for row in found
        if row.host_id in seen.on and row.id not in busy and row.state not in (states.ERROR, states.ERROR_DELETING)
        and row.id not in seen.on[row.host_id][place]
    ]
    strays = [
        Finding("volume bytes", id, f"Host {seen.names[host]} holds the {kind} {id}, which is none of this cloud's.",
                "Look whether it is another database's; else remove its file.")
        for host, on in seen.on.items() for id in sorted(on[place] - busy)
        if id not in known or known[id].host_id != host
    ]
    return missing + strays


def unseen(found: Any, seen: Seen) -> list[Finding]:
    """Hosts that hold something and could not be asked: what wasn't compared is never passed over in silence."""
    return [
        Finding("host", host, f"Host {host} does not answer, so its volumes and snapshots were not compared.",
                "Start its agent: `skyhold host`.")
        for host in sorted({row.host_id for row in found if row.host_id} - seen.on.keys())
    ]


def holds(tx: Tx, volumes: Any) -> list[Finding]:
    """A volume is held exactly while an attachment, or somebody by hand, holds it."""
    attached = {row.volume_id for row in tx.all(sa.select(ATTACHMENTS.c.volume_id))}
    return [
        Finding("volume", row.id, f"Volume {row.id} is {row.state}, but has an attachment.",
                "Detach it, or reset its state.")
        for row in volumes if row.id in attached and row.state not in (*HELD, states.DELETING, states.ERROR,
                                                                      states.ERROR_DELETING)
    ]


def recount(tx: Tx, volumes: Any, snapshots: Any) -> list[Finding]:
    counted = Counter[tuple[str, str]]()
    for row in volumes:
        counted[row.project_id, "volumes"] += 1
        counted[row.project_id, "gigabytes"] += row.growing_gib or row.size_gib
    for row in snapshots:
        counted[row.project_id, "snapshots"] += 1
        counted[row.project_id, "gigabytes"] += row.size_gib
    return drift(tx, "volume", set(COUNTED), counted)
