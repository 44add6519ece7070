# SPDX-License-Identifier: Apache-2.0
"""Keeps true: every connected host holds exactly the ports, networks, groups and routers it needs.

What changed is in network_changes (changes.py), what a host should hold comes from desired.py, the
smallest change from logic/held.py. A host that just connected, or whose change failed, is brought
up to date as a whole; so the rows may go once every host was asked, and nothing is lost by a crash:
when the control plane starts, or another of its processes takes over, every host is looked at anew. What
is sent carries the term of whoever runs the loop, so a process that was paused can't undo newer work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.bus import Failed, Hello, HostUnreachable, StaleFence, Working
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.core.service import Hears
from skyhold.core.tables import LEASES
from skyhold.network import desired
from skyhold.network.changes import LENT, LOOP, pair
from skyhold.network.drivers import base
from skyhold.network.logic.held import Held, Key, key_of
from skyhold.network.tables import CHANGES, FLOATING_IPS, PORTS

log = structlog.get_logger("network")

ROUTING = "network.routing"
"""A lease that doesn't end: its holder is the host that routes, until it is away."""
EVERY_S = 1.0
WHOLE_EVERY_S = 300.0
PATIENCE_S = 20.0
BATCH = 5000


@dataclass
class Host:
    """A connected host. `whole`: it must be brought up to date from the ground."""

    id: str
    held: Held = field(default_factory=Held)
    whole: bool = True
    retry_at: int = 0
    failures: int = 0


@dataclass
class Plane:
    """What this process knows about its hosts; `routers_on` is the host that routes. It counts for one
    `term`: when another process had the loop meanwhile, everything is found out anew."""

    term: int = 0
    hosts: dict[str, Host] = field(default_factory=dict)
    routers_on: str | None = None


def plane(core: Core) -> Plane:
    found: Plane = core.shelf.setdefault("network.plane", Plane())
    return found


# ---- one round -----------------------------------------------------------------------------


async def keep_wired(ctx: Context) -> None:
    """One round: tell every host what changed since the last."""
    core = ctx.core
    here = plane(core)
    if here.term != core.loops.term(LOOP):
        here.term, here.routers_on = core.loops.term(LOOP), await ctx.read(routing_host)
        here.hosts.clear()
    if (newly := settle_hosts(here, [hello.host_id for hello in core.bus.hosts()])) is not None:
        await ctx.write(let_route, newly)
    rows = await ctx.read(pending)
    lent = {row.object_id for row in rows if row.kind == LENT}
    keys = list(dict.fromkeys((row.kind, row.object_id) for row in rows if row.kind != LENT))
    await asyncio.gather(*[serve(ctx, here, host, keys, lent) for host in list(here.hosts.values())])
    if rows:
        await ctx.write(forget, [row.id for row in rows])
        if len(rows) == BATCH:
            core.loops.ring(LOOP)


def settle_hosts(here: Plane, connected: Sequence[str]) -> str | None:
    """Forget hosts that went, greet new ones, and see that exactly one connected host routes; the new one
    when it is another now."""
    for id in list(here.hosts):
        if id not in connected:
            del here.hosts[id]
    for id in connected:
        here.hosts.setdefault(id, Host(id))
    if here.routers_on in here.hosts or not connected:
        return None
    here.routers_on = connected[0]
    here.hosts[connected[0]].whole = True
    return connected[0]


async def serve(
    ctx: Context, here: Plane, host: Host, keys: Sequence[Key], lent: Collection[str]
) -> None:
    """Bring one host up to date; whatever fails is made good by a whole round later."""
    if host.whole and ctx.now < host.retry_at:
        return
    routes = here.routers_on == host.id
    try:
        async with asyncio.timeout(PATIENCE_S):
            if host.whole:
                await send_whole(ctx, host, routes)
            elif keys:
                await send_change(ctx, host, keys, routes, lent)
    except StaleFence as stale:
        ctx.core.loops.outrun(LOOP, stale.heard)
        host.whole = True
        return
    except (HostUnreachable, TimeoutError, Refused) as error:
        fall_behind(ctx, host)
        log.warning("host is behind", host=host.id, error=str(error), failures=host.failures)
        return
    except errors.Unavailable:
        # The database's trouble and no host's: the round is repeated.
        raise
    except Exception:
        # What nobody foresaw of one must not keep the others from being told.
        fall_behind(ctx, host)
        log.exception("host could not be served", host=host.id, failures=host.failures)
        return
    host.failures = 0


def fall_behind(ctx: Context, host: Host) -> None:
    host.failures += 1
    host.retry_at = ctx.now + min(2 ** host.failures, 60) * 1_000_000
    host.whole = True


async def send_change(ctx: Context, host: Host, keys: Sequence[Key], routes: bool, lent: Collection[str]) -> None:
    now, wanted = await ctx.read(wanted_of, host, keys, routes)
    if lent and unmet(host, keys, wanted, lent):
        # It came and went between two rounds, but compute had wired it: only a comparison finds what is left.
        await send_whole(ctx, host, routes)
        return
    change = host.held.difference(keys, wanted)
    if not change.upserts and not change.deletes:
        return
    answer = await tell(ctx, host, "net.apply", base.ChangeSet(
        upserts=desired.stamped(change.upserts, now), deletes=change.deletes
    ))
    host.held.apply(change)
    if answer.problems:
        raise Refused("; ".join(answer.problems))
    ports = {each.id: each.admin_up for each in change.upserts if isinstance(each, base.Port)}
    up = [id for id in answer.ports_up if ports.get(id)]
    floating = [each.id for each in change.upserts if isinstance(each, base.FloatingIp)]
    if ports or floating:
        await ctx.write(settle, up, [id for id in ports if id not in set(up)], floating)


async def send_whole(ctx: Context, host: Host, routes: bool) -> None:
    now, wanted = await ctx.read(all_of, host.id, routes)
    diff = await tell(ctx, host, "net.reconcile", base.Reconcile(
        snapshot=base.Snapshot(objects=desired.stamped(wanted, now))
    ))
    before = host.held.objects
    host.held.replace(wanted)
    host.whole = False
    if diff.missing or diff.extra or diff.changed:
        log.info("host repaired", host=host.id, missing=len(diff.missing), extra=len(diff.extra),
                 changed=len(diff.changed))
    # A port held before keeps what was last said of it: its guest may be off.
    new = [each for each in wanted if isinstance(each, base.Port) and ("Port", each.id) not in before]
    up = [each.id for each in new if each.admin_up]
    floating = [each.id for each in wanted if isinstance(each, base.FloatingIp)]
    if up or floating:
        await ctx.write(settle, up, [], floating)


def unmet(host: Host, keys: Sequence[Key], wanted: Sequence[base.Desired], lent: Collection[str]) -> bool:
    """Whether a port that changed was lent to this host, isn't wanted there (any more) and was never sent."""
    ports = {key for key in keys if key[0] == "Port" and pair(host.id, key[1]) in lent}
    return not ports - host.held.objects.keys() <= {key_of(each) for each in wanted}


class Refused(Exception):
    """The host answered that it can't."""


async def tell(ctx: Context, host: Host, verb: str, body: Any) -> Any:
    answer = await ctx.core.bus.call(
        host.id, verb, body, subject="network", fence=ctx.core.loops.term(LOOP), request_id=ctx.request_id
    )
    if isinstance(answer, Failed):
        raise Refused(f"{answer.kind}: {answer.text}")
    if isinstance(answer, Working):
        raise Refused("still at it")
    return answer


# ---- queries -------------------------------------------------------------------------------


def routing_host(tx: Tx, ctx: Context) -> str | None:
    """The host that routes, as whoever runs the loop has written it down."""
    found: str | None = tx.scalar(sa.select(LEASES.c.holder).where(LEASES.c.name == ROUTING))
    return found


def let_route(tx: Tx, ctx: Context, host_id: str) -> None:
    if not tx.changed(LEASES.update().where(LEASES.c.name == ROUTING).values(holder=host_id)):
        tx.execute(LEASES.insert(), {"name": ROUTING, "holder": host_id, "until": 0})


def pending(tx: Tx, ctx: Context) -> list[Any]:
    return list(tx.all(sa.select(CHANGES).order_by(CHANGES.c.id).limit(BATCH)))


FORGET = CHANGES.delete().where(among(CHANGES.c.id, "ids"))


def forget(tx: Tx, ctx: Context, ids: list[int]) -> None:
    for i in range(0, len(ids), 1000):
        tx.execute(FORGET, {"ids": ids[i:i + 1000]})


def wanted_of(
    tx: Tx, ctx: Context, host: Host, keys: Sequence[Key], routes: bool
) -> tuple[int, list[base.Desired]]:
    """Those of the objects named that the host should hold, with all that they depend on."""
    asked: dict[str, list[str]] = {}
    for kind, id in keys:
        asked.setdefault(kind, []).append(id)
    roots: list[base.Desired] = list(desired.ports(tx, asked["Port"], host.id)) if "Port" in asked else []
    if routes:
        roots += desired.routers(tx, asked["Router"]) if "Router" in asked else []
        roots += desired.floating_ips(tx, asked["FloatingIp"]) if "FloatingIp" in asked else []
    networks, groups = held_named(host.held, asked)
    around = desired.around(tx, roots, ctx.core.settings.network.dns, networks, groups)
    return tx.now, [*around, *roots]


def held_named(held: Held, asked: dict[str, list[str]]) -> tuple[set[str], set[str]]:
    """Networks and groups among the changed ones that the host holds already. A subnet concerns the
    hosts that hold its network: which one that is, only the rows know, so all held ones are looked at."""
    networks = {id for id in asked.get("Network", ()) if ("Network", id) in held.objects}
    if "Subnet" in asked:
        networks |= {each.id for each in held.of_kind("Network")}
    groups = {id for id in asked.get("SecurityGroup", ()) if ("SecurityGroup", id) in held.objects}
    return networks, groups


def all_of(tx: Tx, ctx: Context, host_id: str, routes: bool) -> tuple[int, list[base.Desired]]:
    roots: list[base.Desired] = list(desired.ports(tx, desired.bound_ports(tx, host_id), host_id))
    if routes:
        roots += [*desired.routers(tx), *desired.floating_ips(tx)]
    return tx.now, [*desired.around(tx, roots, ctx.core.settings.network.dns), *roots]


def settle(tx: Tx, ctx: Context, up: list[str], down: list[str], floating: list[str]) -> None:
    """Write down what the data plane says of ports and floating IPs; no revision counts it."""
    set_status(tx, PORTS, up, "ACTIVE")
    set_status(tx, PORTS, down, "DOWN")
    set_status(tx, FLOATING_IPS, floating, "ACTIVE")


def set_status(tx: Tx, table: sa.Table, ids: Sequence[str], status: str) -> None:
    for i in range(0, len(ids), 1000):
        where = [table.c.id.in_(ids[i:i + 1000]), table.c.status != status]
        if table is FLOATING_IPS:
            where.append(table.c.router_id.is_not(None))
        tx.execute(table.update().where(*where).values(status=status))


# ---- what hosts say ------------------------------------------------------------------------


async def host_came(ctx: Context, host_id: str, hello: Hello) -> None:
    """Called while the host's link waits, so nothing is sent from here: the loop does it."""
    plane(ctx.core).hosts.pop(host_id, None)
    ctx.core.loops.ring(LOOP)


async def host_went(ctx: Context, host_id: str, hello: Hello) -> None:
    plane(ctx.core).hosts.pop(host_id, None)
    ctx.core.loops.ring(LOOP)


async def port_changed(ctx: Context, host_id: str, event: base.PortEvent) -> None:
    await ctx.write(note_port, host_id, event)


def note_port(tx: Tx, ctx: Context, host_id: str, event: base.PortEvent) -> None:
    """Only the host that a port is bound to may speak for it."""
    mine = (PORTS.c.id == event.port_id) & (PORTS.c.host_id == host_id)
    up = event.up
    if up:
        mine &= PORTS.c.admin_up.is_(True)
    tx.execute(PORTS.update().where(mine).values(status="ACTIVE" if up else "DOWN"))


async def look_at_all(ctx: Context) -> None:
    """Now and then every host is compared as a whole: damage nobody reported is repaired. Each process
    marks those it knows, whoever runs the loop."""
    for host in plane(ctx.core).hosts.values():
        host.whole = True
    ctx.core.loops.ring(LOOP)


LOOPS = [Loop(LOOP, EVERY_S, keep_wired), Loop("network.dataplane_whole", WHOLE_EVERY_S, look_at_all, leased=False)]
REPORTS: dict[str, tuple[type, Hears]] = {
    "host.hello": (Hello, host_came),
    "host.gone": (Hello, host_went),
    "port.changed": (base.PortEvent, port_changed),
}
