# SPDX-License-Identifier: Apache-2.0
"""Server groups in the choice of a host: hard policies rule out, soft ones prefer."""

from __future__ import annotations

from skyhold.compute.logic.scheduling import Ask, Group, Place, rank


def place(id: str, free: int = 10) -> Place:
    return Place(
        id=id, name=id, up=True, enabled=True, zone="nova", architecture="x86_64", traits=frozenset(),
        room={"VCPU": (free, 10, 1)},
    )


def chosen(group: Group, *hosts: Place) -> list[str]:
    ranked, _ = rank(Ask(resources={"VCPU": 1}, groups=[group]), list(hosts))
    return [host.id for host in ranked]


def test_anti_affinity_leaves_hosts_without_members() -> None:
    assert chosen(("anti-affinity", 0, {"a": 1}), place("a"), place("b")) == ["b"]


def test_a_rule_allows_more_members_on_a_host() -> None:
    assert chosen(("anti-affinity", 2, {"a": 1, "b": 2}), place("a"), place("b")) == ["a"]


def test_affinity_keeps_to_the_members_host_and_the_first_is_free() -> None:
    assert chosen(("affinity", 0, {"a": 1}), place("a"), place("b")) == ["a"]
    assert set(chosen(("affinity", 0, {}), place("a"), place("b"))) == {"a", "b"}


def test_soft_policies_outweigh_room_but_rule_nothing_out() -> None:
    hosts = (place("a", free=10), place("b", free=2))
    assert chosen(("soft-anti-affinity", 0, {"a": 1}), *hosts) == ["b", "a"]
    assert chosen(("soft-affinity", 0, {"b": 1}), *hosts) == ["b", "a"]


def test_the_reason_is_told() -> None:
    _, reasons = rank(Ask(resources={"VCPU": 1}, groups=[("anti-affinity", 0, {"a": 1})]), [place("a")])
    assert "server group" in reasons["a"]
