# SPDX-License-Identifier: Apache-2.0
"""What one host holds, and the smallest change that brings it to what it should hold.

Where wanted objects come from is skyhold/network/desired.py; who sends the change is
loops/dataplane.py. Networks, subnets and groups stay on a host only as long as a port, router or
rule there leads to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skyhold.network.drivers import base

Key = tuple[str, str]
ROOTS = ("Port", "Router", "FloatingIp")


class Held:
    """The objects of a host, by kind and id; revisions don't count in comparing them."""

    def __init__(self, objects: Iterable[base.Desired] = ()) -> None:
        self.objects: dict[Key, base.Desired] = {key_of(each): each for each in objects}

    def of_kind(self, kind: str) -> list[Any]:
        return [each for (its, _), each in self.objects.items() if its == kind]

    def difference(self, asked: Iterable[Key], wanted: Iterable[base.Desired]) -> base.ChangeSet:
        """Upserts for what is wanted and differs; deletes for what was asked about and isn't wanted
        any more, or that nothing leads to afterwards."""
        want = {key_of(each): each for each in wanted}
        upserts = [each for key, each in want.items() if self.objects.get(key) != each]
        gone = [key for key in dict.fromkeys(asked) if key in self.objects and key not in want]
        after = {**self.objects, **want}
        for key in gone:
            del after[key]
        if gone or any(key_of(each)[0] in ROOTS and key_of(each) in self.objects for each in upserts):
            gone += unreached(after)
        dropped = set(gone)
        return base.ChangeSet(
            upserts=[each for each in upserts if key_of(each) not in dropped],
            deletes=[base.Deleted(kind=kind, id=id) for kind, id in gone if (kind, id) in self.objects],  # type: ignore[arg-type]
        )

    def apply(self, change: base.ChangeSet) -> None:
        """The host has it."""
        for gone in change.deletes:
            self.objects.pop((gone.kind, gone.id), None)
        self.objects.update({key_of(each): each for each in change.upserts})

    def replace(self, objects: Iterable[base.Desired]) -> None:
        self.objects = {key_of(each): each for each in objects}


def key_of(each: base.Desired) -> Key:
    return type(each).__name__, each.id


def networks_of(each: Any) -> set[str]:
    if isinstance(each, base.Port):
        return {each.network_id}
    if isinstance(each, base.Router):
        return {leg.network_id for leg in each.interfaces} | ({each.gateway.network_id} if each.gateway else set())
    return set()


def unreached(objects: dict[Key, base.Desired]) -> list[Key]:
    """Networks, subnets and groups to which no port, router or rule leads."""
    networks: set[str] = set()
    groups: set[str] = set()
    for each in objects.values():
        networks |= networks_of(each)
        if isinstance(each, base.Port):
            groups.update(each.security_group_ids)
    waiting = list(groups)
    while waiting:
        group = objects.get(("SecurityGroup", waiting.pop()))
        for rule in group.rules if isinstance(group, base.SecurityGroup) else ():
            if rule.remote_group_id and rule.remote_group_id not in groups:
                groups.add(rule.remote_group_id)
                waiting.append(rule.remote_group_id)
    return [key for key, each in objects.items() if not reached(each, networks, groups)]


def reached(each: base.Desired, networks: set[str], groups: set[str]) -> bool:
    if isinstance(each, base.Network):
        return each.id in networks
    if isinstance(each, base.Subnet):
        return each.network_id in networks
    if isinstance(each, base.SecurityGroup):
        return each.id in groups
    return True
