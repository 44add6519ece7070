# SPDX-License-Identifier: Apache-2.0
"""Which combinations of providers serve a request: the search over trees and sharing providers.

Loading the providers is candidates/trees.py, a request is asking.py. The one thing to know first:
everything one combination uses lies in one tree (its anchor) or comes from providers that share
through an aggregate with some provider of that tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

import msgspec

from skyhold.placement.logic.asking import Group, Request
from skyhold.placement.logic.inventories import serves


class Stock(msgspec.Struct, frozen=True):
    """One inventory: what a claim is compared with."""

    capacity: int
    used: int
    min_unit: int
    max_unit: int
    step_size: int

    def serves(self, amount: int) -> bool:
        return serves(
            amount, capacity=self.capacity, used=self.used, min_unit=self.min_unit, max_unit=self.max_unit,
            step_size=self.step_size,
        )

    def holds(self, total: int) -> bool:
        """Whether several groups together may take this much."""
        return self.used + total <= self.capacity and total <= self.max_unit


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    root_id: str
    parent_id: str | None
    traits: frozenset[str]
    aggregates: frozenset[str]
    stock: dict[str, Stock]
    sharing: bool = False


class Candidate(msgspec.Struct, frozen=True):
    """`allocations`: provider -> class -> amount; `mappings`: suffix -> providers that serve the group."""

    allocations: dict[str, dict[str, int]]
    mappings: dict[str, list[str]]

    def key(self, with_mappings: bool) -> object:
        amounts = frozenset((id, name, n) for id, names in self.allocations.items() for name, n in names.items())
        if not with_mappings:
            return amounts
        return amounts, frozenset((suffix, tuple(ids)) for suffix, ids in self.mappings.items())


class Slot(msgspec.Struct, frozen=True):
    """Something one provider must serve: a group with a suffix, or one class of the group without."""

    group: Group
    resources: dict[str, int]
    choices: list[Provider]


def search(request: Request, world: Mapping[str, Provider], *, nested: bool, mapped: bool) -> Iterator[Candidate]:
    """Candidates without duplicates, one tree after the other in turns, so that a limit spreads over hosts.

    `nested=False` (before 1.29) leaves out what uses a provider below a root; `mapped=False` (before
    1.34) takes candidates that differ only in their mappings for the same.
    """
    seen = set()
    running = [
        one_tree(request, world, world[root], members)
        for root, members in reachable(world).items() if root_admits(request, world[root])
    ]
    while running:
        still = []
        for each in running:
            candidate = next(each, None)
            if candidate is None:
                continue
            still.append(each)
            key = candidate.key(mapped)
            if key in seen or not (nested or all(world[id].parent_id is None for id in candidate.allocations)):
                continue
            seen.add(key)
            yield candidate
        running = still


def reachable(world: Mapping[str, Provider]) -> dict[str, list[Provider]]:
    """Root -> the providers a combination anchored there may use, in the order of their ids."""
    members: dict[str, dict[str, Provider]] = {}
    reached: dict[str, set[str]] = {}
    for provider in world.values():
        members.setdefault(provider.root_id, {})[provider.id] = provider
        for aggregate in provider.aggregates:
            reached.setdefault(aggregate, set()).add(provider.root_id)
    for provider in world.values():
        if provider.sharing:
            for aggregate in provider.aggregates:
                for root in reached[aggregate]:
                    members[root][provider.id] = provider
    return {root: sorted(members[root].values(), key=lambda one: one.id) for root in sorted(members)}


def one_tree(
    request: Request, world: Mapping[str, Provider], root: Provider, members: list[Provider]
) -> Iterator[Candidate]:
    """All combinations anchored at the tree of `root`, which `members` can serve."""
    slots = [slot for group in request.groups for slot in slots_of(group, root, members, world)]
    if all(slot.choices for slot in slots):
        yield from fill(request, world, slots, [])


def slots_of(group: Group, root: Provider, members: list[Provider], world: Mapping[str, Provider]) -> list[Slot]:
    """One slot for a group with a suffix; one for each class of the group without, which may be spread
    over the tree, so there the aggregates of the root count for everything."""
    inside = [one for one in members if group.forbidden.isdisjoint(one.traits) and in_tree(group, one, world)]
    if group.suffix:
        return [Slot(group, group.resources, [
            one for one in inside
            if offers(one, group.resources) and has_traits(group, one.traits) and admits(group, one.aggregates)
        ])]
    return [
        Slot(group, {name: amount}, [
            one for one in inside
            if offers(one, {name: amount}) and admits(group, one.aggregates | root.aggregates)
        ])
        for name, amount in group.resources.items()
    ]


def offers(provider: Provider, resources: Mapping[str, int]) -> bool:
    return all(
        name in provider.stock and provider.stock[name].serves(amount) for name, amount in resources.items()
    )


def has_traits(group: Group, traits: Set[str]) -> bool:
    return all(not some.isdisjoint(traits) for some in group.required)


def admits(group: Group, aggregates: Set[str]) -> bool:
    return group.not_member_of.isdisjoint(aggregates) and all(
        not some.isdisjoint(aggregates) for some in group.member_of
    )


def in_tree(group: Group, provider: Provider, world: Mapping[str, Provider]) -> bool:
    if group.in_tree is None:
        return True
    named = world.get(group.in_tree)
    return named is not None and named.root_id == provider.root_id


def fill(
    request: Request, world: Mapping[str, Provider], slots: list[Slot], chosen: list[Provider]
) -> Iterator[Candidate]:
    """Choose a provider for the next slot, going back as soon as one can't be combined with the earlier."""
    if len(chosen) == len(slots):
        if agrees(request, world, slots, chosen):
            yield assemble(slots, chosen)
        return
    slot = slots[len(chosen)]
    for provider in slot.choices:
        if combines(request, slots, chosen, slot, provider):
            chosen.append(provider)
            yield from fill(request, world, slots, chosen)
            chosen.pop()


def combines(request: Request, slots: list[Slot], chosen: list[Provider], slot: Slot, provider: Provider) -> bool:
    earlier = [other for other, one in zip(slots, chosen, strict=False) if one is provider]
    if not earlier:
        return True
    if request.isolate and isolated(slot) and any(isolated(other) for other in earlier):
        return False
    return all(
        provider.stock[name].holds(amount + sum(other.resources.get(name, 0) for other in earlier))
        for name, amount in slot.resources.items()
    )


def isolated(slot: Slot) -> bool:
    return bool(slot.group.suffix and slot.resources)


def agrees(request: Request, world: Mapping[str, Provider], slots: list[Slot], chosen: list[Provider]) -> bool:
    """What only a whole combination can be asked."""
    for group in request.groups:
        if not group.suffix and group.required:
            spread = [one for slot, one in zip(slots, chosen, strict=True) if slot.group is group]
            if not has_traits(group, set().union(*(one.traits for one in spread))):
                return False
    return all(
        in_one_subtree(world, [one for slot, one in zip(slots, chosen, strict=True) if slot.group.suffix in suffixes])
        for suffixes in request.same_subtree
    )


def in_one_subtree(world: Mapping[str, Provider], providers: list[Provider]) -> bool:
    """Whether one of them is above (or is) all the others."""
    lines = [ancestors(world, provider) for provider in providers]
    return any(all(provider.id in line for line in lines) for provider in providers)


def ancestors(world: Mapping[str, Provider], provider: Provider) -> set[str]:
    found = {provider.id}
    while provider.parent_id is not None:
        provider = world[provider.parent_id]
        found.add(provider.id)
    return found


def assemble(slots: list[Slot], chosen: list[Provider]) -> Candidate:
    allocations: dict[str, dict[str, int]] = {}
    mappings: dict[str, list[str]] = {}
    for slot, provider in zip(slots, chosen, strict=True):
        serving = mappings.setdefault(slot.group.suffix, [])
        if provider.id not in serving:
            serving.append(provider.id)
        for name, amount in slot.resources.items():
            amounts = allocations.setdefault(provider.id, {})
            amounts[name] = amounts.get(name, 0) + amount
    return Candidate(allocations, mappings)


def root_admits(request: Request, root: Provider) -> bool:
    return request.root_required <= root.traits and request.root_forbidden.isdisjoint(root.traits)
