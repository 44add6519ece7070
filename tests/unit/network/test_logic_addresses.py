# SPDX-License-Identifier: Apache-2.0
"""Address arithmetic: places, pools and interface identifiers, for any range."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.network.logic import addresses as logic
from skyhold.network.logic import subnets

V4 = st.builds(
    lambda base, length: str(ipaddress.ip_network((base, length), strict=False)),
    st.integers(0, 2**32 - 1), st.integers(8, 30),
)
V6 = st.builds(
    lambda base, length: str(ipaddress.ip_network((base, length), strict=False)),
    st.integers(2**120, 2**128 - 1), st.integers(48, 126),
)


@given(V4 | V6, st.integers(0, 2**62))
def test_a_place_leads_back_to_its_address(cidr: str, place: int) -> None:
    place %= logic.network(cidr).num_addresses
    assert logic.place(cidr, logic.at(cidr, place)) == place
    assert logic.contains(cidr, logic.at(cidr, place))


@given(V4 | V6)
def test_default_pools_hold_all_but_the_gateway(cidr: str) -> None:
    gateway = logic.default_gateway(cidr)
    assert gateway is not None
    pools = logic.default_pools(cidr, gateway)
    whole, spot = logic.usable(cidr), logic.place(cidr, gateway)
    assert sum(pool.last - pool.first + 1 for pool in pools) == whole.last - whole.first
    assert not any(pool.first <= spot <= pool.last for pool in pools)
    texts = logic.pools_text(cidr, pools)
    assert logic.read_pools(cidr, [(each["start"], each["end"]) for each in texts], gateway) == pools


@given(V4, st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=4))
def test_pools_that_overlap_are_refused(cidr: str, ends: list[tuple[int, int]]) -> None:
    places = ipaddress.ip_network(cidr).num_addresses
    ranges = [logic.Range(min(a % places, b % places), max(a % places, b % places)) for a, b in ends]
    taken = [place for each in ranges for place in range(each.first, each.last + 1)]
    if len(taken) == len(set(taken)):
        logic.refuse_overlap(cidr, ranges)
    else:
        with pytest.raises(errors.Conflict):
            logic.refuse_overlap(cidr, ranges)


def test_an_interface_identifier_is_made_of_the_mac() -> None:
    assert logic.eui64("fd00::/64", "fa:16:3e:01:02:03") == "fd00::f816:3eff:fe01:203"
    assert logic.place("fd00::/64", "fd00::f816:3eff:fe01:203") is None


@pytest.mark.parametrize(("text", "mac"), [
    ("FA-16-3E-00-00-01", "fa:16:3e:00:00:01"), ("01:00:00:00:00:01", None), ("00:00:00:00:00:00", None), ("x", None),
])
def test_a_mac_is_one_cards(text: str, mac: str | None) -> None:
    if mac:
        assert logic.read_mac(text) == mac
    else:
        with pytest.raises(errors.Invalid):
            logic.read_mac(text)


@pytest.mark.parametrize("text", ["0.0.0.0/33", "nope", "10.0.0.0/24/1", "::/0"])
def test_a_cidr_must_be_of_its_version(text: str) -> None:
    with pytest.raises(errors.Invalid):
        logic.read_cidr(text, 4)


def test_modes_of_a_subnet() -> None:
    subnets.check_modes(6, True, "slaac", "slaac", "fd00::/64")
    subnets.check_modes(6, True, "slaac", None, "fd00::/64")
    for wrong in [
        (4, True, "slaac", None, "10.0.0.0/24"), (6, False, "slaac", "slaac", "fd00::/64"),
        (6, True, "slaac", "dhcpv6-stateful", "fd00::/64"), (6, True, "slaac", "slaac", "fd00::/80"),
    ]:
        with pytest.raises(errors.Invalid):
            subnets.check_modes(*wrong)
