# SPDX-License-Identifier: Apache-2.0
"""What a database can't do now ends in a 503 that says so, and nothing is changed; never in a 500.

What is tried again unseen is test_db.py's. The troubles are real ones, made on each of the run's databases, except for
those that only a cluster or a standby has.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.engine import ServerDatabase, open_database
from skyhold.core.db.passing import passing
from skyhold.core.loops import take_lease
from skyhold.core.tables import LEASES
from tests.kit.databases import core_on

SECOND_US = 1_000_000


def holders(tx: Any, ctx: Context) -> list[str]:
    return [row.holder for row in tx.all(sa.select(LEASES.c.holder))]


def then(*statements: str) -> Callable[[Any, Context], None]:
    """An operation that changes something and then says all this."""

    def operation(tx: Any, ctx: Context) -> None:
        take_lease(tx, ctx, "changed", "me", SECOND_US)
        for statement in statements:
            tx.execute(sa.text(statement))

    return operation


async def refused(core: Core, operation: Callable[..., Any]) -> errors.Unavailable:
    """It changed nothing, and the next one is done."""
    with pytest.raises(errors.Unavailable) as caught:
        await internal(core).write(operation)
    assert await internal(core).read(holders) == []
    assert await internal(core).write(take_lease, "next", "me", SECOND_US)
    return caught.value


CUT_SHORT = {
    "postgresql": ["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(60)"],
    "mariadb": ["SET STATEMENT max_statement_time = 0.02 FOR SELECT count(*) FROM information_schema.columns a, "
                "information_schema.columns b, information_schema.columns c"],
}
INTERRUPTED = {
    "postgresql": ["SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"],
    "mariadb": ["KILL QUERY CONNECTION_ID()"],
}
READ_ONLY = {
    "postgresql": ["SET LOCAL transaction_read_only = on", "DELETE FROM core_leases"],
    "mariadb": ["COMMIT", "DELETE FROM core_leases", "START TRANSACTION READ ONLY", "DELETE FROM core_leases"],
}


@pytest.mark.parametrize("statements", [CUT_SHORT, INTERRUPTED, READ_ONLY], ids=["long", "interrupted", "read-only"])
async def test_a_server_that_ends_a_statement_is_no_defect_of_ours(core: Core, statements: dict[str, Any]) -> None:
    if core.db.name == "sqlite":
        return
    told = await refused(core, then(*statements[core.db.name]))
    assert told.reason == "database"


async def test_a_row_that_another_keeps_locked_is_said_to_be_busy(core: Core) -> None:
    """Tried again for as long as it is worth it; the holder here never lets go."""
    impatient = {"postgresql": "SET LOCAL lock_timeout = 1", "mariadb": "SET SESSION innodb_lock_wait_timeout = 0"}
    if core.db.name == "sqlite":
        return
    ctx, held, leave = internal(core), threading.Event(), threading.Event()
    await ctx.write(take_lease, "held", "another", 1)

    def hold() -> None:
        asyncio.run(hold_on(core.settings.database_url, ctx, held, leave))

    holder = threading.Thread(target=hold)
    holder.start()
    await asyncio.to_thread(held.wait)
    with pytest.raises(errors.Unavailable) as told:
        await ctx.write(then(impatient[core.db.name], "UPDATE core_leases SET holder = 'me' WHERE name = 'held'"))
    leave.set()
    await asyncio.to_thread(holder.join)
    assert told.value.reason == "contended"
    assert await ctx.read(holders) == ["another"]


async def hold_on(url: str, ctx: Context, held: threading.Event, leave: threading.Event) -> None:
    """Another process, that goes on with its transaction often enough to keep it."""
    db = await open_database(url)

    def hold(tx: Any, ctx: Context) -> None:
        tx.execute(LEASES.update().values(until=2))
        held.set()
        while not leave.wait(0.1):
            tx.scalar(sa.select(1))
        raise errors.Conflict("undone")

    with pytest.raises(errors.Conflict):
        await db.write(ctx, hold)
    await db.close()


async def test_when_every_connection_is_taken_one_is_told_so_and_not_that_something_broke(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(core.db, ServerDatabase):
        return
    pool: Any = core.db._engine.sync_engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.05)
    taken = [await core.db._engine.connect() for _ in range(core.settings.database.pool_size)]
    for call in (internal(core).read, internal(core).write):
        with pytest.raises(errors.Unavailable) as told:
            await call(holders)
        assert told.value.reason == "database"
    for each in taken:
        await each.close()
    assert await internal(core).read(holders) == []


async def test_a_server_that_takes_no_more_connections(core: Core, tmp_path: Path) -> None:
    """As a user who may have none or one more: an administrator would be let in beyond the limit."""
    few = {
        "postgresql": ["CREATE ROLE few LOGIN CONNECTION LIMIT 0"],
        "mariadb": ["CREATE USER few WITH MAX_USER_CONNECTIONS 1", "GRANT ALL ON *.* TO few"],
    }
    if core.db.name == "sqlite":
        return
    await internal(core).write(then(*few[core.db.name]))
    url = sa.make_url(core.settings.database_url).set(username="few")
    crowded = core_on(url.render_as_string(hide_password=False), tmp_path / "crowded")
    crowded.db = await open_database(crowded.settings.database_url)
    try:
        answers = await asyncio.gather(
            *[call(holders) for call in (internal(crowded).read, internal(crowded).write) for _ in range(3)],
            return_exceptions=True,
        )
        told = [answer for answer in answers if not isinstance(answer, list)]
        assert len(told) >= 4
        assert [(type(each), getattr(each, "reason", each)) for each in told] == [
            (errors.Unavailable, "database") for _ in told
        ]
    finally:
        await crowded.db.close()
        await internal(core).write(then("DROP ROLE few" if core.db.name == "postgresql" else "DROP USER few"))


async def test_a_server_that_is_going_down(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's own error while it connects is wrapped by nobody."""
    if core.db.name != "postgresql":
        return
    import asyncpg

    async def connect(*args: Any, **kw: Any) -> Any:
        raise asyncpg.exceptions.CannotConnectNowError("the database system is shutting down")

    await core.db._engine.dispose()  # type: ignore[attr-defined]
    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(core.db._engine.dialect.dbapi.asyncpg, "connect", connect)  # type: ignore[attr-defined]
    for call in (internal(core).read, internal(core).write):
        with pytest.raises(errors.Unavailable):
            await call(holders)
    with pytest.raises(errors.Unavailable):
        await internal(core).glance(sa.select(LEASES.c.until))


async def test_a_file_that_another_process_writes_for_long(core: Core) -> None:
    """An operator's own program, for a file has one control process only."""
    if core.db.name != "sqlite":
        return
    core.db._writes.execute("PRAGMA busy_timeout = 10")  # type: ignore[attr-defined]
    other = sqlite3.connect(core.settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(
        *[internal(core).write(take_lease, f"n{n}", "me", SECOND_US) for n in range(3)], return_exceptions=True
    )
    assert [(type(each), getattr(each, "reason", "")) for each in answers] == [
        (errors.Unavailable, "contended") for _ in answers
    ]
    other.execute("ROLLBACK")
    other.close()
    assert await internal(core).read(holders) == []
    assert await internal(core).write(take_lease, "next", "me", SECOND_US)


@pytest.mark.parametrize("code", [1020, 1047, 1290, 1836, 1040, 1927, 2006, 2013, 3024, "57P03", "25P03", "53200"])
def test_what_only_others_servers_say(code: Any) -> None:
    class Original(Exception):
        sqlstate = code if isinstance(code, str) else None

    assert isinstance(passing(sa.exc.DBAPIError("", {}, Original(code, "x"))), errors.Unavailable)


@pytest.mark.parametrize("code", [1062, 1054, 1064, 1146, "23505", "42P01", "42601", "22P02", "XX000"])
def test_a_defect_stays_one(code: Any) -> None:
    """A duplicate, or something unknown or misspelt, would be the same the next time."""

    class Original(Exception):
        sqlstate = code if isinstance(code, str) else None

    assert passing(sa.exc.DBAPIError("", {}, Original(code, "x"))) is None
    assert passing(ValueError(code)) is None


def test_a_full_disk_is_told_apart_although_mariadb_gives_it_the_state_of_many_others() -> None:
    class Original(Exception):
        sqlstate = "HY000"

    for code in (1021, 1114):
        assert isinstance(passing(sa.exc.DBAPIError("", {}, Original(code, "x"))), errors.StorageFull)


def test_only_a_databases_numbers_count() -> None:
    assert passing(OSError(1205, "x")) is None


async def test_more_conditions_than_the_database_takes_are_the_askers_error(core: Core) -> None:
    """The others take as many as SQLite refuses."""
    if core.db.name != "sqlite":
        return

    def operation(tx: Any, ctx: Context) -> Any:
        clauses = [LEASES.c.holder == str(n) for n in range(1500)]
        return tx.all(sa.select(LEASES.c.holder).where(*clauses))

    with pytest.raises(errors.Invalid) as caught:
        await internal(core).read(operation)
    assert caught.value.reason == "too_complex"
