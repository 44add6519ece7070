# SPDX-License-Identifier: Apache-2.0
"""What every network engine does, asked of each in the same words.

What only the native engine has (spoofed frames, the kernel's objects) is in test_native.py.
Answers of the fake engine are its judgement, those of the native one are packets.
"""

from __future__ import annotations

import msgspec
import pytest

from skyhold.network.drivers.base import ChangeSet, SecurityRule, Snapshot
from tests.drivers.network.labs import PING4, PING6, Lab, eventually, tcp


async def two_on_one(lab: Lab, *groups: object, names: tuple[str, ...] = ("open",)) -> tuple[object, object]:
    """Ports a1 and b1 on one network, booted."""
    a, b = lab.port("a1", "red", "10.1.0.11", names), lab.port("b1", "red", "10.1.0.12", names)
    await lab.put(*lab.network("red", "10.1.0.0/24"), *(groups or (lab.open_group(),)), a, b)
    await lab.boot(a, b)
    return a, b


async def test_guests_of_one_network_reach_each_other(lab: Lab) -> None:
    await two_on_one(lab)
    await lab.serve("b1", 80)
    assert await lab.pings("a1", "10.1.0.12")
    assert await lab.connects("a1", "10.1.0.12", 80)


async def test_apply_reports_the_ports_that_are_wired(lab: Lab) -> None:
    up, down = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "red", "10.1.0.12", admin_up=False)
    applied = await lab.put(*lab.network("red", "10.1.0.0/24"), lab.open_group(), up, down)
    assert applied.ports_up == ["a1"]


async def test_a_port_without_its_network_is_a_problem_not_a_port(lab: Lab) -> None:
    applied = await lab.engine.apply(ChangeSet(upserts=[lab.port("a1", "nowhere", "10.1.0.11")]))
    assert applied.ports_up == []
    assert "nowhere" in applied.problems[0]


async def test_a_port_waits_for_its_network(lab: Lab) -> None:
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "red", "10.1.0.12")
    await lab.engine.apply(ChangeSet(upserts=[a, b]))
    await lab.put(*lab.network("red", "10.1.0.0/24"), lab.open_group())
    await lab.put(a, b)
    await lab.boot(a, b)
    assert await lab.pings("a1", "10.1.0.12")


async def test_networks_with_the_same_range_are_apart(lab: Lab) -> None:
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "red", "10.1.0.12")
    c = lab.port("c1", "blue", "10.1.0.11")
    d = lab.port("d1", "blue", "10.1.0.13")
    networks = [*lab.network("red", "10.1.0.0/24"), *lab.network("blue", "10.1.0.0/24")]
    await lab.put(*networks, lab.open_group(), a, b, c, d)
    await lab.boot(a, b, c, d)
    assert await lab.pings("a1", "10.1.0.12")
    assert await lab.pings("c1", "10.1.0.13")
    assert not await lab.pings("a1", "10.1.0.13", 0.3)
    assert not await lab.pings("c1", "10.1.0.12", 0.3)


async def test_nothing_comes_in_without_a_rule(lab: Lab) -> None:
    await two_on_one(lab, lab.group("shut"), names=("shut",))
    await lab.serve("b1", 80)
    assert not await lab.pings("a1", "10.1.0.12", 0.3)
    assert not await lab.connects("a1", "10.1.0.12", 80, 0.3)


async def test_nothing_goes_out_without_a_rule(lab: Lab) -> None:
    a = lab.port("a1", "red", "10.1.0.11", ("mute",))
    b = lab.port("b1", "red", "10.1.0.12")
    mute = lab.group("mute", PING4, closed=True)
    await lab.put(*lab.network("red", "10.1.0.0/24"), mute, lab.open_group(), a, b)
    await lab.boot(a, b)
    assert not await lab.pings("a1", "10.1.0.12", 0.3)
    assert await lab.pings("b1", "10.1.0.11")


async def test_an_unknown_group_allows_nothing_until_it_comes(lab: Lab) -> None:
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "red", "10.1.0.12", ("late",))
    await lab.put(*lab.network("red", "10.1.0.0/24"), lab.open_group(), a, b)
    await lab.boot(a, b)
    assert not await lab.pings("a1", "10.1.0.12", 0.3)
    await lab.put(lab.group("late", PING4))
    assert await lab.pings("a1", "10.1.0.12")


async def test_a_rule_opens_a_port_and_its_removal_cuts_the_flow(lab: Lab) -> None:
    await two_on_one(lab, lab.group("web"), names=("web",))
    await lab.serve("b1", 80)
    await lab.serve("b1", 81)
    assert not await lab.connects("a1", "10.1.0.12", 80, 0.3)
    await lab.put(lab.group("web", tcp(80), tcp(81), revision=2))
    assert await eventually(lambda: lab.connects("a1", "10.1.0.12", 80, 0.2))
    doomed, spared = await lab.flow("a1", "10.1.0.12", 80), await lab.flow("a1", "10.1.0.12", 81)
    await lab.put(lab.group("web", tcp(81), revision=3))
    assert not await doomed(0.4)
    assert await spared()


async def test_a_flow_that_another_rule_allows_lives_on(lab: Lab) -> None:
    await two_on_one(lab, lab.group("web", tcp(80), tcp(80, remote_cidr="10.1.0.0/25")), names=("web",))
    await lab.serve("b1", 80)
    alive = await lab.flow("a1", "10.1.0.12", 80)
    await lab.put(lab.group("web", tcp(80, remote_cidr="10.1.0.0/25"), revision=2))
    assert await alive()


async def test_a_remote_group_follows_its_members(lab: Lab) -> None:
    a, c = lab.port("a1", "red", "10.1.0.11", ("friends",)), lab.port("c1", "red", "10.1.0.13", ("friends",))
    b = lab.port("b1", "red", "10.1.0.12", ("guarded",))
    guarded = lab.group("guarded", tcp(80, remote_group_id="friends"))
    friends = lab.group("friends", members=("10.1.0.11",))
    await lab.put(*lab.network("red", "10.1.0.0/24"), friends, guarded, a, b, c)
    await lab.boot(a, b, c)
    await lab.serve("b1", 80)
    alive = await lab.flow("a1", "10.1.0.12", 80)
    assert not await lab.connects("c1", "10.1.0.12", 80, 0.3)
    await lab.put(lab.group("friends", members=("10.1.0.11", "10.1.0.13"), revision=2))
    assert await lab.connects("c1", "10.1.0.12", 80)
    await lab.put(lab.group("friends", members=("10.1.0.13",), revision=3))
    assert not await alive(0.4)
    assert not await lab.connects("a1", "10.1.0.12", 80, 0.3)
    assert await lab.connects("c1", "10.1.0.12", 80)


async def test_a_port_that_leaves_its_group_loses_its_flows(lab: Lab) -> None:
    a, b = lab.port("a1", "red", "10.1.0.11", ("web",)), lab.port("b1", "red", "10.1.0.12", ("web",))
    await lab.put(*lab.network("red", "10.1.0.0/24"), lab.group("web", tcp(80)), lab.group("shut"), a, b)
    await lab.boot(a, b)
    await lab.serve("b1", 80)
    alive = await lab.flow("a1", "10.1.0.12", 80)
    await lab.put(lab.port("b1", "red", "10.1.0.12", ("shut",), revision=2))
    assert not await alive(0.4)


@pytest.mark.parametrize(
    ("rule", "fits", "misses"),
    [
        (tcp(80, remote_cidr="10.1.0.11/32"), [("a1", 80)], [("c1", 80), ("a1", 81)]),
        (
            SecurityRule(direction="ingress", ethertype="IPv4", protocol="6", port_min=80, port_max=81),
            [("a1", 80), ("c1", 81)],
            [("a1", 82)],
        ),
        (SecurityRule(direction="ingress", ethertype="IPv4", protocol="tcp"), [("a1", 80)], []),
        (SecurityRule(direction="ingress", ethertype="IPv6", protocol="tcp"), [], [("a1", 80)]),
        (SecurityRule(direction="ingress", ethertype="IPv4", remote_cidr="0.0.0.0/0"), [("a1", 82)], []),
    ],
    ids=["cidr", "number-and-range", "no-ports", "other-ethertype", "everywhere"],
)
async def test_rules_match_what_they_say(lab: Lab, rule: SecurityRule, fits: list, misses: list) -> None:
    c = lab.port("c1", "red", "10.1.0.13", ("web",))
    await two_on_one(lab, lab.group("web", rule), names=("web",))
    await lab.put(c)
    await lab.boot(c)
    for port in (80, 81, 82):
        await lab.serve("b1", port)
    for source, port in fits:
        assert await lab.connects(source, "10.1.0.12", port)
    for source, port in misses:
        assert not await lab.connects(source, "10.1.0.12", port, 0.3)


async def test_without_port_security_everything_passes(lab: Lab) -> None:
    a = lab.port("a1", "red", "10.1.0.11")
    b = lab.port("b1", "red", "10.1.0.12", (), security=False)
    await lab.put(*lab.network("red", "10.1.0.0/24"), lab.open_group(), a, b)
    await lab.boot(a, b)
    assert await lab.pings("a1", "10.1.0.12")


async def test_ipv6_obeys_the_same_rules(lab: Lab) -> None:
    a, b = lab.port("a1", "six", "fd00:1::11", ("ping",)), lab.port("b1", "six", "fd00:1::12", ("ping",))
    await lab.put(*lab.network("six", "fd00:1::/64"), lab.group("ping", PING6), a, b)
    await lab.boot(a, b)
    assert await lab.pings("a1", "fd00:1::12")
    await lab.put(lab.group("ping", revision=2))
    assert not await lab.pings("a1", "fd00:1::12", 0.3)


async def test_a_router_joins_two_networks(lab: Lab) -> None:
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "blue", "10.2.0.12")
    networks = [*lab.network("red", "10.1.0.0/24"), *lab.network("blue", "10.2.0.0/24")]
    await lab.put(*networks, lab.open_group(), a, b)
    await lab.boot(a, b)
    assert not await lab.pings("a1", "10.2.0.12", 0.3)
    await lab.put(lab.router("r1", {"red": "10.1.0.1/24", "blue": "10.2.0.1/24"}))
    assert await lab.pings("a1", "10.2.0.12")
    await lab.put(lab.router("r1", {"red": "10.1.0.1/24", "blue": "10.2.0.1/24"}, admin_up=False, revision=2))
    assert not await lab.pings("a1", "10.2.0.12", 0.3)


async def with_way_out(lab: Lab) -> tuple[object, object]:
    """Ports a1 and b1 on red, and a router r1 with a gateway on the external network."""
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "red", "10.1.0.12")
    router = lab.router("r1", {"red": "10.1.0.1/24"}, public=lab.public[9])
    await lab.put(*lab.external(), *lab.network("red", "10.1.0.0/24"), lab.open_group(), router, a, b)
    await lab.boot(a, b)
    return a, b


async def test_guests_get_out_through_the_gateway(lab: Lab) -> None:
    await with_way_out(lab)
    assert await lab.pings("a1", lab.public[0])
    await lab.put(lab.router("r1", {"red": "10.1.0.1/24"}, revision=2))
    assert not await lab.pings("a1", lab.public[0], 0.3)


async def test_nobody_gets_in_without_a_floating_ip(lab: Lab) -> None:
    await with_way_out(lab)
    assert not await lab.pings("outside", lab.public[19], 0.3)
    assert not await lab.pings("outside", "10.1.0.11", 0.3)


async def test_a_floating_ip_leads_in_moves_and_ends(lab: Lab) -> None:
    a, b = await with_way_out(lab)
    await lab.serve("a1", 80)
    await lab.serve("b1", 81)
    public = lab.public[19]
    await lab.put(lab.floating("f1", "r1", public, a))
    first = await lab.flow("outside", public, 80)
    assert not await lab.connects("outside", public, 81, 0.3) or lab.name == "fake"
    await lab.put(lab.floating("f1", "r1", public, b, revision=2))
    second = await lab.flow("outside", public, 81)
    if lab.name == "native":
        assert not await first(0.4)
    await lab.drop(lab.floating("f1", "r1", public, b))
    assert not await second(0.4)
    assert not await lab.connects("outside", public, 81, 0.3)


async def test_security_groups_hold_behind_a_floating_ip(lab: Lab) -> None:
    a, _ = await with_way_out(lab)
    await lab.serve("a1", 80)
    await lab.put(lab.floating("f1", "r1", lab.public[19], a))
    assert await lab.connects("outside", lab.public[19], 80)
    await lab.put(lab.group("shut"), lab.port("a1", "red", "10.1.0.11", ("shut",), revision=2))
    assert not await lab.connects("outside", lab.public[19], 80, 0.3)


async def test_applying_twice_changes_nothing(lab: Lab) -> None:
    await two_on_one(lab)
    await lab.serve("b1", 80)
    alive = await lab.flow("a1", "10.1.0.12", 80)
    applied = await lab.put(*lab.objects.values())
    assert sorted(applied.ports_up) == ["a1", "b1"]
    assert await alive()
    diff = await lab.engine.reconcile(Snapshot(objects=list(lab.objects.values())), dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])


async def test_an_older_revision_is_ignored(lab: Lab) -> None:
    await two_on_one(lab, lab.group("web", PING4, revision=5), names=("web",))
    await lab.engine.apply(ChangeSet(upserts=[lab.group("web", revision=4)]))
    assert await lab.pings("a1", "10.1.0.12")


async def test_opening_an_unknown_tap_is_a_key_error(lab: Lab) -> None:
    with pytest.raises(KeyError):
        await lab.engine.open_tap("stranger")


async def test_reconcile_reports_and_only_then_repairs(lab: Lab) -> None:
    await two_on_one(lab)
    c = lab.port("c1", "red", "10.1.0.13")
    wanted = Snapshot(objects=[one for one in lab.objects.values() if one.id != "b1"] + [c])
    diff = await lab.engine.reconcile(wanted, dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == (["Port c1"], ["Port b1"], [])
    assert await lab.pings("a1", "10.1.0.12")
    await lab.engine.reconcile(wanted)
    with pytest.raises(KeyError):
        await lab.engine.open_tap("b1")
    assert not await lab.pings("a1", "10.1.0.12", 0.3)
    diff = await lab.engine.reconcile(wanted, dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])
    newer = Snapshot(objects=[msgspec.structs.replace(one, revision=one.revision + 1) for one in wanted.objects])
    diff = await lab.engine.reconcile(newer, dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], []), "said anew is not changed"


async def test_a_restarted_engine_goes_on(lab: Lab) -> None:
    await two_on_one(lab)
    await lab.serve("b1", 80)
    alive = await lab.flow("a1", "10.1.0.12", 80)
    await lab.restart()
    assert await alive()
    diff = await lab.engine.reconcile(Snapshot(objects=list(lab.objects.values())), dry_run=True)
    assert (diff.missing, diff.extra, diff.changed) == ([], [], [])
    await lab.put(lab.group("open", revision=2))
    assert not await alive(0.4)
