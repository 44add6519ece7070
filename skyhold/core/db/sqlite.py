# SPDX-License-Identifier: Apache-2.0
"""SQLite: reads in the event loop, long ones in a thread, writes through one thread with group commit.

The interface is core/db/engine.py's Database. There is exactly one control process on a SQLite
file; a second writer would only wait for locks, so opening takes no precautions against one.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from skyhold.core import metrics
from skyhold.core.db.engine import DryRun, Operation, T, dumps, full, only_matched, only_value
from skyhold.core.db.tx import Tx, run_after

if TYPE_CHECKING:
    from skyhold.core.context import Context

BATCH = 64


class Job(NamedTuple):
    ctx: Context
    operation: Operation
    args: tuple[Any, ...]
    kw: dict[str, Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Done(NamedTuple):
    job: Job
    answer: Any
    error: BaseException | None
    after: list[Callable[[], None]]


class SqliteDatabase:
    name = "sqlite"

    def __init__(self, path: Path, synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous
        # The writer first: it makes the file, which a connection that may only query can't.
        self._writer, self._reader = self._connect(), self._connect()
        self._writes, self._reads = driver_of(self._writer), driver_of(self._reader)
        self._reads.execute("PRAGMA query_only=ON")
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")
        self._long_reader: sa.Connection | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sa.Connection:
        """In one transaction of SQLAlchemy's that never ends: those of the database are opened and ended in the
        driver itself. Going through SQLAlchemy for that took as long as a small read."""
        engine = sa.create_engine(
            "sqlite://", creator=self._open, poolclass=NullPool, hide_parameters=True,
            json_serializer=dumps, json_deserializer=orjson.loads,
        )
        conn = engine.connect()
        conn.begin()
        return conn

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction of the writer: committed at its end, rolled back by whatever is raised."""
        run(self._writes, "BEGIN IMMEDIATE")
        try:
            yield
            self._commit()
        except BaseException:
            # A COMMIT that failed leaves its transaction open, and the next couldn't begin.
            self._writer.rollback()
            self._writer.begin()
            raise

    def _commit(self) -> None:
        run(self._writes, "COMMIT")

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=10
        )
        for pragma in (
            "journal_mode=WAL", f"synchronous={self._synchronous}", "busy_timeout=10000",
            "foreign_keys=ON", "cache_size=-16384", "mmap_size=268435456", "temp_store=MEMORY",
            # The other databases compare text byte by byte in LIKE too.
            "case_sensitive_like=ON",
        ):
            conn.execute(f"PRAGMA {pragma}")
        return conn

    async def read(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        run(self._reads, "BEGIN")
        try:
            return operation(Tx(self._reader, ctx, writing=False), ctx, *args, **kw)
        finally:
            self._reads.rollback()

    async def read_long(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        """One at a time, in a thread and on a connection of its own: nobody else waits for thousands of rows."""
        work = partial(self._read_aside, ctx, operation, *args, **kw)
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    def _read_aside(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        if self._long_reader is None:
            self._long_reader = self._connect()
            driver_of(self._long_reader).execute("PRAGMA query_only=ON")
        driver = driver_of(self._long_reader)
        run(driver, "BEGIN")
        try:
            return operation(Tx(self._long_reader, ctx, writing=False), ctx, *args, **kw)
        except StopIteration as stop:
            # A future refuses it, and whoever waits would wait for ever.
            raise RuntimeError("the operation raised StopIteration") from stop
        finally:
            driver.rollback()

    async def glance(self, ctx: Context, statement: sa.Select[Any]) -> Any:
        return await self.read(ctx, only_value, statement)

    async def write(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        if self._closed:
            raise RuntimeError("the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(Job(ctx, operation, args, kw, future, loop))
        # A cancelled caller must not make a committed write look undone to its after-commit calls.
        return await asyncio.shield(future)

    async def change(self, ctx: Context, statement: sa.UpdateBase, params: Mapping[str, Any]) -> int:
        matched: int = await self.write(ctx, only_matched, statement, params)
        return matched

    async def alter(self, change: Callable[[sa.Connection], T]) -> T:
        """Before the first write and in the caller's thread: nobody else uses the connection yet."""
        with self._writing():
            return change(self._writer)

    async def close(self) -> None:
        """What was already asked for is still written."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._aside.shutdown)
        if self._long_reader is not None:
            self._long_reader.close()
        self._reader.close()
        self._writer.close()

    # ---- the writer thread ----------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch, stop = self._batch(job)
            self._deliver(self._alone(job) if len(batch) == 1 else self._together(batch))
            if stop:
                return

    def _batch(self, first: Job) -> tuple[list[Job], bool]:
        """What waits by now, and whether it ends with the wish to stop."""
        batch = [first]
        while len(batch) < BATCH:
            try:
                following = self._jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _alone(self, job: Job) -> list[Done]:
        try:
            with self._writing():
                done = self._run(job)
        except BaseException as error:
            return [failed(job, error)]
        metrics.COMMITS.inc()
        return [done]

    def _together(self, batch: list[Job]) -> list[Done]:
        try:
            with self._writing():
                done = [self._in_savepoint(job) for job in batch]
        except BaseException:
            # The transaction itself failed (a full disk): each gets its own chance and its own error.
            return [result for job in batch for result in self._alone(job)]
        metrics.COMMITS.inc()
        return done

    def _in_savepoint(self, job: Job) -> Done:
        try:
            with self._writer.begin_nested():
                return self._run(job)
        except BaseException as error:
            # After some errors SQLite has rolled back everything, the batch's other operations too.
            if not self._writes.in_transaction:
                raise
            return failed(job, error)

    def _run(self, job: Job) -> Done:
        tx = Tx(self._writer, job.ctx, writing=True)
        answer = job.operation(tx, job.ctx, *job.args, **job.kw)
        if job.ctx.dry_run:
            raise DryRun(answer)
        return Done(job, answer, None, tx.take_after())

    def _deliver(self, done: list[Done]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
        for result in done:
            by_loop.setdefault(result.job.loop, []).append(result)
        for loop, results in by_loop.items():
            try:
                loop.call_soon_threadsafe(resolve, results)
            except RuntimeError:
                # The loop closed while its write was under way: nobody waits for the answer.
                continue


def driver_of(conn: sa.Connection) -> sqlite3.Connection:
    found: Any = conn.connection.driver_connection
    return cast(sqlite3.Connection, found)


def run(driver: sqlite3.Connection, statement: str) -> None:
    """Raises what SQLAlchemy would."""
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        raise sa.exc.DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True) from error


def failed(job: Job, error: BaseException) -> Done:
    if isinstance(error, DryRun):
        return Done(job, error.answer, None, [])
    if is_full(error):
        told = full("database")
        told.__cause__ = error
        error = told
    return Done(job, None, error, [])


def is_full(error: BaseException) -> bool:
    """SQLite says so itself, or can't make its shared memory or journal any longer."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    return getattr(original, "sqlite_errorname", "") in (
        "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE",
    )


def resolve(results: list[Done]) -> None:
    for result in results:
        run_after(result.after)
        if result.job.future.cancelled():
            continue
        if isinstance(result.error, StopIteration):
            # A future refuses it, and whoever waits for this one and for all behind it would wait for ever.
            result.job.future.set_exception(RuntimeError("the operation raised StopIteration"))
        elif result.error is not None:
            result.job.future.set_exception(result.error)
        else:
            result.job.future.set_result(result.answer)
