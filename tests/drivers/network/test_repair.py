# SPDX-License-Identifier: Apache-2.0
"""Damage to the native data plane and what becomes of it: flushed rules, lost links, restarts.

Forged frames and translation are in test_native.py. Damage is done with the ordinary tools, as an
operator or another program would.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from skyhold.network.drivers.base import ChangeSet, Deleted, PortEvent, SecurityRule, Snapshot
from skyhold.network.drivers.native import names, netns
from skyhold.network.drivers.native.netfilter import Netfilter
from tests.drivers.network.labs import (
    PING4,
    NativeLab,
    eventually,
    in_plane,
    neighbours,
    subprocess_text,
    tcp,
    way_out,
)
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.root


async def test_restart_adopts_without_touching(native: NativeLab) -> None:
    await neighbours(native)
    await native.serve("b1", 80)
    alive = await native.flow("a1", "10.1.0.12", 80)
    before = in_plane(native, "ip", "-o", "link"), generation(native)
    await native.restart()
    assert (in_plane(native, "ip", "-o", "link"), generation(native)) == before
    assert await alive()


async def test_a_lost_memory_is_rebuilt_by_reconcile(native: NativeLab) -> None:
    await neighbours(native)
    await native.engine.stop()
    for file in native.state_dir.glob("network-*.json"):
        file.write_text("not what we wrote")
    await native.restart()
    applied = await native.engine.reconcile(Snapshot(objects=list(native.objects.values())))
    assert "Port a1" in applied.missing
    diff = await native.engine.reconcile(Snapshot(objects=list(native.objects.values())), dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])


def generation(lab: NativeLab) -> int:
    fd = netns.open_namespace(lab.engine.names.plane)
    try:
        with netns.inside(fd):
            channel = Netfilter()
        found = channel.generation()
        channel.close()
        return found
    finally:
        os.close(fd)


async def test_flushed_rules_come_back_by_themselves(native: NativeLab) -> None:
    await neighbours(native)
    await native.put(native.group("open", PING4, revision=2))
    await native.serve("b1", 80)
    assert not await native.connects("a1", "10.1.0.12", 80, 0.3)
    before = in_plane(native, "nft", "list", "ruleset")
    in_plane(native, "nft", "flush", "ruleset")
    assert await eventually(lambda: in_plane(native, "nft", "list", "ruleset") == before)
    assert not await native.connects("a1", "10.1.0.12", 80, 0.3)
    assert await native.pings("a1", "10.1.0.12")


async def test_a_change_repairs_flushed_rules_before_it_wires(native: NativeLab) -> None:
    await neighbours(native)
    in_plane(native, "nft", "flush", "ruleset")
    await native.put(native.port("c1", "red", "10.1.0.13"))
    assert names.tap("a1") in in_plane(native, "nft", "list", "map", "bridge", "skyhold", "in_mark")


async def test_a_deleted_tap_comes_back_and_is_told(native: NativeLab) -> None:
    await neighbours(native)
    events = native.engine.events()
    first = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    in_plane(native, "ip", "link", "del", names.tap("a1"))
    assert await asyncio.wait_for(first, PATIENCE_S) == PortEvent(port_id="a1", up=False)
    assert await anext(events) == PortEvent(port_id="a1", up=True)
    assert names.tap("a1") in in_plane(native, "ip", "-o", "link")


@pytest.mark.parametrize(
    "damage",
    [
        lambda lab: subprocess.run(["ip", "netns", "del", lab.engine.names.router("r1")], check=True),
        lambda lab: subprocess.run(["ip", "link", "del", lab.engine.names.root_leg("ext")], check=True),
        lambda lab: in_plane(lab, "ip", "link", "del", names.bridge("red")),
        lambda lab: in_plane(lab, "ip", "link", "set", names.tap("a1"), "nomaster"),
        lambda lab: in_plane(lab, "ip", "link", "set", names.leg("r1-red"), "down"),
    ],
    ids=["router namespace", "root leg", "bridge", "tap out of its bridge", "leg down"],
)
async def test_reconcile_repairs_what_others_broke(
    unwatched: NativeLab, damage: Callable[[NativeLab], object]
) -> None:
    native = unwatched
    await way_out(native)
    assert await native.pings("a1", native.public[0])
    damage(native)
    wanted = Snapshot(objects=list(native.objects.values()))
    found = await native.engine.reconcile(wanted, dry_run=True)
    assert found.missing + found.changed
    await native.engine.reconcile(wanted)
    diff = await native.engine.reconcile(wanted, dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])
    assert await native.pings("a1", native.public[0])


async def test_a_stray_link_in_our_namespace_is_removed(native: NativeLab) -> None:
    await neighbours(native)
    in_plane(native, "ip", "link", "add", "stray0", "type", "bridge")
    wanted = Snapshot(objects=list(native.objects.values()))
    assert any("stray0" in line for line in (await native.engine.reconcile(wanted)).extra)
    assert "stray0" not in in_plane(native, "ip", "-o", "link")


@pytest.mark.parametrize(
    "stray",
    [
        lambda lab: in_plane(lab, "ip", "tuntap", "add", "stray0", "mode", "tap"),
        lambda lab: in_plane(lab, "ip", "link", "add", "stray0", "type", "veth", "peer", "name", "stray1"),
        lambda lab: subprocess.run(["ip", "netns", "add", lab.engine.names.router("nobodys")], check=True),
        lambda lab: in_plane(lab, "nft", "add", "chain", "bridge", "skyhold", "stray"),
        lambda lab: in_plane(lab, "nft", "add", "element", "bridge", "skyhold", "in_mark", "{ stray0 : 7 }"),
        lambda lab: in_plane(lab, "nft", "add", "table", "inet", "stray"),
    ],
    ids=["tap", "pair of links", "namespace of a router", "chain", "element of a map", "table"],
)
async def test_what_belongs_to_nobody_is_told_by_a_look_that_repairs_nothing(
    unwatched: NativeLab, stray: Callable[[NativeLab], object]
) -> None:
    """As `skyhold admin audit` looks; and the next comparison takes it away."""
    native = unwatched
    await way_out(native)
    stray(native)
    wanted = Snapshot(objects=list(native.objects.values()))
    for _ in range(2):
        found = await native.engine.reconcile(wanted, dry_run=True)
        assert found.extra + found.changed
    await native.engine.reconcile(wanted)
    diff = await native.engine.reconcile(wanted, dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])


async def test_flushed_rules_are_noticed_before_anybody_looks(unwatched: NativeLab) -> None:
    native = unwatched
    await neighbours(native)
    before = in_plane(native, "nft", "list", "ruleset")
    for _ in range(3):
        in_plane(native, "nft", "flush", "ruleset")
        assert await eventually(lambda: in_plane(native, "nft", "list", "ruleset") == before)


async def test_a_refused_object_harms_no_other(native: NativeLab) -> None:
    a, _ = await way_out(native)
    good = native.floating("f1", "r1", native.public[19], a)
    bad = native.floating("f2", "r1", native.public[20], a)
    await native.put(good)
    c = native.port("c1", "red", "10.1.0.13")
    applied = await native.engine.apply(ChangeSet(upserts=[bad, c]))
    assert applied.ports_up == ["c1"]
    assert any("f2" in line for line in applied.problems)
    await native.restart()
    assert await native.pings("outside", native.public[19])
    await native.drop(good)
    assert not await native.pings("outside", native.public[19], 0.3)
    wanted = Snapshot(objects=[*(one for one in native.objects.values()), bad, c])
    await native.engine.reconcile(wanted)
    assert await native.pings("outside", native.public[20])


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_changes_add_up_to_what_a_whole_replacement_writes(native: NativeLab, seed: int) -> None:
    """However the rules came about, they're those of the objects: nothing forgotten, nothing left."""
    dice = random.Random(seed)
    await native.put(*native.external(), *native.network("red", "10.1.0.0/24"))
    for step in range(1, 60):
        wanted = random_object(native, dice, step)
        if dice.random() < 0.3:
            await native.engine.apply(ChangeSet(deletes=[Deleted(kind=type(wanted).__name__, id=wanted.id)]))
        else:
            await native.engine.apply(ChangeSet(upserts=[wanted]))
    spaces = [one for one in netns.names() if native.engine.names.owns(one)]
    by_changes = {one: rules_of(one) for one in spaces}
    for one in spaces:
        subprocess_text("ip", "netns", "exec", one, "nft", "flush", "ruleset")
    await native.engine.reconcile(Snapshot(objects=list(native.engine._writer.world.objects.values())))
    for one in spaces:
        whole = rules_of(one)
        odd = [line for line in whole if line not in by_changes[one]][:3]
        assert not odd, f"only the whole replacement wrote {odd}"
        odd = [line for line in by_changes[one] if line not in whole][:3]
        assert not odd, f"only the changes wrote {odd}"
        moved = [pair for pair in zip(whole, by_changes[one], strict=True) if pair[0] != pair[1]][:2]
        assert not moved, f"in another order {moved}"


def random_object(lab: NativeLab, dice: random.Random, step: int) -> Any:
    """A new version of one of a few groups, ports, routers and floating IPs."""
    number = dice.randrange(1, 5)
    group, chance = f"g{number}", dice.random() > 0.5
    address, other = f"10.1.0.1{number}", f"10.1.0.{dice.randrange(100, 130)}"
    remote = SecurityRule(
        direction="ingress",
        ethertype=dice.choice(["IPv4", "IPv6"]),
        remote_group_id=f"g{dice.randrange(1, 5)}",
    )
    port = lab.port(
        f"a{number}", "red", address, tuple(f"g{dice.randrange(1, 5)}" for _ in range(2)), revision=step,
        security=dice.random() > 0.2, pairs=[("", f"10.1.{dice.randrange(4)}.0/{dice.randrange(20, 30)}")],
    )  # fmt: skip
    public = lab.public[9] if dice.random() > 0.3 else None
    return dice.choice(
        [
            lab.group(group, tcp(dice.randrange(1, 9)), remote, revision=step, members=(address, other)),
            lab.group(group, revision=step, stateful=chance, members=("10.1.0.0/25", other)),
            port,
            port,
            lab.router("r1", {"red": "10.1.0.1/24"}, public=public, revision=step, snat=chance),
            lab.floating(f"f{number}", "r1", lab.public[20 + number], port, revision=step),
        ]
    )


def rules_of(namespace: str) -> list[str]:
    """A namespace's ruleset without the order that has no meaning."""
    listed = json.loads(subprocess_text("ip", "netns", "exec", namespace, "nft", "-j", "list", "ruleset"))
    found = []
    for position, entry in enumerate(listed["nftables"]):
        for kind, what in entry.items():
            what.pop("handle", None)
            what["elem"] = sorted(json.dumps(one) for one in what.get("elem", []))
            place = [position] if kind == "rule" else []
            text = json.dumps(what, sort_keys=True)
            found.append((kind, what.get("chain", what.get("name", "")), place, text))
    return [f"{one[0]} {one[3]}" for one in sorted(found)]
