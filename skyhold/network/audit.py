# SPDX-License-Identifier: Apache-2.0
"""Compares every connected host's data plane with what it should hold, and quota with a recount.

What a host should hold is said by the same functions that the loop uses (loops/dataplane.py), and it is
asked for a dry run: an audit repairs nothing. Ports of servers are looked at by compute/audit.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import sqlalchemy as sa

from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding, drift
from skyhold.network import desired
from skyhold.network.drivers import base
from skyhold.network.loops import dataplane
from skyhold.network.quotas import quota
from skyhold.network.tables import (
    FLOATING_IPS,
    NETWORKS,
    PORTS,
    ROUTERS,
    SECURITY_GROUPS,
    SECURITY_RULES,
    SUBNETS,
)

COUNTED = {
    "network": NETWORKS, "subnet": SUBNETS, "router": ROUTERS, "floatingip": FLOATING_IPS,
    "security_group": SECURITY_GROUPS, "security_group_rule": SECURITY_RULES,
}
OWN_DEVICE = "dhcp-"
REMEDY = "The host is compared as a whole and repaired every five minutes; if it stays, restart its agent."
WORDS = (("missing", "is missing"), ("extra", "is there unwanted"), ("changed", "differs from what it should be"))


async def run(ctx: Context) -> list[Finding]:
    found = await ctx.read(recount)
    for hello in ctx.core.bus.hosts():
        found += await host(ctx, hello.host_id, hello.name)
    return found


async def host(ctx: Context, host_id: str, name: str) -> list[Finding]:
    routes = await ctx.read(dataplane.routing_host) == host_id
    now, wanted = await ctx.read(dataplane.all_of, host_id, routes)
    question = base.Reconcile(snapshot=base.Snapshot(objects=desired.stamped(wanted, now)), dry_run=True)
    try:
        async with asyncio.timeout(dataplane.PATIENCE_S):
            diff = await ctx.core.bus.call(host_id, "net.reconcile", question, request_id=ctx.request_id)
    except (HostUnreachable, TimeoutError) as error:
        return [Finding("host", host_id, f"Host {name} did not say what its data plane holds: {error!r}.", REMEDY)]
    if not isinstance(diff, base.Diff):
        return [Finding("host", host_id, f"Host {name} could not compare its data plane: {diff}.", REMEDY)]
    return [
        Finding("data plane", f"{name}: {line}", f"On host {name}, {line} {words}.", REMEDY)
        for attribute, words in WORDS for line in getattr(diff, attribute)
    ]


def recount(tx: Tx, ctx: Context) -> list[Finding]:
    counted = Counter[tuple[str, str]]()
    for resource, table in COUNTED.items():
        rows = tx.all(sa.select(table.c.project_id, sa.func.count().label("n")).group_by(table.c.project_id))
        counted.update({(row.project_id, resource): row.n for row in rows})
    # What the cloud makes for itself is nobody's.
    own = sa.or_(PORTS.c.project_id == "", PORTS.c.device_id.like(OWN_DEVICE + "%"))
    ports = sa.select(PORTS.c.project_id, sa.func.count().label("n")).where(sa.not_(own)).group_by(PORTS.c.project_id)
    counted.update({(row.project_id, "port"): row.n for row in tx.all(ports)})
    return drift(tx, quota.service, set(quota.defaults), counted)
