# SPDX-License-Identifier: Apache-2.0
"""The smallest change: whatever a host holds, it ends with what it should, and nothing more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers import base
from skyhold.network.logic.held import Held, key_of, unreached


def network(n: int, mtu: int = 1500) -> base.Network:
    return base.Network(id=f"n{n}", revision=0, segment=n + 1, mtu=mtu)


def subnet(n: int) -> base.Subnet:
    return base.Subnet(
        id=f"s{n}", revision=0, network_id=f"n{n}", cidr=f"10.{n}.0.0/24", ip_version=4, gateway_ip=None, dhcp=True
    )


def group(n: int, remote: int | None = None) -> base.SecurityGroup:
    rules = [base.SecurityRule(direction="ingress", ethertype="IPv4", remote_group_id=f"g{remote}")]
    return base.SecurityGroup(id=f"g{n}", revision=0, rules=rules if remote is not None else [])


def port(n: int, on: int, groups: list[int], hostname: str = "") -> base.Port:
    return base.Port(
        id=f"p{n}", revision=0, network_id=f"n{on}", mac="fa:16:3e:00:00:01", fixed_ips=[],
        security_group_ids=[f"g{each}" for each in groups], hostname=hostname,
    )


def closure(ports: list[base.Port]) -> list[base.Desired]:
    """Ports with all they need, where group n lets in group n+1 up to 3."""
    numbers = {int(each.network_id[1:]) for each in ports}
    groups = {int(id[1:]) for each in ports for id in each.security_group_ids}
    groups = {n for first in groups for n in range(first, 4)}
    return [
        *[network(n) for n in numbers], *[subnet(n) for n in numbers],
        *[group(n, n + 1 if n < 3 else None) for n in groups], *ports,
    ]


PORTS = st.lists(
    st.builds(port, st.integers(0, 5), st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2, unique=True),
              st.sampled_from(["", "web"])),
    max_size=6, unique_by=lambda each: each.id,
)


@given(PORTS, PORTS)
def test_the_change_leads_from_any_state_to_any_other(before: list[base.Port], after: list[base.Port]) -> None:
    held, wanted = Held(closure(before)), closure(after)
    asked = [key_of(each) for each in [*before, *after]]
    change = held.difference(asked, wanted)
    held.apply(change)
    assert held.objects == {key_of(each): each for each in wanted}
    again = held.difference(asked, wanted)
    assert not again.upserts and not again.deletes


@given(PORTS)
def test_nothing_stays_that_no_port_needs(ports: list[base.Port]) -> None:
    assert unreached({key_of(each): each for each in closure(ports)}) == []
    left = Held(closure(ports))
    left.apply(left.difference([key_of(each) for each in ports], []))
    assert left.objects == {}


def test_what_is_the_same_is_not_sent() -> None:
    held = Held(closure([port(1, 1, [0])]))
    assert held.difference([("Port", "p1")], closure([port(1, 1, [0])])) == base.ChangeSet()
    change = held.difference([("Network", "n1")], [network(1, mtu=1400)])
    assert change == base.ChangeSet(upserts=[network(1, mtu=1400)])
