# SPDX-License-Identifier: Apache-2.0
"""What compute relies on: providers that report themselves, claims that never exceed what there is.

The REST API over the same rows is told in the other stories of this folder.
"""

from __future__ import annotations

import asyncio
import random

import pytest
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.placement import facade
from skyhold.placement.facade import Inventory
from skyhold.placement.tables import ALLOCATIONS, INVENTORIES, PROVIDERS

SMALL = {
    "VCPU": Inventory(4, allocation_ratio=2.0), "MEMORY_MB": Inventory(4096, reserved=512), "DISK_GB": Inventory(100),
}


def room(tx, ctx, provider_id, name, inventories=SMALL, traits=("HW_CPU_X86_AVX2",)):
    facade.set_provider(
        tx, ctx, provider_id=provider_id, name=name, inventories=dict(inventories), traits=list(traits)
    )


def want(consumer, provider="p1", project="demo", **resources):
    return {"consumer_id": consumer, "provider_id": provider, "resources": resources or {"VCPU": 1},
            "project_id": project, "user_id": "alice"}


def sums(tx, ctx):
    """(provider, class) -> used as maintained, and as the allocations add up."""
    kept = {(r[0], r[1]): r[2] for r in tx.all(sa.select(
        INVENTORIES.c.provider_id, INVENTORIES.c.resource_class, INVENTORIES.c.used))}
    added = {(r[0], r[1]): int(r[2]) for r in tx.all(sa.select(
        ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class, sa.func.sum(ALLOCATIONS.c.used)
    ).group_by(ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class))}
    return kept, {key: added.get(key, 0) for key in kept}


async def test_a_host_reports_itself_and_is_written_only_when_it_changed(ctx):
    def generation(tx, ctx):
        return tx.scalar(sa.select(PROVIDERS.c.generation))

    await ctx.write(room, "p1", "host-1")
    first = await ctx.read(generation)
    await ctx.write(room, "p1", "host-1")
    assert await ctx.read(generation) == first
    await ctx.write(room, "p1", "host-1", SMALL, ["CUSTOM_GOLD"])
    assert await ctx.read(generation) == first + 1
    [found] = await ctx.read(facade.rooms)
    assert found.traits == {"CUSTOM_GOLD"} and found.name == "host-1"
    assert found.inventories["VCPU"] == facade.RoomOf(4, 0, 2.0, 1, 4, 1, 0)


async def test_an_inventory_in_use_stays_but_offers_nothing_when_no_longer_reported(ctx):
    await ctx.write(room, "p1", "host-1")
    assert await ctx.write(facade.claim, **want("c1", VCPU=1, DISK_GB=10))
    await ctx.write(room, "p1", "host-1", {"VCPU": Inventory(4)})
    [found] = await ctx.read(facade.rooms)
    assert set(found.inventories) == {"VCPU", "DISK_GB"}
    assert found.inventories["DISK_GB"].reserved == found.inventories["DISK_GB"].total
    assert not await ctx.write(facade.claim, **want("c2", DISK_GB=1))


async def test_plc_08_reserved_ratio_units_and_steps_bound_every_claim(ctx):
    limits = {"VCPU": Inventory(4, reserved=1, allocation_ratio=1.5), "DISK_GB": Inventory(100, 0, 10, 40, 10)}
    await ctx.write(room, "p1", "host-1", limits)
    assert not await ctx.write(facade.claim, **want("c1", VCPU=5))
    assert await ctx.write(facade.claim, **want("c1", VCPU=4))
    assert not await ctx.write(facade.claim, **want("c2", VCPU=1))
    for amount in (5, 15, 50):
        assert not await ctx.write(facade.claim, **want("c3", DISK_GB=amount))
    assert await ctx.write(facade.claim, **want("c3", DISK_GB=40))
    assert not await ctx.write(facade.claim, **want("c4", provider="nowhere"))
    assert not await ctx.write(facade.claim, **want("c4", VGPU=1))


async def test_a_claim_that_does_not_fit_leaves_the_earlier_one_alone(ctx):
    await ctx.write(room, "p1", "host-1")
    await ctx.write(room, "p2", "host-2", {"VCPU": Inventory(1)})
    assert await ctx.write(facade.claim, **want("c1", VCPU=2, MEMORY_MB=1024))
    assert not await ctx.write(facade.claim, **want("c1", provider="p2", VCPU=2))
    assert await ctx.read(facade.allocations, ["c1"]) == {"c1": {"p1": {"VCPU": 2, "MEMORY_MB": 1024}}}
    assert await ctx.write(facade.claim, **want("c1", provider="p2", VCPU=1))
    assert await ctx.read(facade.allocations, ["c1"]) == {"c1": {"p2": {"VCPU": 1}}}
    kept, added = await ctx.read(sums)
    assert kept == added
    await ctx.write(facade.release, "c1")
    await ctx.write(facade.release, "c1")
    assert await ctx.read(facade.allocations, ["c1"]) == {}
    assert not any((await ctx.read(sums))[0].values())


async def test_candidates_are_filtered_by_room_and_traits(ctx):
    for i in range(5):
        await ctx.write(room, f"p{i}", f"host-{i}", SMALL, ["HW_CPU_X86_AVX2"] if i % 2 else ["HW_CPU_X86_SVM"])
    assert await ctx.write(facade.claim, **want("c1", provider="p1", DISK_GB=100))
    ask = {"VCPU": 2, "DISK_GB": 10}
    assert await ctx.read(facade.candidates, ask) == ["p0", "p2", "p3", "p4"]
    assert await ctx.read(facade.candidates, ask, required=["HW_CPU_X86_AVX2"]) == ["p3"]
    assert await ctx.read(facade.candidates, ask, forbidden=["HW_CPU_X86_AVX2"], limit=2) == ["p0", "p2"]
    assert await ctx.read(facade.candidates, {"VCPU": 99}) == []


async def test_plc_04_concurrent_claims_never_exceed_capacity_and_used_equals_the_sum(ctx):
    for i in range(3):
        await ctx.write(room, f"p{i}", f"host-{i}")
    dice = random.Random(7)

    async def live(consumer):
        for _ in range(12):
            if dice.random() < 0.25:
                await ctx.write(facade.release, consumer)
                continue
            await ctx.write(facade.claim, **want(
                consumer, provider=f"p{dice.randrange(3)}", VCPU=dice.randint(1, 4), MEMORY_MB=256 * dice.randint(1, 6),
            ))

    await asyncio.gather(*(live(f"c{i}") for i in range(20)))
    kept, added = await ctx.read(sums)
    assert kept == added and any(added.values())
    for found in await ctx.read(facade.rooms):
        for of in found.inventories.values():
            assert of.used <= (of.total - of.reserved) * of.allocation_ratio


async def test_a_provider_goes_only_when_nothing_uses_it(ctx):
    await ctx.write(room, "p1", "host-1")
    await ctx.write(facade.claim, **want("c1"))
    with pytest.raises(errors.Conflict):
        await ctx.write(facade.remove_provider, "p1")
    await ctx.write(facade.release, "c1")
    await ctx.write(facade.remove_provider, "p1")
    assert await ctx.read(facade.rooms) == []
