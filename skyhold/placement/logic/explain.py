# SPDX-License-Identifier: Apache-2.0
"""Why a provider is no candidate: for each group, the rules it fell out on.

The search that decides is candidates.py; this asks the same questions of each provider alone and
keeps every answer instead of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skyhold.placement.logic import candidates
from skyhold.placement.logic.asking import Group, Request
from skyhold.placement.logic.candidates import Provider

Reason = dict[str, Any]


def explain(request: Request, world: Mapping[str, Provider]) -> dict[str, Any]:
    """provider -> {"fits": whether it could serve every group alone, "groups": suffix -> reasons}.

    A reason is {"rule", "message"} with the numbers concerned. A provider that fits alone can still
    be absent from the candidates when groups must be isolated from one another.
    """
    found = {}
    for provider in world.values():
        root = list(root_reasons(request, world[provider.root_id]))
        groups = {group.suffix: root + list(reasons(group, provider, world)) for group in request.groups}
        found[provider.id] = {"fits": not any(groups.values()), "groups": groups}
    return found


def reasons(group: Group, provider: Provider, world: Mapping[str, Provider]) -> Iterator[Reason]:
    for name, amount in group.resources.items():
        yield from stock_reasons(name, amount, provider)
    yield from trait_reasons(group, provider)
    aggregates = provider.aggregates if group.suffix else provider.aggregates | world[provider.root_id].aggregates
    if not candidates.admits(group, aggregates):
        yield reason("member_of", "It is not in the aggregates asked for, or in a forbidden one.")
    if not candidates.in_tree(group, provider, world):
        yield reason("in_tree", f"It is not in the tree of {group.in_tree}.")


def stock_reasons(name: str, amount: int, provider: Provider) -> Iterator[Reason]:
    stock = provider.stock.get(name)
    if stock is None:
        yield reason("inventory", f"It has no {name}.", resource_class=name)
        return
    if stock.used + amount > stock.capacity:
        yield reason(
            "capacity", f"{amount} {name} are asked for, {max(stock.capacity - stock.used, 0)} are free.",
            resource_class=name, asked=amount, used=stock.used, capacity=stock.capacity,
        )
    units = {
        "min_unit": amount >= stock.min_unit, "max_unit": amount <= stock.max_unit,
        "step_size": amount % stock.step_size == 0,
    }
    for rule, kept in units.items():
        if not kept:
            bound = getattr(stock, rule)
            yield reason(rule, f"{amount} {name} break {rule} {bound}.", resource_class=name, asked=amount, bound=bound)


def trait_reasons(group: Group, provider: Provider) -> Iterator[Reason]:
    for some in group.required:
        if some.isdisjoint(provider.traits):
            yield reason("required", f"It lacks {' and '.join(sorted(some))}.", traits=sorted(some))
    if refused := sorted(group.forbidden & provider.traits):
        yield reason("forbidden", f"It has {', '.join(refused)}.", traits=refused)


def root_reasons(request: Request, root: Provider) -> Iterator[Reason]:
    if missing := sorted(request.root_required - root.traits):
        yield reason("root_required", f"Its root lacks {', '.join(missing)}.", traits=missing)
    if refused := sorted(request.root_forbidden & root.traits):
        yield reason("root_forbidden", f"Its root has {', '.join(refused)}.", traits=refused)


def reason(rule: str, message: str, **numbers: Any) -> Reason:
    return {"rule": rule, "message": message, **numbers}
