# SPDX-License-Identifier: Apache-2.0
"""Transactions: roll-back, savepoints, retries, rehearsals, and SQLite's commits for several at once.

Queries are test_store.py's, connections that break test_lost.py's. What is true of all databases runs on each of the
run's.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core import errors, metrics
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.columns import metadata
from skyhold.core.db.engine import is_conflict
from skyhold.core.db.sqlite import SqliteDatabase
from skyhold.core.db.tx import LookAgain
from tests.kit.databases import caller, core_on, core_tables, make_tables, rows_of
from tests.kit.patience import PATIENCE_S, until
from tests.unit.core.counters import COUNTERS, TALLIES, add, names, put, value


@pytest.fixture
async def counters(core: Core) -> Core:
    await make_tables(core, COUNTERS)
    return core


def put_and_fail(tx: Any, ctx: Context, name: str) -> None:
    put(tx, ctx, name)
    raise errors.Conflict("no")


# ---- on every database ----------------------------------------------------------------------


async def test_an_error_rolls_everything_back(counters: Core) -> None:
    ctx = internal(counters)
    with pytest.raises(errors.Conflict):
        await ctx.write(put_and_fail, "a")
    assert await ctx.read(names) == set()


async def test_a_long_read_sees_what_was_committed_and_may_fail_like_any(counters: Core) -> None:
    ctx = internal(counters)

    def stop(tx: Any, ctx: Context) -> None:
        raise errors.Conflict("no")

    for name in ("a", "b"):
        await ctx.write(put, name)
        assert name in await ctx.read_long(names)
        with pytest.raises(errors.Conflict):
            await ctx.read_long(stop)


async def test_an_expected_duplicate_leaves_the_transaction_usable(counters: Core) -> None:
    ctx = internal(counters)

    def twice(tx: Any, ctx: Context) -> str:
        put(tx, ctx, "a")
        with pytest.raises(sa.exc.IntegrityError), tx.nested():
            put(tx, ctx, "a")
        with tx.nested():
            put(tx, ctx, "b")
        return "went on"

    assert await ctx.write(twice) == "went on"
    assert await ctx.read(names) == {"a", "b"}


async def test_what_is_there_already_is_not_added_and_the_transaction_goes_on(counters: Core) -> None:
    ctx = internal(counters)

    def twice(tx: Any, ctx: Context) -> list[bool]:
        return [tx.add(COUNTERS, {"name": name, "n": 0}) for name in ("a", "a", "b")]

    assert await ctx.write(twice) == [True, False, True]
    assert await ctx.read(names) == {"a", "b"}


async def test_what_another_adds_at_the_same_time_is_added_once(counters: Core) -> None:
    ctx = internal(counters)

    def one(tx: Any, ctx: Context) -> bool:
        return bool(tx.add(COUNTERS, {"name": "a", "n": 0}))

    assert sum(await asyncio.gather(*[ctx.write(one) for _ in range(8)])) == 1


async def test_what_refers_to_nothing_is_not_added_and_the_transaction_goes_on(counters: Core) -> None:
    await make_tables(counters, TALLIES)
    ctx = internal(counters)

    def refer(tx: Any, ctx: Context) -> list[bool]:
        put(tx, ctx, "a")
        return [tx.add(TALLIES, {"id": f"of {counter}", "counter": counter}) for counter in ("a", "gone", "a")]

    assert await ctx.write(refer) == [True, False, False]
    assert await ctx.read(names) == {"a"}


async def test_what_a_first_try_counted_on_is_looked_at_on_the_second(counters: Core) -> None:
    ctx, tries = internal(counters), []

    def hope(tx: Any, ctx: Context) -> str:
        tries.append(tx.careful)
        put(tx, ctx, "a")
        tx.after_commit(lambda: tries.append("rung"))
        if not tx.careful:
            raise LookAgain
        return "done"

    assert await ctx.write(hope) == "done"
    assert tries == ([True, "rung"] if counters.db.name == "sqlite" else [False, True, "rung"])
    assert await ctx.read(names) == {"a"}


def taken(tx: Any, ctx: Context, tries: list[bool], then: str) -> str:
    """`a` is there already, and what follows upon that is `then`."""
    tries.append(tx.careful)
    put(tx, ctx, "c")
    try:
        with tx.nested():
            put(tx, ctx, "b")
            put(tx, ctx, "a")
    except sa.exc.IntegrityError:
        if then == "refuse":
            raise errors.Conflict("a is taken.") from None
        if then == "go on":
            put(tx, ctx, "d")
    return "done"


async def test_a_refusal_that_is_certain_on_the_first_try_needs_no_second(counters: Core) -> None:
    ctx, tries = internal(counters), list[bool]()
    await ctx.write(put, "a")
    with pytest.raises(errors.Conflict, match="a is taken"):
        await ctx.write(taken, tries, "refuse")
    assert tries == [counters.db.name == "sqlite"]
    assert await ctx.read(names) == {"a"}


@pytest.mark.parametrize(("then", "left"), [("go on", {"a", "c", "d"}), ("end", {"a", "c"})])
async def test_what_failed_on_a_first_try_is_never_committed(counters: Core, then: str, left: set[str]) -> None:
    ctx, tries = internal(counters), list[bool]()
    await ctx.write(put, "a")
    assert await ctx.write(taken, tries, then) == "done"
    assert tries == ([True] if counters.db.name == "sqlite" else [False, True])
    assert await ctx.read(names) == left


async def test_a_rehearsal_does_not_answer_from_what_failed_on_a_first_try(counters: Core) -> None:
    ctx, tries = internal(counters), list[bool]()
    await ctx.write(put, "a")
    ctx.dry_run = True
    assert await ctx.write(taken, tries, "end") == "done"
    assert tries[-1] is True
    assert await ctx.read(names) == {"a"}


async def test_a_deadlock_in_a_savepoint_is_a_deadlock(counters: Core) -> None:
    """It ends the transaction and all of its savepoints; both of the two that met are done in the end."""
    ctx = internal(counters)
    for name in ("a", "b"):
        await ctx.write(put, name)

    def both(tx: Any, ctx: Context, names: list[str]) -> None:
        if not tx.careful:
            raise LookAgain
        with tx.nested():
            for name in names:
                add(tx, ctx, name)
                if tx.dialect == "postgresql":
                    tx.execute(sa.text("SELECT pg_sleep(0.2)"))
                elif tx.dialect == "mariadb":
                    tx.execute(sa.text("SELECT sleep(0.2)"))

    before = metrics.COMMIT_RETRIES._value.get()
    await asyncio.gather(ctx.write(both, ["a", "b"]), ctx.write(both, ["b", "a"]))
    assert (await ctx.read(value, "a"), await ctx.read(value, "b")) == (2, 2)
    # Two tries that were not careful, and the one that was chosen as the deadlock's victim.
    assert metrics.COMMIT_RETRIES._value.get() - before >= (0 if counters.db.name == "sqlite" else 3)


async def test_one_statement_by_itself_says_how_many_rows_it_matched(counters: Core) -> None:
    ctx = internal(counters)
    for name in ("a", "b"):
        await ctx.write(put, name)
    assert await ctx.change(COUNTERS.update().values(n=7)) == 2
    named = COUNTERS.update().where(COUNTERS.c.name == sa.bindparam("which")).values(n=8)
    assert await ctx.change(named, {"which": "c"}) == 0
    assert await ctx.read(value, "a") == 7


async def test_savepoints_nest(counters: Core) -> None:
    ctx = internal(counters)

    def deep(tx: Any, ctx: Context) -> None:
        with tx.nested():
            put(tx, ctx, "a")
            with pytest.raises(sa.exc.IntegrityError), tx.nested():
                put(tx, ctx, "lost")
                put(tx, ctx, "a")

    await ctx.write(deep)
    assert await ctx.read(names) == {"a"}


async def test_bells_ring_after_the_commit_and_never_without(counters: Core) -> None:
    ctx, rung = internal(counters), []

    def ring(tx: Any, ctx: Context, name: str, fail: bool = False) -> None:
        tx.after_commit(lambda: rung.append(name))
        assert rung == []
        if fail:
            raise errors.Conflict("no")

    with pytest.raises(errors.Conflict):
        await ctx.write(ring, "undone", True)
    await ctx.write(ring, "done")
    assert rung == ["done"]


async def test_a_bell_that_fails_does_not_undo_the_answer(counters: Core) -> None:
    ctx, rung = internal(counters), []

    def ring(tx: Any, ctx: Context) -> str:
        tx.after_commit(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        tx.after_commit(lambda: rung.append(1))
        return put(tx, ctx, "a")

    assert await ctx.write(ring) == "a"
    assert rung == [1]


async def test_many_increments_at_once_are_all_counted(counters: Core) -> None:
    ctx = internal(counters)
    await ctx.write(put, "a")
    await asyncio.gather(*[ctx.write(add, "a") for _ in range(100)])
    assert await ctx.read(value, "a") == 100


async def test_an_update_that_changes_nothing_still_matched_its_row(counters: Core) -> None:
    ctx = internal(counters)
    await ctx.write(put, "a", 5)
    assert await ctx.write(add, "a", 0) == 1
    assert await ctx.write(add, "nobody", 0) == 0


async def test_deadlocks_are_run_again_unseen(counters: Core) -> None:
    """Two transactions that lock two rows in opposite order; SQLite has one writer and knows none."""
    ctx = internal(counters)
    for name in ("a", "b"):
        await ctx.write(put, name)

    def both(tx: Any, ctx: Context, first: str, second: str) -> None:
        add(tx, ctx, first)
        tx.scalar(sa.text("SELECT pg_sleep(0.01)" if tx.dialect == "postgresql" else "SELECT 1"))
        add(tx, ctx, second)

    pairs = [("a", "b"), ("b", "a")] * 4
    await asyncio.gather(*[ctx.write(both, *pair) for pair in pairs])
    assert await ctx.read(value, "a") == await ctx.read(value, "b") == 8


@pytest.mark.parametrize("code", ["40001", "40P01", 1213, 1205])
def test_only_known_conflicts_are_run_again(code: Any) -> None:
    class Original(Exception):
        sqlstate = code if isinstance(code, str) else None

    assert is_conflict(sa.exc.DBAPIError("", {}, Original(code, "x")))
    assert not is_conflict(sa.exc.DBAPIError("", {}, Exception(1062, "duplicate")))


async def test_a_rehearsal_answers_and_leaves_the_database_as_it_was(counters: Core) -> None:
    await internal(counters).write(put, "a")
    before = await rows_of(counters, *core_tables(), COUNTERS)
    rehearsal, rung = caller(counters, dry_run=True), []

    def much(tx: Any, ctx: Context) -> str:
        put(tx, ctx, "b")
        with tx.nested():
            put(tx, ctx, "c")
        add(tx, ctx, "a")
        tx.after_commit(lambda: rung.append(1))
        return "would work"

    assert await rehearsal.write(much) == "would work"
    with pytest.raises(errors.Conflict):
        await rehearsal.write(put_and_fail, "d")
    assert await rows_of(counters, *core_tables(), COUNTERS) == before
    assert rung == []


async def test_a_context_acting_for_another_still_only_rehearses(counters: Core) -> None:
    ctx = caller(counters, dry_run=True)
    await ctx.derive(ctx.creds).write(put, "a")
    assert await internal(counters).read(names) == set()


async def test_an_errors_text_holds_no_values(counters: Core) -> None:
    """Values of a failed statement may be secrets, and the text goes into the log."""
    await internal(counters).write(put, "hunter2")
    with pytest.raises(sa.exc.IntegrityError) as refused:
        await internal(counters).write(put, "hunter2")
    assert "[parameters" not in str(refused.value) or "hunter2" not in str(refused.value).partition("[param")[2]


# ---- SQLite's threads ----------------------------------------------------------------------


async def test_a_long_read_keeps_nobody_waiting(single: Core) -> None:
    ctx, gate, begun = internal(single), threading.Event(), threading.Event()

    def slow(tx: Any, ctx: Context) -> int:
        begun.set()
        assert gate.wait(PATIENCE_S)
        return int(tx.scalar(sa.select(1)))

    reading = asyncio.create_task(ctx.read_long(slow))
    try:
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        assert await ctx.read(lambda tx, ctx: tx.scalar(sa.select(2))) == 2
    finally:
        gate.set()
    assert await reading == 1


async def test_a_long_read_can_not_write_and_raises_what_a_future_takes(single: Core) -> None:
    ctx = internal(single)
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        await ctx.read_long(lambda tx, ctx: tx.execute(sa.text("CREATE TABLE t (x)")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await ctx.read_long(lambda tx, ctx: next(iter(())))
    assert await ctx.read_long(lambda tx, ctx: tx.scalar(sa.select(3))) == 3


# ---- SQLite's writer thread -----------------------------------------------------------------


@pytest.fixture
async def single(tmp_path: Path) -> Any:
    core = core_on("", tmp_path)
    core.db = SqliteDatabase(tmp_path / "toy.db", "OFF")
    await core.db.alter(lambda conn: metadata.create_all(conn, tables=core_tables()))
    await make_tables(core, COUNTERS)
    yield core
    await core.db.close()


async def together(core: Core, *jobs: Any) -> list[Any]:
    """Run operations in one commit: the first holds the writer until all are waiting."""
    ctx, gate, begun = internal(core), threading.Event(), threading.Event()
    held = asyncio.create_task(ctx.write(lambda tx, ctx: begun.set() or gate.wait(PATIENCE_S)))
    await until(begun.is_set)
    tasks = [asyncio.create_task(ctx.write(*job) if isinstance(job, tuple) else ctx.write(job)) for job in jobs]
    await until(lambda: core.db._jobs.qsize() == len(jobs))  # type: ignore[attr-defined]
    gate.set()
    await held
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_failure_in_a_commit_harms_no_other(single: Core) -> None:
    results = await together(single, (put, "a"), (put_and_fail, "b"), (put, "c"))
    assert [results[0], results[2]] == ["a", "c"]
    assert isinstance(results[1], errors.Conflict)
    assert await internal(single).read(names) == {"a", "c"}


async def test_waiting_writes_share_one_commit(single: Core) -> None:
    before = metrics.COMMITS._value.get()
    await together(single, *[(put, f"n{i}") for i in range(20)])
    # One of the operation that held the writer, one of the twenty.
    assert metrics.COMMITS._value.get() - before == 2


async def test_a_failing_commit_runs_each_again_alone(single: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    failures, commit = [1], single.db._commit  # type: ignore[attr-defined]

    def fail_once() -> None:
        if failures and len(waiting) > 1:
            failures.pop()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))
        commit()

    waiting: list[str] = []

    def counted(tx: Any, ctx: Context, name: str) -> str:
        waiting.append(name)
        return put(tx, ctx, name)

    monkeypatch.setattr(single.db, "_commit", fail_once)
    results = await together(single, (counted, "a"), (put_and_fail, "b"), (counted, "c"))
    assert [results[0], results[2]] == ["a", "c"]
    assert waiting == ["a", "c", "a", "c"]
    assert await internal(single).read(names) == {"a", "c"}


async def test_an_error_that_rolled_back_the_whole_batch_loses_no_other(single: Core) -> None:
    """SQLite ends the whole transaction on some errors, the savepoints of others included."""

    def ruin(tx: Any, ctx: Context) -> None:
        tx.conn.connection.driver_connection.execute("ROLLBACK")
        raise sa.exc.OperationalError("", {}, Exception("disk full"))

    results = await together(single, (put, "a"), ruin, (put, "c"))
    assert [results[0], results[2]] == ["a", "c"]
    assert isinstance(results[1], sa.exc.OperationalError)
    assert await internal(single).read(names) == {"a", "c"}


async def test_a_full_disk_is_an_error_for_those_it_hits_only(single: Core) -> None:
    db = single.db
    driver = db._writer.connection.driver_connection  # type: ignore[attr-defined]
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    driver.execute(f"PRAGMA max_page_count={pages + 2}")

    def large(tx: Any, ctx: Context) -> None:
        for i in range(500):
            put(tx, ctx, f"{i:060}")

    results = await together(single, (put, "a"), large, (put, "c"))
    assert [results[0], results[2]] == ["a", "c"]
    assert isinstance(results[1], errors.StorageFull)
    assert await internal(single).read(names) == {"a", "c"}


async def test_a_rehearsal_in_a_shared_commit_changes_nothing(single: Core) -> None:
    ctx, gate, begun = internal(single), threading.Event(), threading.Event()
    held = asyncio.create_task(ctx.write(lambda tx, ctx: begun.set() or gate.wait(PATIENCE_S)))
    await until(begun.is_set)
    tasks = [
        asyncio.create_task(ctx.write(put, "a")),
        asyncio.create_task(caller(single, dry_run=True).write(put, "b")),
        asyncio.create_task(ctx.write(put, "c")),
    ]
    await until(lambda: single.db._jobs.qsize() == 3)  # type: ignore[attr-defined]
    gate.set()
    await held
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert await ctx.read(names) == {"a", "c"}


async def test_after_a_commit_that_failed_for_good_the_next_is_made(
    single: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = single.db._writes  # type: ignore[attr-defined]

    def full() -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as broken:
        broken.setattr(single.db, "_commit", full)
        with pytest.raises(sa.exc.OperationalError):
            await internal(single).write(put, "a")
    assert not driver.in_transaction
    await internal(single).write(put, "b")
    assert await internal(single).read(names) == {"b"}


async def test_a_read_that_fails_leaves_no_snapshot_behind(single: Core) -> None:
    """The next would see nothing of what was written since."""
    with pytest.raises(ZeroDivisionError):
        await internal(single).read(lambda tx, ctx: (names(tx, ctx), 1 // 0))
    await internal(single).write(put, "a")
    assert await internal(single).read(names) == {"a"}


async def test_a_cancelled_caller_still_has_its_bells_rung(single: Core) -> None:
    ctx, rung, gate, begun = internal(single), [], threading.Event(), threading.Event()

    def slow(tx: Any, ctx: Context) -> None:
        tx.after_commit(lambda: rung.append(1))
        put(tx, ctx, "a")
        begun.set()
        gate.wait(PATIENCE_S)

    task = asyncio.create_task(ctx.write(slow))
    await until(begun.is_set)
    task.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ctx.write(add, "a") == 1
    assert rung == [1]


async def test_a_read_can_not_write(single: Core) -> None:
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        await internal(single).read(put, "a")
    assert await internal(single).read(names) == set()


async def test_closing_writes_what_was_asked_and_refuses_more(tmp_path: Path) -> None:
    core = core_on("", tmp_path)
    db = core.db = SqliteDatabase(tmp_path / "toy.db", "OFF")
    await make_tables(core, COUNTERS)
    ctx = internal(core)
    task = asyncio.create_task(ctx.write(put, "a"))
    await asyncio.sleep(0)
    await db.close()
    assert await task == "a"
    with pytest.raises(RuntimeError, match="closed"):
        await ctx.write(put, "b")
    again = core.db = SqliteDatabase(tmp_path / "toy.db", "OFF")
    assert await ctx.read(names) == {"a"}
    await again.close()


async def test_postgresql_keeps_more_statements_prepared_than_the_drivers_hundred(core: Core) -> None:
    if core.db.name != "postgresql":
        return

    def two_hundred(tx: Any, ctx: Context) -> int:
        for n in range(200):
            tx.scalar(sa.text(f"SELECT {n}"))
        return int(tx.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements")))

    assert await internal(core).write(two_hundred) >= 200


async def test_an_operation_that_raises_stop_iteration_fails_and_keeps_nobody_waiting(core: Core) -> None:
    """A future can't hold that exception; on SQLite the writes beside it in a batch have futures too."""
    def exhausted(tx: Any, ctx: Context) -> Any:
        return next(iter(()))

    ctx = internal(core)
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(
            *[ctx.write(exhausted) for _ in range(3)], *[ctx.write(lambda tx, ctx: 1) for _ in range(20)],
            return_exceptions=True,
        )
    assert all(isinstance(answer, RuntimeError) for answer in answers[:3])
    assert answers[3:] == [1] * 20


async def test_reads_that_are_cancelled_leave_every_connection_usable(core: Core) -> None:
    ctx = internal(core)
    readings = []
    for turn in range(60):
        readings.append(asyncio.create_task(ctx.read(lambda tx, ctx: [tx.scalar(sa.select(1)) for _ in range(5)])))
        await asyncio.sleep(turn * 0.0001)
        readings[-1].cancel()
    await asyncio.gather(*readings, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*[ctx.read(lambda tx, ctx: tx.scalar(sa.select(1))) for _ in range(100)])
    assert answers == [1] * 100


async def test_mariadb_is_asked_for_the_time_in_utc(core: Core) -> None:
    """By a wall's clock the last hour of summer comes twice, and `unix_timestamp` goes back by one."""
    if core.db.name != "mariadb":
        return

    def zone(tx: Any, ctx: Context) -> Any:
        return tx.first(sa.text("SELECT @@session.time_zone"))[0]

    assert await internal(core).read(zone) == "+00:00"
    await core.db.alter(lambda conn: None)
    assert await internal(core).write(zone) == "+00:00"
