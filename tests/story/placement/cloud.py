# SPDX-License-Identifier: Apache-2.0
"""Short ways to set up providers over the API, for the stories of this folder.

Nothing here asserts anything but that setting up worked.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from tests.kit.client import Client

ME = {"project_id": "demo", "user_id": "alice"}


def new_id() -> str:
    return str(uuid.uuid4())


def at(api: Client, version: str) -> Client:
    return replace(api, version=f"placement {version}")


async def provider(
    api: Client, name: str, parent: str | None = None, *, traits: tuple[str, ...] = (),
    aggregates: tuple[str, ...] = (), **stock: Any,
) -> str:
    """A provider's id. `stock` is class=total, or class={"total": …}."""
    made = (await api.post("/resource_providers", {"name": name, "parent_provider_uuid": parent}, status=200)).json
    url = f"/resource_providers/{made['uuid']}"
    inventories = {key: value if isinstance(value, dict) else {"total": value} for key, value in stock.items()}
    generation = made["generation"]
    if inventories:
        body = {"resource_provider_generation": generation, "inventories": inventories}
        generation = (await api.put(url + "/inventories", body, status=200)).json["resource_provider_generation"]
    for trait in traits:
        if trait.startswith("CUSTOM_"):
            await api.put(f"/traits/{trait}", status=(201, 204))
    if traits:
        body = {"resource_provider_generation": generation, "traits": list(traits)}
        generation = (await api.put(url + "/traits", body, status=200)).json["resource_provider_generation"]
    if aggregates:
        body = {"resource_provider_generation": generation, "aggregates": list(aggregates)}
        await api.put(url + "/aggregates", body, status=200)
    return str(made["uuid"])


def using(allocations: dict[str, dict[str, int]], *, generation: int | None = None, kind: str = "INSTANCE") -> Any:
    """A body for PUT /allocations/{consumer} at 1.38."""
    return ME | {
        "allocations": {id: {"resources": amounts} for id, amounts in allocations.items()},
        "consumer_generation": generation, "consumer_type": kind,
    }


async def candidates(api: Client, **query: Any) -> list[dict[str, dict[str, int]]]:
    """The allocations of every candidate: provider -> class -> amount."""
    found = (await api.get("/allocation_candidates", query, status=200)).json
    return [{id: of["resources"] for id, of in each["allocations"].items()} for each in found["allocation_requests"]]
