# SPDX-License-Identifier: Apache-2.0
"""The pure parts of the native engine: names, numbers, rulesets' differences, verdicts.

That the kernel agrees is shown in test_native.py and test_conformance.py; these need no root.
"""

from __future__ import annotations

import ipaddress
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers.base import Network, Port, SecurityGroup, SecurityRule
from skyhold.network.drivers.native import names, rules_ports
from skyhold.network.drivers.native.nft import Chain, Fragment, difference, merged, whole
from skyhold.network.drivers.native.plan import World, piece, touched
from skyhold.network.drivers.native.verdict import Flow, always_allowed, matches

IDS = st.one_of(st.uuids().map(str), st.text(min_size=1, max_size=64))


@given(IDS)
def test_every_link_name_fits_the_kernel(object_id: str) -> None:
    cloud = names.CloudNames(object_id)
    made = [names.tap(object_id), names.bridge(object_id), names.router_leg(object_id)]
    for name in [*made, cloud.root_leg(object_id)]:
        assert 1 <= len(name.encode()) <= 15
        assert not set(name) & set(' /:"')
    assert cloud.owns(cloud.router(object_id))
    assert not names.CloudNames(object_id + "x").owns(cloud.router(object_id))
    assert names.ROOT_LEG.fullmatch(cloud.root_leg(object_id))


def test_a_tap_is_named_by_the_first_eleven_characters_of_its_port() -> None:
    assert names.tap("ded5f692-f91a-4c0f-b2a9-000000000001") == "tapded5f692-f9"


@given(st.lists(st.tuples(IDS, st.integers(0, 5)), max_size=40))
def test_numbers_are_kept_and_never_shared(wanted: list[tuple[str, int]]) -> None:
    numbers = names.Numbering(1000)
    given_out = {one: numbers.number(one, preferred) for one, preferred in wanted}
    assert len(set(given_out.values())) == len(given_out)
    assert all(1 <= one <= 1000 for one in given_out.values())
    again = names.Numbering(1000, numbers.taken)
    assert {one: again.number(one, 7) for one in given_out} == given_out


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=8), st.integers(0, 32))
def test_collapsed_addresses_cover_the_same_without_overlap(ips: list[str], length: int) -> None:
    asked = [f"{ip}/{length}" for ip in ips[:2]] + ips
    made = [ipaddress.ip_network(one) for one in rules_ports.collapsed(asked)[0]]
    assert all(one.prefixlen for one in made)
    assert all(any(ipaddress.ip_address(ip) in one for one in made) for ip in ips)
    assert not any(one.overlaps(other) for at, one in enumerate(made) for other in made[at + 1 :])


def test_no_difference_is_no_statement() -> None:
    base = rules_ports.base()
    assert difference(base, base) == []
    assert difference(Fragment(), base) == [line for line in whole([base]) if " table " not in line]


def test_an_element_leaves_before_the_chain_it_names_and_comes_after() -> None:
    key, chain = ("inet", "t", "m"), ("inet", "t", "c")
    frame = Fragment(sets={key: "map type mark : verdict;"})
    full = merged([frame, Fragment(chains={chain: Chain(("drop",))}, elements={(key, "1"): "goto c"})])
    assert difference(frame, full) == [
        "add chain inet t c",
        "add rule inet t c drop",
        "add element inet t m { 1 : goto c }",
    ]
    assert difference(full, frame) == [
        "flush chain inet t c",
        "delete element inet t m { 1 }",
        "delete chain inet t c",
    ]


def port(port_id: str) -> Port:
    """A port on the network n in the group g."""
    return Port(
        id=port_id,
        revision=1,
        network_id="n",
        mac="fa:16:3e:00:00:01",
        fixed_ips=[],
        security_group_ids=["g"],
    )


def test_more_members_touch_their_group_alone() -> None:
    world = World(names.CloudNames("cloud"))
    old = SecurityGroup(id="g", revision=1, rules=[], members=[])
    new = SecurityGroup(id="g", revision=2, rules=[], members=["10.0.0.1"])
    world.put(Network(id="n", revision=1, segment=5, mtu=1450))
    world.put(port("p"))
    world.put(new)
    assert touched(world, old, new) == {("SecurityGroup", "g")}
    assert touched(world, None, new) == {("SecurityGroup", "g"), ("Port", "p")}


def test_an_unknown_group_gives_a_port_nothing() -> None:
    world = World(names.CloudNames("cloud"))
    port_id = str(uuid.uuid4())
    world.put(Network(id="n", revision=1, segment=5, mtu=1450))
    world.put(port(port_id))
    chains = merged(part for _, part in piece(world, ("Port", port_id)).rules).chains
    own = chains["inet", names.TABLE, f"p_{names.word(port_id)}_ig"]
    assert own.rules == ("jump base_ig", "drop")


@pytest.mark.parametrize(
    ("rule", "flow", "expected"),
    [
        ({"protocol": "tcp", "port_min": 20, "port_max": 22}, ("10.0.0.9", 6, 22), True),
        ({"protocol": "tcp", "port_min": 20, "port_max": 22}, ("10.0.0.9", 6, 23), False),
        ({"protocol": "17"}, ("10.0.0.9", 17, 1), True),
        ({"protocol": "0"}, ("10.0.0.9", 50, 0), True),
        ({"remote_cidr": "10.0.0.0/24"}, ("10.0.1.9", 6, 1), False),
        ({"remote_group_id": "g"}, ("10.0.0.7", 6, 1), True),
        ({"remote_group_id": "g"}, ("10.0.0.9", 6, 1), False),
        ({"remote_group_id": "unknown"}, ("10.0.0.7", 6, 1), False),
        ({"ethertype": "IPv6"}, ("10.0.0.7", 6, 1), False),
    ],
)
def test_verdicts(rule: dict[str, object], flow: tuple[str, int, int], expected: bool) -> None:
    wanted = SecurityRule(**{"direction": "ingress", "ethertype": "IPv4"} | rule)
    source, protocol, port = flow
    groups = {"g": SecurityGroup(id="g", revision=1, rules=[], members=["10.0.0.7"])}
    asked = Flow(source, "10.0.0.1", protocol, 40000, port)
    assert matches(wanted, "ingress", asked, groups) is expected
    assert not matches(wanted, "egress", asked, groups)


def test_guests_always_get_dhcp_but_never_serve_it() -> None:
    question = Flow("0.0.0.0", "255.255.255.255", 17, 68, 67)
    answer = Flow("10.0.0.2", "10.0.0.9", 17, 67, 68)
    assert always_allowed("egress", question)
    assert always_allowed("ingress", answer)
    assert not always_allowed("egress", answer)
    assert not always_allowed("ingress", question)
