# SPDX-License-Identifier: Apache-2.0
"""The search for candidates against an oracle that tries every assignment of every provider.

What a client sees of it is told in tests/story/placement/test_candidates.py.
"""

from __future__ import annotations

from itertools import islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.placement.logic.asking import Group, Request
from skyhold.placement.logic.candidates import Provider, Stock, search

CLASSES, TRAITS, AGGREGATES = ("CPU", "NIC"), ("T1", "T2"), ("A1", "A2")
STOCK = st.builds(
    Stock, capacity=st.integers(0, 4), used=st.integers(0, 2), min_unit=st.integers(1, 2), max_unit=st.integers(1, 4),
    step_size=st.integers(1, 2),
)


@st.composite
def worlds(draw):
    world: dict[str, Provider] = {}
    for i in range(draw(st.integers(1, 5))):
        parent = world[draw(st.sampled_from(sorted(world)))] if world and draw(st.booleans()) else None
        world[f"p{i}"] = Provider(
            id=f"p{i}", root_id=parent.root_id if parent else f"p{i}", parent_id=parent.id if parent else None,
            traits=draw(some_of(TRAITS)), aggregates=draw(some_of(AGGREGATES)), sharing=draw(st.integers(0, 3)) == 0,
            stock=draw(st.dictionaries(st.sampled_from(CLASSES), STOCK)),
        )
    return world


def some_of(words):
    return st.frozensets(st.sampled_from(words), max_size=2)


@st.composite
def groups(draw, suffix, world):
    forbidden = draw(st.just(frozenset()) | some_of(TRAITS))
    least = 0 if suffix else 1
    return Group(
        suffix=suffix, resources=draw(st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 3), min_size=least)),
        required=draw(st.lists(st.frozensets(st.sampled_from(TRAITS), min_size=1), max_size=1)), forbidden=forbidden,
        member_of=draw(st.lists(st.frozensets(st.sampled_from(AGGREGATES), min_size=1), max_size=1)),
        not_member_of=draw(st.just(frozenset()) | some_of(AGGREGATES)),
        in_tree=draw(st.none() | st.none() | st.sampled_from([*world, "nowhere"])),
    )


@st.composite
def problems(draw):
    world = draw(worlds())
    suffixes = draw(st.sampled_from([("",), ("1",), ("", "1"), ("1", "2"), ("", "1", "2")]))
    numbered = [suffix for suffix in suffixes if suffix]
    return world, Request(
        groups=[draw(groups(suffix, world)) for suffix in suffixes], isolate=draw(st.booleans()),
        root_required=draw(st.just(frozenset()) | some_of(TRAITS)),
        root_forbidden=draw(st.just(frozenset()) | some_of(TRAITS)),
        same_subtree=[frozenset(numbered)] if len(numbered) > 1 and draw(st.booleans()) else [],
    )


def oracle(world, request):
    """Every assignment that fulfils the definition, as comparable keys."""
    spread = [group for group in request.groups if not group.suffix]
    tasks = [(group, {name: amount}) for group in spread for name, amount in group.resources.items()]
    tasks += [(group, group.resources) for group in request.groups if group.suffix]
    found = set()
    for chosen in product(world.values(), repeat=len(tasks)):
        if any(holds(world, request, tasks, chosen, root) for root in world.values() if root.parent_id is None):
            amounts: dict[tuple[str, str], int] = {}
            mappings: dict[str, set[str]] = {}
            for (group, resources), provider in zip(tasks, chosen, strict=True):
                mappings.setdefault(group.suffix, set()).add(provider.id)
                for name, amount in resources.items():
                    amounts[provider.id, name] = amounts.get((provider.id, name), 0) + amount
            found.add((frozenset(amounts.items()), frozenset((s, frozenset(ids)) for s, ids in mappings.items())))
    return found


def holds(world, request, tasks, chosen, root):
    tree = [one for one in world.values() if one.root_id == root.id]
    near = frozenset().union(*(one.aggregates for one in tree))
    if not request.root_required <= root.traits or request.root_forbidden & root.traits:
        return False
    taken: dict[tuple[str, str], int] = {}
    for (group, resources), one in zip(tasks, chosen, strict=True):
        if one.root_id != root.id and not (one.sharing and one.aggregates & near):
            return False
        aggregates = one.aggregates if group.suffix else one.aggregates | root.aggregates
        if group.forbidden & one.traits or group.not_member_of & aggregates:
            return False
        if not all(some & aggregates for some in group.member_of):
            return False
        if group.in_tree and (group.in_tree not in world or world[group.in_tree].root_id != one.root_id):
            return False
        if group.suffix and not all(some & one.traits for some in group.required):
            return False
        for name, amount in resources.items():
            stock = one.stock.get(name)
            if stock is None or amount < stock.min_unit or amount > stock.max_unit or amount % stock.step_size:
                return False
            taken[one.id, name] = taken.get((one.id, name), 0) + amount
    for (id, name), amount in taken.items():
        stock = world[id].stock[name]
        if stock.used + amount > stock.capacity or amount > stock.max_unit:
            return False
    for group in request.groups:
        if not group.suffix:
            traits = frozenset().union(*(one.traits for (g, _), one in zip(tasks, chosen, strict=True) if g is group))
            if not all(some & traits for some in group.required):
                return False
    alone = [one.id for (group, resources), one in zip(tasks, chosen, strict=True) if group.suffix and resources]
    if request.isolate and len(set(alone)) < len(alone):
        return False
    return all(
        tied(world, [one for (group, _), one in zip(tasks, chosen, strict=True) if group.suffix in suffixes])
        for suffixes in request.same_subtree
    )


def tied(world, providers):
    def above(one, other):
        return one.id == other.id or (other.parent_id is not None and above(one, world[other.parent_id]))

    return any(all(above(one, other) for other in providers) for one in providers)


def key(candidate):
    amounts = {(id, name): n for id, names in candidate.allocations.items() for name, n in names.items()}
    return frozenset(amounts.items()), frozenset((s, frozenset(ids)) for s, ids in candidate.mappings.items())


@pytest.mark.kit
@settings(max_examples=1500)
@given(problems())
def test_the_search_finds_exactly_what_the_definition_says(problem):
    world, request = problem
    found = [key(candidate) for candidate in search(request, world, nested=True, mapped=True)]
    assert len(found) == len(set(found))
    assert set(found) == oracle(world, request)


@settings(max_examples=200)
@given(problems())
def test_old_clients_see_only_roots_and_no_difference_in_mappings(problem):
    world, request = problem
    expected = {amounts for amounts, _ in oracle(world, request)
                if all(world[id].parent_id is None for (id, _), _ in amounts)}
    found = [key(candidate)[0] for candidate in search(request, world, nested=False, mapped=False)]
    assert len(found) == len(set(found)) and set(found) == expected


def test_the_oracle_is_not_always_empty():
    nothing = frozenset()
    world = {"p0": Provider(
        id="p0", root_id="p0", parent_id=None, traits=nothing, aggregates=nothing, stock={"CPU": Stock(4, 0, 1, 4, 1)}
    )}
    request = Request(groups=[Group(resources={"CPU": 2})])
    assert oracle(world, request) == {(frozenset({(("p0", "CPU"), 2)}), frozenset({("", frozenset({"p0"}))}))}


def test_a_limit_stops_a_search_whose_whole_is_huge():
    world = {"host": Provider(
        id="host", root_id="host", parent_id=None, traits=frozenset(), aggregates=frozenset(), stock={}
    )}
    for i in range(40):
        world[f"nic{i:02}"] = Provider(
            id=f"nic{i:02}", root_id="host", parent_id="host", traits=frozenset(), aggregates=frozenset(),
            stock={"NIC": Stock(4, 0, 1, 4, 1)},
        )
    request = Request(groups=[Group(suffix=str(i), resources={"NIC": 1}) for i in range(1, 9)], isolate=True)
    assert len(list(islice(search(request, world, nested=True, mapped=True), 10))) == 10
