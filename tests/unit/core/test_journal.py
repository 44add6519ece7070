# SPDX-License-Identifier: Apache-2.0
"""The journal: a row for each write, in the write's own transaction, and none lost to readers.

Who reads it is each reader's own test. Every test runs on each database of the run.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.columns import blob, id_column, json, metadata, number, ref_column, table, text
from skyhold.core.store import Store
from skyhold.core.tables import JOURNAL
from tests.kit.databases import caller, make_tables

NOTES = table(
    "test_notes",
    id_column(),
    ref_column("project_id"),
    sa.Column("secret", text()),
    sa.Column("raw", blob()),
    sa.Column("tags", json()),
    sa.Column("size", number()),
)
metadata.remove(NOTES)
store = Store(NOTES, service="toy", kind="note", secrets=["secret"])


@pytest.fixture
async def notes(core: Core) -> Core:
    await make_tables(core, NOTES)
    return core


def write_note(tx: Any, ctx: Context, id: str, **values: Any) -> None:
    row = store.insert(tx, id=id, project_id=ctx.project_id, **values)
    journal.record(tx, "note.create", row)


def all_rows(tx: Any, ctx: Context) -> list[Any]:
    return list(tx.all(sa.select(JOURNAL).order_by(JOURNAL.c.id)))


async def test_a_row_says_who_did_what_and_what_came_of_it(notes: Core) -> None:
    ctx = caller(notes, request_id="req-1")
    await ctx.write(write_note, "n1", secret="hush", raw=b"12345", tags=["a"], size=2**40)
    [row] = await ctx.read(all_rows)
    assert (row.request_id, row.actor, row.project_id) == ("req-1", "u1", "p1")
    assert (row.service, row.kind, row.resource_id, row.action) == ("toy", "note", "n1", "note.create")
    assert row.state == {"id": "n1", "project_id": "p1", "raw": "<5 bytes>", "tags": ["a"], "size": 2**40}


async def test_a_roll_back_takes_the_row_with_it(notes: Core) -> None:
    def fail(tx: Any, ctx: Context) -> None:
        write_note(tx, ctx, "n1")
        raise errors.Conflict("no")

    with pytest.raises(errors.Conflict):
        await caller(notes).write(fail)
    assert await caller(notes).read(all_rows) == []


async def follow(ctx: Context, position: int) -> list[Any]:
    def after(tx: Any, ctx: Context) -> list[Any]:
        return list(
            tx.all(
                sa.select(JOURNAL.c.position, JOURNAL.c.resource_id)
                .where(JOURNAL.c.position > position)
                .order_by(JOURNAL.c.position)
            )
        )

    return await ctx.read(after)


async def test_a_reader_that_follows_positions_misses_nothing(notes: Core) -> None:
    """Transactions commit in another order than their numbers were given in, and several processes give positions."""
    ctx = internal(notes)
    heard: list[str] = []
    position, done = 0, False

    def slowly(tx: Any, ctx: Context, id: str, pause_s: float) -> None:
        write_note(tx, ctx, id)
        if tx.dialect == "postgresql":
            tx.execute(sa.text(f"SELECT pg_sleep({pause_s})"))
        elif tx.dialect == "mariadb":
            tx.execute(sa.text(f"SELECT sleep({pause_s})"))

    async def read_on() -> None:
        nonlocal position
        while not done or await journal.sequence(ctx):
            await journal.sequence(ctx)
            for row in await follow(ctx, position):
                assert row.position > position
                position = row.position
                heard.append(row.resource_id)
            await asyncio.sleep(0.001)

    async def number_on() -> None:
        while not done:
            await journal.sequence(ctx)
            await asyncio.sleep(random.uniform(0, 0.004))

    reader = asyncio.create_task(read_on())
    others = [asyncio.create_task(number_on()) for _ in range(3)]
    ids = [f"n{i}" for i in range(150)]
    await asyncio.gather(*[ctx.write(slowly, id, random.uniform(0, 0.02)) for id in ids])
    done = True
    await asyncio.gather(reader, *others)
    heard += [row.resource_id for row in await follow(ctx, position)]
    assert sorted(heard) == sorted(ids)


async def test_two_sequencers_at_once_give_each_row_one_position(notes: Core) -> None:
    """The rows that the first one numbers keep the second waiting, and the unique position keeps it from old counts."""
    ctx = internal(notes)
    for i in range(20):
        await ctx.write(write_note, f"n{i}")
    await asyncio.gather(*[journal.sequence(ctx) for _ in range(4)])
    positions = [row.position for row in await follow(ctx, 0)]
    assert len(positions) == len(set(positions)) == 20


async def test_forgetting_keeps_the_count(notes: Core) -> None:
    """Positions never start again, or a reader would wait for ever; and what is unread stays."""
    ctx = internal(notes)
    for i in range(3):
        await ctx.write(write_note, f"n{i}")
    await journal.sequence(ctx)
    last = (await follow(ctx, 0))[-1].position
    await ctx.write(write_note, "unread")
    # On SQLite a row is there for readers as soon as it is written.
    assert await ctx.write(journal.forget, ctx.now + 1) == (3 if notes.db.name == "sqlite" else 2)
    await journal.sequence(ctx)
    assert [row.resource_id for row in await follow(ctx, last)] == ["unread"]
    await ctx.write(journal.forget, ctx.now + 1)
    await ctx.write(write_note, "later")
    await journal.sequence(ctx)
    assert (await follow(ctx, last))[-1].resource_id == "later"
