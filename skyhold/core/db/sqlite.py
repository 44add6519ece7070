# SPDX-License-Identifier: Apache-2.0
"""SQLite: reads in the event loop, writes through one thread with group commit.

The interface is core/db/engine.py's Database. There is exactly one control process on a SQLite
file; a second writer would only wait for locks, so opening takes no precautions against one.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from skyhold.core import metrics
from skyhold.core.db.columns import metadata
from skyhold.core.db.engine import DryRun, Operation, dumps
from skyhold.core.db.tx import Tx

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
        self._reader = self._connect("BEGIN")
        self._writer = self._connect("BEGIN IMMEDIATE")
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    def _connect(self, begin: str) -> sa.Connection:
        engine = sa.create_engine(
            "sqlite://", creator=self._open, poolclass=NullPool,
            json_serializer=dumps, json_deserializer=orjson.loads,
        )
        sa.event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(begin))
        return engine.connect()

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=10
        )
        for pragma in (
            "journal_mode=WAL", f"synchronous={self._synchronous}", "busy_timeout=10000",
            "foreign_keys=ON", "cache_size=-16384", "mmap_size=268435456", "temp_store=MEMORY",
        ):
            conn.execute(f"PRAGMA {pragma}")
        return conn

    def data_version(self) -> int | None:
        return None

    async def read(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        with self._reader.begin() as transaction:
            try:
                return operation(Tx(self._reader, ctx, writing=False), ctx, *args, **kw)
            finally:
                transaction.rollback()

    async def write(self, ctx: Context, operation: Operation, *args: Any, **kw: Any) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(Job(ctx, operation, args, kw, future, loop))
        # A cancelled caller must not make a committed write look undone to its after-commit calls.
        return await asyncio.shield(future)

    async def create_all(self) -> None:
        with self._writer.begin():
            metadata.create_all(self._writer)

    async def close(self) -> None:
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    # ---- the writer thread ----------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            stop = False
            while len(batch) < BATCH:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                    break
                batch.append(following)
            self._deliver(self._alone(job) if len(batch) == 1 else self._together(batch))
            if stop:
                return

    def _alone(self, job: Job) -> list[Done]:
        try:
            with self._writer.begin():
                tx = Tx(self._writer, job.ctx, writing=True)
                answer = job.operation(tx, job.ctx, *job.args, **job.kw)
                if job.ctx.dry_run:
                    raise DryRun(answer)
        except DryRun as rehearsed:
            return [Done(job, rehearsed.answer, None, [])]
        except BaseException as error:
            return [Done(job, None, error, [])]
        metrics.COMMITS.inc()
        return [Done(job, answer, None, tx.take_after())]

    def _together(self, batch: list[Job]) -> list[Done]:
        try:
            with self._writer.begin():
                done = [self._in_savepoint(job) for job in batch]
        except BaseException:
            # The commit itself failed (disk full): each gets its own chance and its own error.
            return [result for job in batch for result in self._alone(job)]
        metrics.COMMITS.inc()
        return done

    def _in_savepoint(self, job: Job) -> Done:
        try:
            with self._writer.begin_nested():
                tx = Tx(self._writer, job.ctx, writing=True)
                answer = job.operation(tx, job.ctx, *job.args, **job.kw)
                if job.ctx.dry_run:
                    raise DryRun(answer)
        except DryRun as rehearsed:
            return Done(job, rehearsed.answer, None, [])
        except BaseException as error:
            return Done(job, None, error, [])
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


def resolve(results: list[Done]) -> None:
    for result in results:
        for call in result.after:
            call()
        if result.job.future.cancelled():
            continue
        if result.error is not None:
            result.job.future.set_exception(result.error)
        else:
            result.job.future.set_result(result.answer)
