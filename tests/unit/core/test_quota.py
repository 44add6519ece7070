# SPDX-License-Identifier: Apache-2.0
"""Quota: never beyond the limit however many ask at once, and given back with a roll-back.

What each service counts is its own; here things are counted that don't exist. Every test runs on each
database of the run.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.quota import UNLIMITED, Quota
from skyhold.core.tables import JOURNAL

QUOTA = Quota("toy", things=5, gigabytes=100)


@pytest.fixture
def project() -> str:
    return uuid.uuid4().hex


def take(tx: Any, ctx: Context, project_id: str, **amounts: int) -> None:
    QUOTA.take(tx, project_id, **amounts)


def give(tx: Any, ctx: Context, project_id: str, **amounts: int) -> None:
    QUOTA.give(tx, project_id, **amounts)


def usage(tx: Any, ctx: Context, project_id: str) -> dict[str, int]:
    return QUOTA.usage(tx, project_id)


def limit(tx: Any, ctx: Context, project_id: str, **limits: int) -> dict[str, int]:
    QUOTA.set_limits(tx, project_id, limits)
    return QUOTA.limits(tx, project_id)


async def test_what_is_taken_is_used_and_can_be_given_back(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(take, project, things=2, gigabytes=30)
    assert await ctx.read(usage, project) == {"things": 2, "gigabytes": 30}
    await ctx.write(give, project, things=1, gigabytes=30)
    assert await ctx.read(usage, project) == {"things": 1, "gigabytes": 0}


async def test_a_refusal_names_used_limit_and_asked(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(take, project, things=4)
    with pytest.raises(errors.OverQuota, match="requested 2, but already used 4 of 5 things") as refused:
        await ctx.write(take, project, things=2)
    assert refused.value.extra == {"resource": "things", "used": 4, "limit": 5, "asked": 2}
    await ctx.write(take, project, things=1)


async def test_a_refused_resource_gives_back_the_others(core: Core, project: str) -> None:
    ctx = internal(core)
    with pytest.raises(errors.OverQuota):
        await ctx.write(take, project, gigabytes=10, things=6)
    assert await ctx.read(usage, project) == {"things": 0, "gigabytes": 0}


async def test_many_at_once_never_pass_the_limit(core: Core, project: str) -> None:
    ctx = internal(core)
    asked = [ctx.write(take, project, things=1, gigabytes=7) for _ in range(40)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(result is None for result in results) == 5
    assert all(isinstance(result, errors.OverQuota) for result in results if result is not None)
    assert await ctx.read(usage, project) == {"things": 5, "gigabytes": 35}


async def test_taking_and_giving_at_once_ends_where_a_recount_would(core: Core, project: str) -> None:
    ctx = internal(core)

    async def come_and_go(i: int) -> int:
        try:
            await ctx.write(take, project, things=1)
        except errors.OverQuota:
            return 0
        if i % 2:
            await ctx.write(give, project, things=1)
            return 0
        return 1

    kept = await asyncio.gather(*[come_and_go(i) for i in range(40)])
    assert (await ctx.read(usage, project))["things"] == sum(kept) <= 5


async def test_a_limit_of_its_own_replaces_the_default(core: Core, project: str) -> None:
    ctx = internal(core)
    assert await ctx.write(limit, project, things=1) == {"things": 1, "gigabytes": 100}
    # The same value once more: MariaDB could take "nothing changed" for "not there".
    assert await ctx.write(limit, project, things=1) == {"things": 1, "gigabytes": 100}
    await ctx.write(take, project, things=1)
    with pytest.raises(errors.OverQuota):
        await ctx.write(take, project, things=1)


async def test_limits_of_all_projects_are_read_at_once(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(limit, project, things=1)
    await ctx.write(limit, "", gigabytes=7)
    found = await ctx.read(lambda tx, ctx: QUOTA.own_limits(tx))
    assert found[project] == {"things": 1, "gigabytes": 7}
    assert "" not in found
    await ctx.write(lambda tx, ctx: QUOTA.clear_limits(tx, ""))


async def test_who_set_a_limit_is_in_the_journal_whichever_service_it_is_of(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(limit, project, things=1)
    await ctx.write(lambda tx, ctx: QUOTA.clear_limits(tx, project))
    mine = sa.select(JOURNAL.c.action, JOURNAL.c.service, JOURNAL.c.state).where(JOURNAL.c.project_id == project)
    rows = await ctx.read(lambda tx, ctx: tx.all(mine.order_by(JOURNAL.c.id)))
    assert {row.service for row in rows} == {"toy"}
    told = [(row.action, row.state["resource"], row.state["maximum"]) for row in rows]
    assert told == [("quota.update", "things", 1), ("quota.delete", "things", 1), ("quota.delete", "gigabytes", 100)]


async def test_limits_set_at_once_do_not_collide(core: Core, project: str) -> None:
    ctx = internal(core)
    await asyncio.gather(*[ctx.write(limit, project, things=3) for _ in range(8)])
    assert (await ctx.write(limit, project))["things"] == 3


async def test_unlimited_means_no_limit(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(limit, project, things=UNLIMITED)
    await ctx.write(take, project, things=10_000_000_000)


async def test_a_limit_below_what_is_used_refuses_more_but_takes_nothing_away(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(take, project, things=4)
    await ctx.write(limit, project, things=2)
    with pytest.raises(errors.OverQuota):
        await ctx.write(take, project, things=1)
    await ctx.write(give, project, things=3)
    await ctx.write(take, project, things=1)


async def test_projects_do_not_share(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(take, project, things=5)
    await ctx.write(take, project.upper(), things=5)


async def test_clearing_returns_to_the_default(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(limit, project, things=1)
    await ctx.write(lambda tx, ctx: QUOTA.clear_limits(tx, project))
    assert (await ctx.write(limit, project))["things"] == 5


async def test_a_negative_amount_is_given(core: Core, project: str) -> None:
    ctx = internal(core)
    await ctx.write(take, project, things=3)
    await ctx.write(take, project, things=-2)
    assert (await ctx.read(usage, project))["things"] == 1
