# SPDX-License-Identifier: Apache-2.0
"""One of many values, as one parameter, on every database of the run."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.among import among
from skyhold.core.db.columns import metadata, number, table, text
from tests.kit.databases import make_tables

BIRDS = table("test_birds", sa.Column("name", text(64), primary_key=True), sa.Column("n", number(), nullable=False))
metadata.remove(BIRDS)
BY_NAME = sa.select(BIRDS.c.n).where(among(BIRDS.c.name, "names"), BIRDS.c.n > sa.bindparam("least")).order_by("n")
BY_NUMBER = sa.select(BIRDS.c.name).where(among(BIRDS.c.n, "numbers")).order_by(BIRDS.c.name)
NAMES = ["wren", "Wren", "it's", 'a "b"', "é", "1"]


@pytest.fixture
async def birds(core: Core) -> Core:
    await make_tables(core, BIRDS)
    await internal(core).write(fill)
    return core


def fill(tx: Any, ctx: Context) -> None:
    tx.execute(BIRDS.insert(), [{"name": name, "n": i} for i, name in enumerate(NAMES)])


def by_name(tx: Any, ctx: Context, names: list[str], least: int = -1) -> list[int]:
    return [row.n for row in tx.all(BY_NAME, {"names": names, "least": least})]


def by_number(tx: Any, ctx: Context, numbers: list[int]) -> list[str]:
    return [row.name for row in tx.all(BY_NUMBER, {"numbers": numbers})]


async def test_rows_are_found_whatever_the_number_of_values(birds: Core) -> None:
    ctx = internal(birds)
    assert await ctx.read(by_name, []) == []
    assert await ctx.read(by_name, ["wren"]) == [0]
    assert await ctx.read(by_name, NAMES + [f"nobody-{i}" for i in range(2000)]) == [0, 1, 2, 3, 4, 5]


async def test_it_stands_beside_other_parameters(birds: Core) -> None:
    assert await internal(birds).read(by_name, NAMES, 3) == [4, 5]


async def test_text_is_compared_byte_by_byte_and_never_as_a_number(birds: Core) -> None:
    ctx = internal(birds)
    assert await ctx.read(by_name, ["WREN", "E", "wren "]) == []
    assert await ctx.read(by_name, ["1"]) == [5]


async def test_integers_are_found_too(birds: Core) -> None:
    assert await internal(birds).read(by_number, [1, 4, 99]) == ["Wren", "é"]


def test_sqlite_looks_the_values_up_in_the_index(tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'birds.db'}")
    with engine.connect() as conn:
        BIRDS.create(conn)
        plan = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + str(BY_NAME.compile(engine)), ("[]", 0)).fetchall()
    assert any("SEARCH test_birds USING INDEX" in str(step) for step in plan), plan
