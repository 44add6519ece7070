# SPDX-License-Identifier: Apache-2.0
"""The store: who sees which rows, pages in a total order, and moves by compare-and-swap.

Policy's own decisions are in test_policy.py. Every test runs on each database of the run.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.columns import (
    blob,
    flag,
    id_column,
    json,
    long_text,
    metadata,
    micros,
    number,
    table,
    text,
)
from skyhold.core.policy.defaults import PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from skyhold.core.policy.rules import Rule
from skyhold.core.states import states
from skyhold.core.store import Store, like_escape
from tests.kit.databases import caller, make_tables, rows_of

SEE = Rule("toy:things:get", PROJECT_READER_OR_ADMIN, lists=True)
CHANGE = Rule("toy:things:change", PROJECT_MEMBER_OR_ADMIN, lists=True)
STATES = states({"NEW": "DONE GONE", "DONE": "GONE"}, resting="DONE GONE")

THINGS = table(
    "test_things",
    id_column(),
    sa.Column("project_id", text(64), nullable=False),
    sa.Column("name", text(), nullable=False),
    sa.Column("rank", number()),
    sa.Column("note", text()),
    sa.Column("state", text(16), nullable=False),
    sa.Column("public", flag(), nullable=False),
    sa.Column("body", json()),
    sa.Column("essay", long_text()),
    sa.Column("bytes", blob()),
    sa.Column("revision", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.UniqueConstraint("project_id", "name", name="test_things_name"),
)
metadata.remove(THINGS)

plain = Store(THINGS, service="toy", kind="thing", states=STATES)
shared = Store(THINGS, service="toy", kind="thing", states=STATES, shared=lambda ctx: [THINGS.c.public.is_(True)])
numbers = itertools.count(1)


@pytest.fixture
async def things(core: Core) -> Core:
    core.policy.register(SEE, CHANGE)
    core.policy.compile()
    await make_tables(core, THINGS)
    return core


def insert(tx: Any, ctx: Context, store: Store = plain, **values: Any) -> Any:
    number = next(numbers)
    row = {
        "id": f"t{number:05}",
        "project_id": ctx.project_id,
        "name": f"thing {number}",
        "state": "NEW",
        "public": False,
        "revision": 1,
    }
    return store.insert(tx, **(row | values))


def user(core: Core, project_id: str = "p1", *roles: str) -> Context:
    return caller(core, project_id, *roles, rule=SEE)


# ---- look-up is authorisation ---------------------------------------------------------------


async def test_a_row_of_another_project_is_not_found(things: Core) -> None:
    mine = await user(things).write(insert)
    assert await user(things).read(plain.get, mine.id) == mine
    with pytest.raises(errors.NotFound):
        await user(things, "p2").read(plain.get, mine.id)


async def test_an_administrator_sees_every_row(things: Core) -> None:
    mine = await user(things).write(insert)
    assert (await user(things, "p2", "admin", "member", "reader").read(plain.get, mine.id)).id == mine.id


async def test_without_a_rule_nothing_is_seen(things: Core) -> None:
    mine = await user(things).write(insert)
    with pytest.raises(errors.NotFound):
        await caller(things).read(plain.get, mine.id)
    assert await caller(things).read(plain.page) == []


async def test_without_a_project_nothing_is_seen(things: Core) -> None:
    mine = await user(things).write(insert)
    assert await user(things, "").read(plain.page) == []
    with pytest.raises(errors.NotFound):
        await user(things, "").read(plain.get, mine.id)


async def test_the_program_itself_sees_every_row(things: Core) -> None:
    mine = await user(things).write(insert)
    assert (await internal(things).read(plain.get, mine.id)).id == mine.id


async def test_a_shared_row_is_seen_by_all_but_changed_by_its_owner_only(things: Core) -> None:
    mine = await user(things).write(insert, shared, public=True)
    other = user(things, "p2")
    assert (await other.read(shared.get, mine.id)).id == mine.id
    assert [row.id for row in await other.read(shared.page)] == [mine.id]
    with pytest.raises(errors.Forbidden) as refused:
        await other.write(shared.get, mine.id, may=CHANGE)
    assert "toy:things:change" in refused.value.message
    assert (await user(things).write(shared.get, mine.id, may=CHANGE)).id == mine.id


async def test_pages_show_own_and_shared_rows_once(things: Core) -> None:
    ids = {(await user(things).write(insert, shared, public=public)).id for public in (True, False)}
    await user(things, "p2").write(insert, shared)
    assert {row.id for row in await user(things).read(shared.page)} == ids


async def test_letter_case_and_trailing_blanks_tell_rows_apart(things: Core) -> None:
    """MariaDB and SQLite differ here unless every column says how it compares."""
    for name in ("a", "A", "a ", "ä", "a\u0308"):
        await user(things).write(insert, name=name)
    for name in ("a", "A", "a ", "ä", "a\u0308"):
        rows = await user(things).read(plain.page, filters=[("name", "eq", name)])
        assert [row.name for row in rows] == [name]


async def test_ids_compare_byte_by_byte(things: Core) -> None:
    await user(things).write(insert, id="Abc")
    with pytest.raises(errors.NotFound):
        await user(things).read(plain.get, "abc")
    with pytest.raises(errors.NotFound):
        await user(things).read(plain.get, "Abc ")


# ---- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, {}, [], {"a": [1, None, "ü"]}, "text", 0, False])
async def test_json_comes_back_as_it_was_put(things: Core, value: Any) -> None:
    row = await user(things).write(insert, body=value)
    assert (await user(things).read(plain.get, row.id)).body == value


async def test_json_null_is_sql_null(things: Core) -> None:
    row = await user(things).write(insert, body=None)
    assert [r.id for r in await user(things).read(plain.page, filters=[("body", "isnull", None)])] == [row.id]


async def test_long_and_binary_values_are_kept_whole(things: Core) -> None:
    essay, raw = "€" * 100_000, bytes(range(256)) * 1000
    row = await user(things).write(insert, essay=essay, bytes=raw, rank=2**62)
    back = await user(things).read(plain.get, row.id)
    assert (back.essay, back.bytes, back.rank) == (essay, raw, 2**62)


# ---- pages ----------------------------------------------------------------------------------

COLUMNS = ("rank", "note", "name", "created_at", "state", "public")


def expected_order(rows: list[Any], sort: list[tuple[str, str]]) -> list[str]:
    """The order that `page` promises: NULL before everything ascending; the id breaks ties."""
    order = list(dict(sort).items())
    if "id" not in dict(order):
        order.append(("id", order[-1][1]))
    rows = list(rows)
    for name, direction in reversed(order):
        rows.sort(key=lambda row: sort_key(getattr(row, name)), reverse=direction == "desc")
    return [row.id for row in rows]


def sort_key(value: Any) -> Any:
    value = value.encode() if isinstance(value, str) else value
    return (value is not None, value if value is not None else 0)


async def populate(core: Core) -> list[Any]:
    ranks, notes = [None, 1, 2, None, 2, 3, 1], ["b", None, "B", "a", None, "ä", ""]

    def fill(tx: Any, ctx: Context) -> list[Any]:
        return [
            insert(
                tx,
                ctx,
                rank=rank,
                note=note,
                public=i % 2 == 0,
                state="DONE" if i % 3 else "NEW",
                name=f"n{i % 4}-{i}",
                created_at=tx.now + i // 2,
            )
            for i, (rank, note) in enumerate(zip(ranks * 3, notes * 3, strict=True))
        ]

    return await user(core).write(fill)


async def walk(ctx: Context, limit: int, **asked: Any) -> list[str]:
    seen: list[str] = []
    while True:
        page = await ctx.read(plain.page, limit=limit, marker=seen[-1] if seen else None, **asked)
        seen += [row.id for row in page]
        if len(page) < limit:
            return seen


@pytest.mark.parametrize("first", COLUMNS)
@pytest.mark.parametrize("directions", [("asc", "asc"), ("asc", "desc"), ("desc", "asc"), ("desc", "desc")])
async def test_every_sort_is_paged_without_gap_or_repetition(
    things: Core, first: str, directions: tuple[str, str]
) -> None:
    rows = await populate(things)
    for second in (name for name in COLUMNS if name != first):
        sort = [(first, directions[0]), (second, directions[1])]
        assert await walk(user(things), 4, sort=sort) == expected_order(rows, sort), sort


async def test_one_row_a_page_reaches_the_end(things: Core) -> None:
    rows = await populate(things)
    sort = [("note", "desc")]
    assert await walk(user(things), 1, sort=sort) == expected_order(rows, sort)


async def test_an_unknown_marker_is_the_callers_mistake(things: Core) -> None:
    with pytest.raises(errors.Invalid, match="marker nowhere"):
        await user(things).read(plain.page, marker="nowhere")


async def test_a_foreign_row_is_no_marker(things: Core) -> None:
    """Its place among the caller's rows would tell when, and under which name, it was made."""
    foreign = await user(things, "p2").write(insert)
    with pytest.raises(errors.Invalid):
        await user(things).read(plain.page, marker=foreign.id)


async def test_an_empty_page_asks_for_nothing(things: Core) -> None:
    await populate(things)
    assert await user(things).read(plain.page, limit=0) == []


FILTERS: list[tuple[Any, Any]] = [
    (("rank", "eq", 2), lambda row: row.rank == 2),
    (("rank", "ne", 2), lambda row: row.rank is not None and row.rank != 2),
    (("rank", "lt", 2), lambda row: row.rank is not None and row.rank < 2),
    (("rank", "le", 2), lambda row: row.rank is not None and row.rank <= 2),
    (("rank", "gt", 1), lambda row: row.rank is not None and row.rank > 1),
    (("rank", "ge", 3), lambda row: row.rank is not None and row.rank >= 3),
    (("rank", "in", [1, 3]), lambda row: row.rank in (1, 3)),
    (("rank", "in", []), lambda row: False),
    (("rank", "notin", [1, 3]), lambda row: row.rank is not None and row.rank not in (1, 3)),
    (("rank", "notin", []), lambda row: True),
    (("rank", "isnull", None), lambda row: row.rank is None),
    (("rank", "notnull", None), lambda row: row.rank is not None),
    (("name", "like", "n1-%"), lambda row: row.name.startswith("n1-")),
    (("name", "like", like_escape("n_")), lambda row: False),
    (("note", "like", "B%"), lambda row: (row.note or "").startswith("B")),
    (("public", "eq", True), lambda row: row.public),
]


@pytest.mark.parametrize(
    ("asked", "fits"), FILTERS, ids=lambda value: str(value)[:30] if isinstance(value, tuple) else ""
)
async def test_filters_mean_the_same_everywhere(things: Core, asked: Any, fits: Any) -> None:
    rows = await populate(things)
    found = await user(things).read(plain.page, filters=[asked])
    assert {row.id for row in found} == {row.id for row in rows if fits(row)}
    assert await user(things, "p2").read(plain.page, filters=[asked]) == []


async def test_pages_cost_a_constant_number_of_queries(things: Core) -> None:
    def counted(tx: Any, ctx: Context, limit: int) -> int:
        plain.page(tx, ctx, limit=limit)
        return int(tx.queries)

    await populate(things)
    assert await user(things).read(counted, 1) == await user(things).read(counted, 1000) == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(value=st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20))
def test_like_escape_matches_only_itself(value: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as conn:
        pattern = like_escape(value)
        found = conn.execute(sa.select(sa.literal(value).like(pattern, escape="\\"))).scalar()
        assert found
        if value:
            other = "x" + value
            assert not conn.execute(sa.select(sa.literal(other).like(pattern, escape="\\"))).scalar()


# ---- writing --------------------------------------------------------------------------------


async def test_an_update_counts_the_revision_and_says_when(things: Core) -> None:
    row = await user(things).write(insert)

    def rename(tx: Any, ctx: Context) -> Any:
        return plain.update(tx, plain.get(tx, ctx, row.id), name="other")

    changed = await user(things).write(rename)
    assert (changed.name, changed.revision) == ("other", 2)
    assert changed.updated_at > row.updated_at
    assert await user(things).read(plain.get, row.id) == changed


async def test_two_updates_at_once_both_count(things: Core) -> None:
    row = await user(things).write(insert, rank=0)

    def add(tx: Any, ctx: Context) -> None:
        seen = plain.get(tx, ctx, row.id)
        plain.update(tx, seen, rank=seen.rank + 1)

    await asyncio.gather(*[user(things).write(add) for _ in range(20)])
    seen = await user(things).read(plain.get, row.id)
    assert (seen.rank, seen.revision) == (20, 21)


async def test_of_many_moves_one_wins(things: Core) -> None:
    row = await user(things).write(insert)

    def finish(tx: Any, ctx: Context) -> Any:
        return plain.move(tx, plain.get(tx, ctx, row.id, lock=False), "NEW", "DONE")

    results = await asyncio.gather(*[user(things).write(finish) for _ in range(10)], return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, errors.Conflict) for result in results if isinstance(result, Exception))


async def test_a_move_to_the_same_state_with_the_same_values_is_no_conflict(things: Core) -> None:
    """MariaDB counts changed rows unless its client asks for found ones."""
    row = await user(things).write(insert, state="DONE")

    def stay(tx: Any, ctx: Context) -> Any:
        seen = plain.get(tx, ctx, row.id)
        return plain.move(tx, seen, "DONE", "DONE", updated_at=seen.updated_at, revision=seen.revision)

    assert (await user(things).write(stay)).state == "DONE"


async def test_a_move_that_is_not_in_the_state_table_is_a_programming_error(things: Core) -> None:
    row = await user(things).write(insert, state="DONE")
    with pytest.raises(ValueError, match="no move"):
        await user(things).write(lambda tx, ctx: plain.move(tx, plain.get(tx, ctx, row.id), "DONE", "NEW"))


async def test_a_conflict_names_the_state(things: Core) -> None:
    row = await user(things).write(insert, state="DONE")
    with pytest.raises(errors.Conflict, match="in state DONE; this needs NEW") as refused:
        await user(things).write(lambda tx, ctx: plain.move(tx, plain.get(tx, ctx, row.id), "NEW", "GONE"))
    assert refused.value.extra == {"state": "DONE", "needs": ["NEW"]}


async def test_an_unknown_column_is_a_programming_error(things: Core) -> None:
    with pytest.raises(TypeError, match="colour"):
        await user(things).write(insert, colour="red")


async def test_a_deleted_row_is_gone(things: Core) -> None:
    row = await user(things).write(insert)
    await user(things).write(lambda tx, ctx: plain.delete(tx, plain.get(tx, ctx, row.id)))
    with pytest.raises(errors.NotFound):
        await user(things).read(plain.get, row.id)


async def test_a_dry_run_leaves_no_trace(things: Core) -> None:
    await user(things).write(insert)
    before = await rows_of(things, THINGS)
    rehearsal = caller(things, rule=SEE, dry_run=True)

    def everything(tx: Any, ctx: Context) -> str:
        row = insert(tx, ctx)
        plain.update(tx, row, name="renamed")
        tx.after_commit(lambda: pytest.fail("a rehearsal rang a bell"))
        return str(row.id)

    assert await rehearsal.write(everything)
    assert await rows_of(things, THINGS) == before


async def test_statements_of_pages_that_users_make_up_are_not_kept_for_ever(things: Core) -> None:
    store = Store(THINGS, service="toy", kind="thing")
    ctx = internal(things)
    for n in range(1, 60):
        await ctx.read(lambda tx, c, n=n: store.page(tx, c, filters=[("name", "in", ["x"] * n)]))
    assert len(store._pages) < 30
    store._pages |= dict.fromkeys(range(600))
    await ctx.read(lambda tx, c: store.page(tx, c, filters=[("name", "eq", "x")]))
    assert len(store._pages) == 1
