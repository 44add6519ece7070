# SPDX-License-Identifier: Apache-2.0
"""The native engine: keeps the desired objects and has one writer bring the kernel to them.

What the objects mean for the kernel is in plan.py, doing it in kernel.py, listeners in services.py.
Changes that arrive while the writer is busy become one transaction, so that a hundred ports cost
little more than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from skyhold.network.drivers.base import (
    Applied,
    Capabilities,
    ChangeSet,
    Diff,
    PortEvent,
    Snapshot,
)
from skyhold.network.drivers.native import names, probe, state
from skyhold.network.drivers.native.alarm import Alarm
from skyhold.network.drivers.native.doors import MetadataDoor
from skyhold.network.drivers.native.services import Services
from skyhold.network.drivers.native.writer import Batch, Writer

_TAP_BUSY_S = 3.0
_SAVE_AFTER_S = 0.25

log = structlog.get_logger(__name__)
T = TypeVar("T")


class NativeEngine:
    """One cloud's data plane on this machine. `metadata` serves the sockets opened for it.

    Implements NetworkEngine. `state_dir` gets one file; it may be lost without harm. Damage that others
    do to the data plane is noticed within `check_every_s`.
    """

    def __init__(
        self,
        cloud_id: str,
        state_dir: Path,
        metadata: MetadataDoor | None = None,
        *,
        check_every_s: float = 2.0,
    ) -> None:
        self.names = names.CloudNames(cloud_id)
        self._path = state_dir / f"network-{self.names.mark}.json"
        self._check_every_s = check_every_s
        self._writer = Writer(self.names)
        self._services = Services(metadata)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network-writer")
        self._queue: list[tuple[ChangeSet, asyncio.Future[Applied]]] = []
        self._bell = asyncio.Event()
        self._turn = asyncio.Lock()
        self._unsaved = asyncio.Event()
        self._alarm = Alarm()
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: set[asyncio.Queue[PortEvent]] = set()

    async def probe(self) -> Capabilities:
        return await asyncio.to_thread(probe.capabilities)

    async def start(self) -> None:
        """Create or adopt the data plane; raises EngineUnavailable with a sentence and a remedy."""
        if self._tasks:
            return
        await asyncio.to_thread(probe.capabilities)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        await self._in_thread(lambda: self._writer.adopt(state.load(self._path)))
        self._report(await self._services.reopen(self._writer.world))
        self._alarm.arm(self.names.plane)
        loops = (self._write_loop(), self._check_loop(), self._save_loop())
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        self._unsaved.set()

    async def stop(self) -> None:
        """Let go; the data plane keeps forwarding."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, waiting in self._queue:
            waiting.cancel()
        self._queue.clear()
        self._alarm.close()
        await self._services.close()
        if tasks:
            await self._save()
        await self._in_thread(self._writer.kernel.close)

    async def destroy(self) -> None:
        """Remove every object that carries this cloud's mark from the machine."""
        await self.stop()
        memory = state.load(self._path)
        await self._in_thread(lambda: self._writer.destroy(memory.forwarding_was))
        self._path.unlink(missing_ok=True)

    async def apply(self, change: ChangeSet) -> Applied:
        """Upserts and deletes as one; changes that wait at the same time are applied together."""
        self._require_started()
        waiting: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._queue.append((change, waiting))
        self._bell.set()
        return await waiting

    async def reconcile(self, desired: Snapshot, dry_run: bool = False) -> Diff:
        """Compare with the snapshot and with the kernel itself, and repair unless it's a dry run."""
        self._require_started()
        async with self._turn:
            diff, batch = await self._in_thread(lambda: self._writer.reconcile(desired, dry_run))
            if batch is not None:
                await self._settle(batch)
                await self._reopen_after(diff)
            self._unsaved.set()
        return diff

    async def open_tap(self, port_id: str) -> int:
        """A descriptor of the port's tap, which the caller owns. Raises KeyError for an unknown port and
        OSError EBUSY while another guest holds it."""
        self._require_started()
        if ("Port", port_id) not in self._writer.world.objects:
            raise KeyError(port_id)
        ends = time.monotonic() + _TAP_BUSY_S
        while True:
            try:
                async with self._turn:
                    opening = asyncio.ensure_future(self._in_thread(lambda: self._writer.open_tap(port_id)))
                    try:
                        fd = await asyncio.shield(opening)
                    except asyncio.CancelledError:
                        # The thread goes on, and what it opens is nobody's: the tap would be busy for ever.
                        opening.add_done_callback(_let_go)
                        raise
                self._tell(PortEvent(port_id=port_id, up=True))
                return fd
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > ends:
                    raise
            await asyncio.sleep(0.05)

    async def close_tap(self, port_id: str) -> None:
        """The guest let go of the tap, which stays in place for the next one."""
        if ("Port", port_id) in self._writer.world.objects:
            self._tell(PortEvent(port_id=port_id, up=False))

    async def events(self) -> AsyncIterator[PortEvent]:
        """Ports that came up or went down outside of apply: taps opened, closed, lost or repaired."""
        queue: asyncio.Queue[PortEvent] = asyncio.Queue(10_000)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    # The writer

    async def _write_loop(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            async with self._turn:
                taken, self._queue = self._queue, []
                if taken:
                    await self._write(taken)

    async def _write(self, taken: list[tuple[ChangeSet, asyncio.Future[Applied]]]) -> None:
        try:
            batch = await self._in_thread(lambda: self._writer.write([change for change, _ in taken]))
            await self._settle(batch)
        except asyncio.CancelledError:
            for _, waiting in taken:
                waiting.cancel()
            raise
        except Exception as error:
            log.exception("network.write_failed")
            for _, waiting in taken:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for (_, waiting), answer in zip(taken, batch.answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)
        self._unsaved.set()

    async def _settle(self, batch: Batch) -> None:
        """The listeners follow the kernel; only then is a change reported as done."""
        batch.add_problems(await self._services.sync(self._writer.world, batch.changed))

    async def _check_loop(self) -> None:
        while True:
            # Not wait_for: it can swallow the cancellation of a stop that comes as the alarm rings.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check_every_s):
                    await self._alarm.rang()
            try:
                async with self._turn:
                    await self._check()
            except Exception:
                log.exception("network.check_failed")

    async def _check(self) -> None:
        repair = await self._in_thread(self._writer.check)
        if repair is None:
            return
        diff = repair.diff
        log.warning("network.repaired", missing=diff.missing, extra=diff.extra, changed=diff.changed)
        for port_id in repair.lost_ports:
            self._tell(PortEvent(port_id=port_id, up=False))
            self._tell(PortEvent(port_id=port_id, up=True))
        await self._reopen_after(diff)
        self._unsaved.set()

    async def _reopen_after(self, diff: Diff) -> None:
        """Sockets stay in a namespace or on a link that was lost: open them in the new one."""
        if any(line.startswith(("namespace ", "link sv-", "link sl-")) for line in diff.missing):
            self._report(await self._services.reopen(self._writer.world))

    # Small things

    def _require_started(self) -> None:
        if not self._tasks:
            raise RuntimeError("the network engine isn't started")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _save_loop(self) -> None:
        """The memory may lag behind: one that does costs a restart some comparing, never more."""
        while True:
            await self._unsaved.wait()
            await asyncio.sleep(_SAVE_AFTER_S)
            self._unsaved.clear()
            async with self._turn:
                await self._save()

    async def _save(self) -> None:
        try:
            await self._in_thread(lambda: state.save(self._path, self._writer.memory()))
        except OSError as error:
            log.warning("network.not_saved", reason=str(error))

    def _tell(self, event: PortEvent) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    def _report(self, problems: list[str]) -> None:
        for problem in problems:
            log.warning("network.problem", problem=problem)


def _let_go(opened: asyncio.Future[int]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        os.close(opened.result())


__all__ = ["NativeEngine"]
