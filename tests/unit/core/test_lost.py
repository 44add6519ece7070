# SPDX-License-Identifier: Apache-2.0
"""A connection to a database server breaks, or a process stands still until the server gives it up: nobody gets an
error, and nothing is done twice.

SQLite has neither. Sessions that stop in the midst of a statement are test_stalled.py's.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from skyhold.core import errors, journal
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.engine import open_database
from skyhold.core.tables import JOURNAL
from tests.kit.databases import Servers, make_tables
from tests.kit.patience import PATIENCE_S
from tests.unit.core.counters import COUNTERS, add, names, put, value

pytestmark = pytest.mark.database


@pytest.fixture(params=["postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, servers: Servers) -> str:
    return servers.fresh(request.param)


@pytest.fixture
async def counters(core: Core) -> Core:
    await make_tables(core, COUNTERS)
    return core


async def test_a_paused_process_keeps_no_row_from_the_others_and_goes_on_when_it_wakes(counters: Core) -> None:
    ctx, tries = internal(counters), []
    await ctx.write(put, "a")

    def pause(tx: Any, ctx: Context) -> None:
        add(tx, ctx, "a")
        tries.append(1)
        if len(tries) == 1:
            # Nothing of this process goes on meanwhile, as after SIGSTOP.
            other.start()
            other.join(PATIENCE_S)
            assert not other.is_alive(), "it was kept waiting"
        add(tx, ctx, "a")

    def elsewhere() -> None:
        async def add_too() -> None:
            db = await open_database(counters.settings.database_url)
            await db.write(ctx, add, "a", 10)
            await db.close()

        asyncio.run(add_too())

    other = threading.Thread(target=elsewhere)
    await ctx.write(pause)
    assert await ctx.read(value, "a") == 12
    assert len(tries) >= 2, "the first was ended by the server"


async def test_a_lost_connection_costs_nobody_an_error(counters: Core) -> None:
    """A database that restarts has closed every pooled connection."""
    ctx = internal(counters)
    await ctx.write(put, "a")
    kill = {
        "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()",
        "mariadb": "KILL USER root",  # its own connection too
    }[counters.db.name]
    await asyncio.gather(*[ctx.read(names) for _ in range(4)])

    once = [kill]

    def terminate(tx: Any, ctx: Context) -> None:
        if once:
            tx.execute(sa.text(once.pop()))

    await ctx.read(terminate)
    results = await asyncio.gather(*[ctx.write(add, "a") for _ in range(4)], *[ctx.read(names) for _ in range(4)])
    assert results[:4] == [1] * 4
    assert await ctx.read(value, "a") == 4


# ---- a connection that breaks during COMMIT --------------------------------------------------


class Frame:
    """As much of a resource as the journal wants to know."""

    def __init__(self, id: str) -> None:
        self.id, self.project_id, self.store = id, "", self

    service, kind, key = "test", "frame", "id"

    def public(self, row: Any) -> dict[str, Any]:
        return {"id": self.id}


def put_on_record(tx: Any, ctx: Context, name: str) -> str:
    put(tx, ctx, name)
    journal.record(tx, "test.put", Frame(name))
    return name


def recorded(tx: Any, ctx: Context, name: str) -> int:
    return int(tx.scalar(sa.select(sa.func.count()).where(JOURNAL.c.resource_id == name)))


def asked(conn: Any, statement: str) -> Any:
    cursor = conn.cursor()
    cursor.execute(statement)
    return cursor.fetchone()[0]


def ended(url: str, conn: Any) -> None:
    """By the server, as another session asks it to; nothing else of this process goes on meanwhile."""
    postgresql = url.startswith("postgresql")
    number = asked(conn, "SELECT pg_backend_pid()" if postgresql else "SELECT connection_id()")
    end = f"SELECT pg_terminate_backend({number})" if postgresql else f"KILL {number}"

    async def elsewhere() -> None:
        engine = create_async_engine(url)
        async with engine.connect() as other:
            await other.execute(sa.text(end))
        await engine.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    thread.join()


@pytest.fixture
def breaking(counters: Core, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Breaks the connection at the next COMMIT, before the server hears of it or after it has done it."""
    dialect = counters.db._engine.dialect  # type: ignore[attr-defined]
    commit = dialect.do_commit

    def at_next_commit(*, heard: bool) -> None:
        def broken(conn: Any) -> None:
            monkeypatch.setattr(dialect, "do_commit", commit)
            if heard:
                commit(conn)
            ended(counters.settings.database_url, conn)
            asked(conn, "SELECT 1")

        monkeypatch.setattr(dialect, "do_commit", broken)

    return at_next_commit


@pytest.mark.parametrize("heard", [False, True])
async def test_what_became_of_a_broken_commit_is_found_out(counters: Core, breaking: Any, heard: bool) -> None:
    ctx = internal(counters)
    breaking(heard=heard)
    assert await ctx.write(put_on_record, "a") == "a"
    assert await ctx.read(names) == {"a"}
    assert await ctx.read(recorded, "a") == 1


async def test_a_record_that_was_rolled_back_proves_nothing(counters: Core, breaking: Any) -> None:
    ctx = internal(counters)

    def put_twice(tx: Any, ctx: Context) -> None:
        put_on_record(tx, ctx, "a")
        with pytest.raises(errors.Conflict), tx.nested():
            journal.record(tx, "test.put", Frame("b"))
            raise errors.Conflict("no")

    breaking(heard=True)
    await ctx.write(put_twice)
    assert await ctx.read(recorded, "a") == 1


async def test_without_a_record_nobody_claims_to_know(counters: Core, breaking: Any) -> None:
    breaking(heard=True)
    with pytest.raises(errors.OutcomeUnknown):
        await internal(counters).write(put, "a")


async def test_a_process_that_stood_still_before_its_commit_does_it_again(counters: Core) -> None:
    """The server has ended its transaction meanwhile."""
    ctx, tries = internal(counters), []
    await ctx.write(put, "a")

    def slow(tx: Any, ctx: Context) -> None:
        add(tx, ctx, "a")
        tries.append(1)
        if len(tries) == 1:
            time.sleep(2.6)

    await ctx.write(slow)
    assert await ctx.read(value, "a") == 1 and len(tries) == 2


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mariadb+asyncmy"])
async def test_a_server_that_is_not_there_is_a_refusal(core: Core, driver: str) -> None:
    db = await open_database(f"{driver}://skyhold@127.0.0.1:9/cloud")
    core.db, before = db, core.db
    for use in (internal(core).read, internal(core).write):
        with pytest.raises(errors.Unavailable) as refused:
            await use(names)
        assert refused.value.reason == "database"
    core.db = before
    await db.close()


async def test_writes_that_are_cancelled_leave_every_connection_usable(counters: Core) -> None:
    ctx = internal(counters)
    await ctx.write(put, "a")
    tasks = []
    for turn in range(60):
        tasks.append(asyncio.create_task(ctx.write(add, "a")))
        await asyncio.sleep(turn * 0.0002)
        tasks[-1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    before = await ctx.read(value, "a")
    assert before >= sum(answer == 1 for answer in done)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*[ctx.write(add, "a") for _ in range(100)])
    assert await ctx.read(value, "a") == before + 100


async def test_a_row_that_another_gives_back_is_waited_for(counters: Core) -> None:
    """MariaDB gives up after a while what PostgreSQL waits for: that is no error either, the wait begins anew."""
    ctx = internal(counters)
    await ctx.write(put, "a")
    tries: list[int] = []

    def impatient(tx: Any, ctx: Context) -> int:
        tries.append(1)
        if tx.dialect == "mariadb":
            tx.execute(sa.text("SET SESSION innodb_lock_wait_timeout = 1"))
        return add(tx, ctx, "a")

    engine = create_async_engine(counters.settings.database_url)
    async with engine.begin() as other:
        await other.execute(COUNTERS.update().values(n=10))
        waiting = asyncio.create_task(ctx.write(impatient))
        while len(tries) < (2 if counters.db.name == "mariadb" else 1):
            await asyncio.sleep(0.05)
    assert await waiting == 1
    assert await ctx.read(value, "a") == 11
    await engine.dispose()
