# SPDX-License-Identifier: Apache-2.0
"""Races of placement's operations.

What an entry means is ../duel.py. Most writes name a generation: of two with the same, one wins.
"""

from __future__ import annotations

import uuid
from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race

P = "/placement"
LATEST = {"OpenStack-API-Version": "placement 1.39"}


async def a_provider(g: Ground, **stock: int) -> tuple[str, int]:
    """(path, generation)"""
    body = {"name": name(), "uuid": str(uuid.uuid4())}
    await g.admin.post(f"{P}/resource_providers", body, headers=LATEST, status=200)
    path = f"{P}/resource_providers/{body['uuid']}"
    if not stock:
        return path, 0
    inventories = {key: {"total": total} for key, total in stock.items()}
    wanted = {"resource_provider_generation": 0, "inventories": inventories}
    answer = await g.admin.put(path + "/inventories", wanted, headers=LATEST, status=200)
    return path, answer.json["resource_provider_generation"]


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def duel(g: Ground, method: str, path: str, body: Any, gone: str, **more: Any) -> Duel:
    return Duel(Call(g.admin, method, path, body), gone=Call(g.admin, "DELETE", gone, headers=LATEST), **more)


@race("POST /placement/resource_providers")
async def create_provider(g: Ground) -> Duel:
    parent, _ = await a_provider(g)
    body = {"name": name(), "uuid": str(uuid.uuid4()), "parent_provider_uuid": id_of(parent)}
    return duel(g, "POST", f"{P}/resource_providers", body, parent, winners=(1,), refusals=(400,))


@race("PUT /placement/resource_providers/{uuid}")
async def change_provider(g: Ground) -> Duel:
    path, _ = await a_provider(g)
    return duel(g, "PUT", path, {"name": name()}, path)


@race("DELETE /placement/resource_providers/{uuid}")
async def delete_provider(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=1)
    return Duel(Call(g.admin, "DELETE", path), winners=(1,))


@race("PUT /placement/resource_providers/{uuid}/inventories")
async def set_inventories(g: Ground) -> Duel:
    path, generation = await a_provider(g, VCPU=1)
    body = {"resource_provider_generation": generation, "inventories": {"MEMORY_MB": {"total": 64}}}
    return duel(g, "PUT", path + "/inventories", body, path, winners=(1,))


@race("POST /placement/resource_providers/{uuid}/inventories")
async def add_inventory(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=1)
    body = {"resource_class": "MEMORY_MB", "total": 64}
    return duel(g, "POST", path + "/inventories", body, path, winners=(1,))


@race("DELETE /placement/resource_providers/{uuid}/inventories")
async def clear_inventories(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=1)
    # To 1.4 it answers that there is no such method.
    return duel(g, "DELETE", path + "/inventories", None, path, winners=(0, 2), refusals=(405,))


@race("PUT /placement/resource_providers/{uuid}/inventories/{resource_class}")
async def change_inventory(g: Ground) -> Duel:
    path, generation = await a_provider(g, VCPU=1)
    body = {"resource_provider_generation": generation, "total": 64}
    return duel(g, "PUT", path + "/inventories/VCPU", body, path, winners=(1,))


@race("DELETE /placement/resource_providers/{uuid}/inventories/{resource_class}")
async def drop_inventory(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=1)
    return duel(g, "DELETE", path + "/inventories/VCPU", None, path, winners=(1,))


@race("PUT /placement/resource_providers/{uuid}/aggregates")
async def set_aggregates(g: Ground) -> Duel:
    path, generation = await a_provider(g)
    body = {"resource_provider_generation": generation, "aggregates": [str(uuid.uuid4())]}
    call = Call(g.admin, "PUT", path + "/aggregates", body, headers=LATEST)
    return Duel(call, gone=Call(g.admin, "DELETE", path), winners=(1,))


async def a_trait(g: Ground) -> str:
    path = f"{P}/traits/CUSTOM_{uuid.uuid4().hex[:10].upper()}"
    await g.admin.put(path, headers=LATEST, status=201)
    return path


@race("PUT /placement/traits/{name}")
async def create_trait(g: Ground) -> Duel:
    path = await a_trait(g)
    return duel(g, "PUT", path, None, path, winners=(2,))


@race("DELETE /placement/traits/{name}")
async def delete_trait(g: Ground) -> Duel:
    return Duel(Call(g.admin, "DELETE", await a_trait(g)), winners=(1,))


@race("PUT /placement/resource_providers/{uuid}/traits")
async def set_traits(g: Ground) -> Duel:
    path, generation = await a_provider(g)
    trait = await a_trait(g)
    body = {"resource_provider_generation": generation, "traits": [id_of(trait)]}
    return duel(g, "PUT", path + "/traits", body, trait, winners=(1,), refusals=(400,))


@race("DELETE /placement/resource_providers/{uuid}/traits")
async def clear_traits(g: Ground) -> Duel:
    path, _ = await a_provider(g)
    return duel(g, "DELETE", path + "/traits", None, path)


async def a_class(g: Ground) -> str:
    path = f"{P}/resource_classes/CUSTOM_{uuid.uuid4().hex[:10].upper()}"
    await g.admin.put(path, headers=LATEST, status=201)
    return path


@race("POST /placement/resource_classes")
async def create_class(g: Ground) -> Duel:
    old = await a_class(g)
    body = {"name": "CUSTOM_" + uuid.uuid4().hex[:10].upper()}
    return duel(g, "POST", f"{P}/resource_classes", body, old, winners=(1,))


@race("PUT /placement/resource_classes/{name}")
async def change_class(g: Ground) -> Duel:
    # To 1.6 this renames, since 1.7 it makes; of a class that is there both are safe to say again.
    path = await a_class(g)
    one = Call(g.admin, "PUT", path, headers=LATEST)
    return Duel(one, gone=Call(g.admin, "DELETE", path, headers=LATEST), winners=(2,))


@race("DELETE /placement/resource_classes/{name}")
async def delete_class(g: Ground) -> Duel:
    return Duel(Call(g.admin, "DELETE", await a_class(g)), winners=(1,))


def using(path: str, vcpus: int, generation: int | None = None) -> dict[str, Any]:
    return {
        "allocations": {id_of(path): {"resources": {"VCPU": vcpus}}}, "consumer_generation": generation,
        "consumer_type": "INSTANCE", "project_id": "race", "user_id": "race",
    }


@race("PUT /placement/allocations/{consumer_uuid}")
async def allocate(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=8)
    return duel(g, "PUT", f"{P}/allocations/{uuid.uuid4()}", using(path, 2), path, winners=(1,), refusals=(400,))


@race("POST /placement/allocations")
async def allocate_many(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=8)
    body = {str(uuid.uuid4()): using(path, 2), str(uuid.uuid4()): using(path, 3)}
    return duel(g, "POST", f"{P}/allocations", body, path, winners=(1,), refusals=(400,))


@race("DELETE /placement/allocations/{consumer_uuid}")
async def deallocate(g: Ground) -> Duel:
    path, _ = await a_provider(g, VCPU=8)
    consumer = f"{P}/allocations/{uuid.uuid4()}"
    await g.admin.put(consumer, using(path, 2), headers=LATEST, status=204)
    return duel(g, "DELETE", consumer, None, path, winners=(1,))


@race("POST /placement/reshaper")
async def reshape(g: Ground) -> Duel:
    old, before = await a_provider(g, VCPU=8)
    new, empty = await a_provider(g)
    consumer = str(uuid.uuid4())
    await g.admin.put(f"{P}/allocations/{consumer}", using(old, 2), headers=LATEST, status=204)
    body = {
        "inventories": {
            id_of(old): {"resource_provider_generation": before + 1, "inventories": {}},
            id_of(new): {"resource_provider_generation": empty, "inventories": {"VCPU": {"total": 8}}},
        },
        "allocations": {consumer: using(new, 2, 1)},
    }
    return duel(g, "POST", f"{P}/reshaper", body, new, winners=(1,), refusals=(400,))
