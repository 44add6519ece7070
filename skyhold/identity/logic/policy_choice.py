# SPDX-License-Identifier: Apache-2.0
"""Which policy an endpoint uses: its own, else that of its service where it is, else its service's.

What is associated with what is kept in endpoint_policies.py. Regions stand in a tree: one that has
nothing to say leaves it to the region above. The order is that of the OS-ENDPOINT-POLICY extension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Whose(NamedTuple):
    """What a policy can be associated with; None stands for what an association doesn't name."""

    endpoint_id: str | None = None
    service_id: str | None = None
    region_id: str | None = None


def chosen(
    policies: Mapping[Whose, str], parents: Mapping[str, str | None], endpoint_id: str, service_id: str,
    region_id: str | None,
) -> str | None:
    """The policy's id. `parents` says of each region which one it is in."""
    for whose in candidates(parents, endpoint_id, service_id, region_id):
        if whose in policies:
            return policies[whose]
    return None


def candidates(
    parents: Mapping[str, str | None], endpoint_id: str, service_id: str, region_id: str | None
) -> Iterator[Whose]:
    yield Whose(endpoint_id=endpoint_id)
    seen: set[str] = set()
    while region_id is not None and region_id not in seen:
        yield Whose(service_id=service_id, region_id=region_id)
        seen.add(region_id)
        region_id = parents.get(region_id)
    yield Whose(service_id=service_id)
