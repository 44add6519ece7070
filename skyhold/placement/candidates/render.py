# SPDX-License-Identifier: Apache-2.0
"""The JSON of candidates and of the providers they use, in each microversion's form.

What is rendered comes from flat.py (rows) or from trees.py (providers). The one thing to know
first: a list of a thousand flat candidates is put together as text, since building and serialising
as many nested dicts would cost several times more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from skyhold.core.versions import Version
from skyhold.placement import versions
from skyhold.placement.logic.asking import Group, Request
from skyhold.placement.logic.candidates import Candidate, Provider


def flat_body(rows: Sequence[Any], others: Iterable[Any], group: Group, version: Version) -> bytes:
    """The whole answer for rows of flat.fitting_rows; `others` are rows of flat.other_stock."""
    ids = [text(row[0]) for row in rows]
    extra = other_texts(others)
    names = [text(name) for name in group.resources]
    requests = ",".join(map(request_writer(group, version), ids))
    stock = ",".join(f'{name}:{{"capacity":%d,"used":%d}}' for name in names)
    with_traits, nested = version >= versions.SUMMARY_TRAITS, version >= versions.NESTED_CANDIDATES
    summaries = []
    for id, row in zip(ids, rows, strict=True):
        line = f'{id}:{{"resources":{{{stock % row[2:]}{extra.get(row[0], "")}}}'
        if with_traits:
            line += f',"traits":{row[1]}'
        summaries.append(line + (f',"parent_provider_uuid":null,"root_provider_uuid":{id}}}' if nested else "}"))
    return f'{{"allocation_requests":[{requests}],"provider_summaries":{{{",".join(summaries)}}}}}'.encode()


def other_texts(others: Iterable[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for provider_id, name, capacity, used in others:
        more = f',{text(name)}:{{"capacity":{capacity},"used":{used}}}'
        found[provider_id] = found.get(provider_id, "") + more
    return found


def request_writer(group: Group, version: Version) -> Any:
    """How the JSON of an allocation request is made from the JSON of its only provider's id."""
    amounts = orjson.dumps(group.resources).decode()
    if version < versions.ALLOCATIONS_BY_PROVIDER:
        return lambda id: f'{{"allocations":[{{"resource_provider":{{"uuid":{id}}},"resources":{amounts}}}]}}'
    if version < versions.MAPPINGS:
        return lambda id: f'{{"allocations":{{{id}:{{"resources":{amounts}}}}}}}'
    suffix = text(group.suffix)
    return lambda id: f'{{"allocations":{{{id}:{{"resources":{amounts}}}}},"mappings":{{{suffix}:[{id}]}}}}'


def text(value: str) -> str:
    return orjson.dumps(value).decode()


def tree_body(
    candidates: Sequence[Candidate], world: Mapping[str, Provider], request: Request, version: Version
) -> dict[str, Any]:
    """The whole answer for combinations found by the search."""
    used = {id for candidate in candidates for id in candidate.allocations}
    shown: Iterable[Provider] = [world[id] for id in sorted(used)]
    if version >= versions.NESTED_CANDIDATES:
        roots = {world[id].root_id for id in used}
        shown = [provider for provider in world.values() if provider.root_id in roots]
    return {
        "allocation_requests": [allocation_request(each, version) for each in candidates],
        "provider_summaries": {provider.id: summary(provider, request, version) for provider in shown},
    }


def allocation_request(candidate: Candidate, version: Version) -> dict[str, Any]:
    if version < versions.ALLOCATIONS_BY_PROVIDER:
        return {"allocations": [
            {"resource_provider": {"uuid": id}, "resources": amounts} for id, amounts in candidate.allocations.items()
        ]}
    body: dict[str, Any] = {
        "allocations": {id: {"resources": amounts} for id, amounts in candidate.allocations.items()}
    }
    if version >= versions.MAPPINGS:
        body["mappings"] = candidate.mappings
    return body


def summary(provider: Provider, request: Request, version: Version) -> dict[str, Any]:
    everything = version >= versions.SUMMARY_ALL_CLASSES
    asked = request.classes
    body: dict[str, Any] = {"resources": {
        name: {"capacity": stock.capacity, "used": stock.used}
        for name, stock in provider.stock.items() if everything or name in asked
    }}
    if version >= versions.SUMMARY_TRAITS:
        body["traits"] = sorted(provider.traits)
    if version >= versions.NESTED_CANDIDATES:
        body |= {"parent_provider_uuid": provider.parent_id, "root_provider_uuid": provider.root_id}
    return body
