# SPDX-License-Identifier: Apache-2.0
"""A host of the cloud in the test's own process: a real link on the bus, a fake engine behind it.

The real agent is skyhold/host. It keeps every ChangeSet and Snapshot it was sent, for stories that
ask what is not sent.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from skyhold.core import bus
from skyhold.core.app import Core
from skyhold.network.drivers import base
from skyhold.network.drivers.fake import FakeEngine
from tests.kit.patience import PATIENCE_S


class FakeHost:
    def __init__(self, core: Core, host_id: str | None = None) -> None:
        self.core = core
        self.id = host_id or str(uuid.uuid4())
        self.engine = FakeEngine()
        self.changes: list[base.ChangeSet] = []
        self.snapshots: list[base.Snapshot] = []
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self.core.settings.bus_socket)
        bus.write_frame(self._writer, bus.Hello(host_id=self.id, name="host-" + self.id[:4], version="test"))
        self._task = asyncio.create_task(self._answer_all(reader))
        seen = len(self.snapshots)
        await until(lambda: len(self.snapshots) > seen, "the host to be told everything")

    async def leave(self) -> None:
        assert self._task is not None
        self._task.cancel()
        self._writer.close()
        await asyncio.gather(self._task, return_exceptions=True)
        await until(lambda: not self.core.bus.connected(self.id), "the bus to see the host go")

    async def report(self, topic: str, body: Any) -> None:
        bus.write_frame(self._writer, bus.Report(topic=topic, body=msgspec.Raw(bus.ENCODE(body))))
        await self._writer.drain()

    def held(self, kind: str) -> dict[str, Any]:
        return {id: each for (its, id), each in self.engine.objects.items() if its == kind}

    async def _answer_all(self, reader: asyncio.StreamReader) -> None:
        while True:
            call = await bus.read_frame(reader)
            assert isinstance(call, bus.Call)
            bus.write_frame(self._writer, await self._answer(call))

    async def _answer(self, call: bus.Call) -> bus.Answer:
        kind = base.VERBS[call.verb][0]
        body = msgspec.msgpack.decode(call.body, type=kind)
        try:
            done = await self._obey(call.verb, body)
        except OSError as error:
            return bus.Answer(id=call.id, outcome="failed", kind="OSError", text=str(error))
        return bus.Answer(id=call.id, outcome="done", body=msgspec.Raw(bus.ENCODE(done)))

    async def _obey(self, verb: str, body: Any) -> Any:
        if verb == "net.reconcile":
            diff = await self.engine.reconcile(body.snapshot, body.dry_run)
            self.snapshots.append(body.snapshot)
            return diff
        applied = await self.engine.apply(body)
        self.changes.append(body)
        return applied


async def until(true: Callable[[], Any], what: str) -> Any:
    """What the function says once it says something true."""
    end = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < end, f"waited {PATIENCE_S:g} s for {what}"
        await asyncio.sleep(0.005)
    return found
