# SPDX-License-Identifier: Apache-2.0
"""Opens a database and runs operations on it: `read` on a snapshot, `write` in a transaction.

What an operation may do with a transaction is core/db/tx.py. SQLite reads run in the event loop
(they take microseconds) and all writes run in one thread, several to a commit when several
wait; PostgreSQL and MariaDB run the same operations through asyncio drivers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson
import sqlalchemy as sa

from skyhold.core import errors, metrics
from skyhold.core.db import vanished
from skyhold.core.db.glance import Change, Direct, DirectFailed, Glance
from skyhold.core.db.tx import LookAgain, Proof, Tx, run_after

if TYPE_CHECKING:
    from skyhold.core.context import Context

Operation = Callable[..., Any]
T = TypeVar("T")

RETRIED = {"40001", "40P01", 1213, 1205}
"""Serialization failure and deadlock too: PostgreSQL's SQLSTATE, MariaDB's error numbers."""
AWAY = {"08003", "08006", "57P01", "57P02", "57P03", 1053, 2003}
"""The server starts or stops, or ended the session. What is told where trying again was in vain is passing.py's."""
TRIES = 12
LANE_AFTER = 2
"""Tries after which a write goes into the lane where conflicting ones run one after another."""
LOOKS_AGAIN = 3
"""Tries for an operation that broke a constraint it had not counted on: what it referred to was removed, or
what it made was made, by a transaction it could not see when it looked. Looking again, it gives the right answer."""

SCHEMA_LOCKS = {
    "postgresql": ("SELECT pg_advisory_lock(7300212)", "SELECT pg_advisory_unlock(7300212)"),
    "mariadb": ("SELECT get_lock('skyhold.schema', 600)", "SELECT release_lock('skyhold.schema')"),
}
"""Processes that start at once on an empty database must not make its tables twice."""

LIMITS = {
    "postgresql": {"idle_in_transaction_session_timeout": 2000},
    "mariadb": {"idle_transaction_timeout": 2},
}
"""After two seconds (milliseconds here, seconds there) the server rolls back a transaction that nobody goes on with: a
process that was paused in the middle of one must not keep its rows from the others. When it wakes, it does the
operation again. One that paused in the midst of a statement is not idle to PostgreSQL: core/db/stalled.py."""

IN_UTC = "time_zone = '+00:00'"
"""Of MariaDB's sessions. It tells the time by the clock on its wall (core/db/clock.py), where in summer's last
hour it would be the same time twice, and leases that are over would be held again."""

STATEMENTS = 500
"""Prepared ones that a connection to PostgreSQL keeps: more than all of ours, for each one that it forgets costs a
round trip and the planner's time again."""


def on_connect(name: str) -> dict[str, Any]:
    """The driver's arguments that set the limits."""
    if name == "postgresql":
        limits = {limit: str(value) for limit, value in LIMITS[name].items()}
        return {
            "server_settings": limits, "prepared_statement_cache_size": STATEMENTS, "timeout": vanished.CONNECT_S,
        }
    (command,) = limiting(name)
    return {"init_command": f"{command}, {IN_UTC}"}


def limiting(name: str, lifted: bool = False) -> list[str]:
    """A change of the schema may think between two statements, and take long: nobody else has anything to do."""
    return [f"SET SESSION {limit} = {0 if lifted else value}" for limit, value in LIMITS[name].items()]


class Database(Protocol):
    """Both calls run `operation(tx, ctx, *args, **kw)`."""

    name: str

    async def read(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any: ...
    async def read_long(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        """The same for what may have thousands of rows: it doesn't keep the event loop where the database would."""
        ...

    async def write(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any: ...
    async def change(self, ctx: Context, statement: sa.UpdateBase, params: Mapping[str, Any]) -> int:
        """One statement by itself, and how many rows it matched."""
        ...

    async def alter(self, change: Callable[[sa.Connection], T]) -> T:
        """Run a change of the schema, by one process at a time."""
        ...

    async def glance(self, ctx: Context, statement: sa.Select[Any]) -> Any:
        """The one value of a constant statement, as committed when it was asked for: for what every request asks."""
        ...

    async def close(self) -> None: ...


async def open_database(
    url: str, *, synchronous: str = "NORMAL", pool_size: int = 10, pool_overflow: int = 0
) -> Database:
    """`url` is SQLAlchemy's; for SQLite a plain path will do."""
    if "://" not in url or url.startswith("sqlite"):
        from skyhold.core.db.sqlite import SqliteDatabase

        return SqliteDatabase(Path(url.removeprefix("sqlite:///")), synchronous)
    return ServerDatabase(url, pool_size, pool_overflow)


class DryRun(Exception):
    """Carries the answer of a rehearsed operation out of its rolled-back transaction."""

    def __init__(self, answer: Any) -> None:
        super().__init__("dry run")
        self.answer = answer


class LostBeforeCommit(Exception):
    """The connection broke and nothing was committed: it can be done again."""


FULL = {"53100", 1021, 1114}
"""A full disk: PostgreSQL's SQLSTATE, MariaDB's error numbers."""


def full(where: str) -> errors.StorageFull:
    return errors.StorageFull(
        f"The disk of the {where} is full, so nothing can be changed now. Reading goes on; try again when the operator "
        "has made room."
    )


def unreachable() -> errors.Unavailable:
    return errors.Unavailable("The database does not answer now; try again.", reason="database")


def unsure() -> errors.OutcomeUnknown:
    return errors.OutcomeUnknown(
        "The connection to the database broke during the commit, and it can't be told whether this was done. Look at "
        "what is there before you try again."
    )


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class ServerDatabase:
    """PostgreSQL (asyncpg) or MariaDB (asyncmy), READ COMMITTED."""

    def __init__(self, url: str, pool_size: int, pool_overflow: int) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.util import greenlet_spawn

        self.name = url.split(":", 1)[0].split("+")[0]
        self._lane = asyncio.Lock()
        self._glances: dict[Any, Glance] = {}
        self._changes: dict[Any, Change] = {}
        self._spawn = greenlet_spawn
        self._engine = create_async_engine(
            url, pool_size=pool_size, max_overflow=pool_overflow, pool_use_lifo=True, isolation_level="READ COMMITTED",
            json_serializer=dumps, json_deserializer=orjson.loads, hide_parameters=True,
            connect_args=on_connect(self.name),
        )

        if self.name == "postgresql":
            sa.event.listen(self._engine.sync_engine, "connect", vanished.notice)

        # Under READ COMMITTED each statement sees what is committed then, inside a transaction or not: on PostgreSQL,
        # where it costs nothing to ask for none, reads save the two round trips of one. MariaDB would be told twice.
        self._reader = (
            self._engine.execution_options(isolation_level="AUTOCOMMIT") if self.name == "postgresql" else self._engine
        )

    async def read(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        # All of it in one greenlet: opening, asking and closing by themselves cost a third more.
        def run() -> Any:
            with self._reader.sync_engine.connect() as conn:
                return operation(Tx(conn, ctx, writing=False), ctx, *args, **kw)

        for attempt in range(TRIES):
            try:
                return await self._spawn(run)
            except sa.exc.DBAPIError as error:
                # One lost connection empties the whole pool: the next try has a new one.
                if not is_lost(error) or attempt == TRIES - 1:
                    raise
            except OSError:
                raise unreachable() from None
            await asyncio.sleep(pause_s(attempt))
        raise AssertionError("unreachable")

    async def write(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        return await self._until_done(partial(self._write_once, ctx, operation, args, kw))

    async def change(self, ctx: Context, statement: sa.UpdateBase, params: Mapping[str, Any]) -> int:
        if self.name != "postgresql":
            matched: int = await self.write(ctx, only_matched, statement, params)
            return matched
        if not params:
            found = self._changes.get(statement)
            if found is None:
                found = self._changes[statement] = Change(Direct(self._engine, statement))
            metrics.QUERIES.inc()
            try:
                matched = await found.make()
            except DirectFailed:
                # The ordinary way knows how to try again.
                pass
            else:
                metrics.COMMITS.inc()
                return matched
        # Whatever it met, nothing was read before that could be wrong by now: it is said again as it is.
        return await self._until_done(partial(self._change_once, ctx, statement, params), looks=TRIES)

    async def _until_done(self, work: Callable[[bool], Awaitable[T]], looks: int = LOOKS_AGAIN) -> T:
        """`work` is told whether it is to be careful: no longer the first try (core/db/tx.py)."""
        for attempt in range(TRIES):
            try:
                if attempt < LANE_AFTER:
                    return await work(attempt > 0)
                async with self._lane:
                    return await work(True)
            except sa.exc.DBAPIError as error:
                if code_of(error) in FULL:
                    raise full("database") from error
                overtaken = isinstance(error, sa.exc.IntegrityError) and attempt < looks - 1
                if attempt == TRIES - 1 or not (overtaken or is_conflict(error)):
                    raise
                metrics.COMMIT_RETRIES.inc()
            except LookAgain:
                # At once, and never a second time: from now on it is careful.
                metrics.COMMIT_RETRIES.inc()
                continue
            except LostBeforeCommit as lost:
                if attempt == TRIES - 1:
                    raise unreachable() from lost
            except OSError:
                raise unreachable() from None
            await asyncio.sleep(pause_s(attempt))
        raise AssertionError("unreachable")

    async def _write_once(self, ctx: Context, operation: Operation, args: Any, kw: Any, careful: bool) -> Any:
        done: tuple[Tx, Any] | None = None

        # In one greenlet, as a read; and nothing of this process comes between the operation and its commit.
        def run() -> None:
            nonlocal done
            with self._engine.sync_engine.begin() as conn:
                tx = Tx(conn, ctx, writing=True, careful=careful)
                answer = operation(tx, ctx, *args, **kw)
                tx.refuse_spoilt()
                if ctx.dry_run:
                    raise DryRun(answer)
                tx.look_alive()
                done = tx, answer

        try:
            await self._spawn(run)
        except DryRun as rehearsed:
            return rehearsed.answer
        except (sa.exc.DBAPIError, OSError) as error:
            # Before the commit an OSError says that nobody listens: no reason to try again.
            broke = is_lost(error) if isinstance(error, sa.exc.DBAPIError) else done is not None
            if not broke:
                raise
            if done is None or not await self._was_committed(done[0].proof):
                raise LostBeforeCommit from error
        assert done is not None
        tx, answer = done
        metrics.COMMITS.inc()
        run_after(tx.take_after())
        return answer

    async def _change_once(
        self, ctx: Context, statement: sa.UpdateBase, params: Mapping[str, Any], careful: bool
    ) -> int:
        def run() -> int:
            with self._reader.sync_engine.connect() as conn:
                return Tx(conn, ctx, writing=True).changed(statement, params)

        try:
            matched: int = await self._spawn(run)
        except sa.exc.DBAPIError as error:
            if is_lost(error):
                raise LostBeforeCommit from error
            raise
        metrics.COMMITS.inc()
        return matched

    async def _was_committed(self, proof: Proof | None) -> bool:
        """After a connection that broke during COMMIT, which the server may have heard or not."""
        if proof is None:
            raise unsure()
        for attempt in range(TRIES):
            try:
                async with self._engine.connect() as conn:
                    # Waits for the lost transaction, should the server still be at it.
                    await conn.execute(*proof)
                    return False
            except sa.exc.IntegrityError:
                return True
            except sa.exc.DBAPIError as error:
                if not (is_lost(error) or is_conflict(error)):
                    raise
            except (OSError, sa.exc.TimeoutError):
                pass
            await asyncio.sleep(pause_s(attempt))
        raise unsure()

    async def alter(self, change: Callable[[sa.Connection], T]) -> T:
        lock, unlock = SCHEMA_LOCKS[self.name]
        async with self._engine.connect() as conn:
            for command in [*limiting(self.name, lifted=True), lock]:
                await conn.execute(sa.text(command))
            await conn.commit()
            try:
                answer = await conn.run_sync(change)
                await conn.commit()
            finally:
                await conn.rollback()
                for command in [unlock, *limiting(self.name)]:
                    await conn.execute(sa.text(command))
                await conn.commit()
        return answer

    async def read_long(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        return await self.read(ctx, operation, *args, **kw)

    async def glance(self, ctx: Context, statement: sa.Select[Any]) -> Any:
        if self.name == "postgresql":
            found = self._glances.get(statement)
            if found is None:
                found = self._glances[statement] = Glance(Direct(self._engine, statement))
            metrics.QUERIES.inc()
            try:
                return await found.look()
            except DirectFailed:
                # The ordinary way knows how to try again, and what to say when it is in vain.
                pass
        return await self.read(ctx, only_value, statement)

    async def close(self) -> None:
        direct: list[Glance | Change] = [*self._glances.values(), *self._changes.values()]
        for each in direct:
            each.drop()
        await self._engine.dispose()


def only_matched(tx: Tx, ctx: Context, statement: sa.UpdateBase, params: Mapping[str, Any]) -> int:
    return tx.changed(statement, params)


def only_value(tx: Tx, ctx: Context, statement: sa.Select[Any]) -> Any:
    return tx.scalar(statement)


def pause_s(attempt: int) -> float:
    """Longer each time, and not the same for all who met."""
    return random.uniform(0.2, 1) * 0.005 * float(2 ** min(attempt, 6))  # noqa: S311


def is_lost(error: sa.exc.DBAPIError) -> bool:
    """The connection, not the statement, is at fault."""
    return error.connection_invalidated or code_of(error) in AWAY


def is_conflict(error: sa.exc.DBAPIError) -> bool:
    return code_of(error) in RETRIED


def code_of(error: sa.exc.DBAPIError) -> str | int | None:
    """MariaDB's error number or PostgreSQL's SQLSTATE; None for what has neither. MariaDB has an SQLSTATE too, the same
    for very different errors."""
    original: Any = error.orig
    if original is not None and original.args and isinstance(original.args[0], int):
        return original.args[0]
    return getattr(original, "sqlstate", None)
