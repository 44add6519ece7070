# SPDX-License-Identifier: Apache-2.0
"""Doorbells and verbs between the control plane and host agents, over a unix socket a control process.

What verbs there are is declared by services (drivers/base.py); who answers them is the agent
(skyhold.host), which is connected with every control process of the cloud. Delivery is at least once:
every verb is idempotent, carries the saga's fence and key, and may answer `Working`. Frames are a
4-byte length and msgpack, in memory as on the wire.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from skyhold.core import metrics

log = structlog.get_logger("bus")

FRAME_LIMIT_BYTES = 64 * 1024 * 1024
CALL_TIMEOUT_S = 60.0
HELLO_TIMEOUT_S = 10.0


class Call(msgspec.Struct, tag="call", kw_only=True):
    """A wish for one host. `fence` orders the wishes about one subject: lower ones are refused; without
    a subject there is no fence."""

    id: int
    verb: str
    subject: str
    fence: int
    key: str
    request_id: str
    body: msgspec.Raw


class Answer(msgspec.Struct, tag="answer", kw_only=True):
    id: int
    outcome: str
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    kind: str = ""
    text: str = ""
    progress: float | None = None
    fence: int = 0


class Hello(msgspec.Struct, tag="hello", kw_only=True):
    """The first frame of an agent."""

    host_id: str
    name: str
    version: str


class Report(msgspec.Struct, tag="report", kw_only=True):
    """Something a host says unasked: `host.inventory`, `guest.changed`, `port.changed`."""

    topic: str
    body: msgspec.Raw


class Alive(msgspec.Struct, frozen=True):
    """Reported as `host.alive` every few seconds: a connection alone would not show a stopped process."""


Frame = Call | Answer | Hello | Report
ENCODE = msgspec.msgpack.Encoder().encode
DECODE = msgspec.msgpack.Decoder(Frame).decode


class Working(msgspec.Struct, frozen=True):
    """The host is at it: ask again. `progress` from 0 to 1 when known."""

    progress: float | None = None


class Failed(msgspec.Struct, frozen=True):
    """The host can't. `kind` is the driver's exception (NoRoom, GuestFailed, …)."""

    kind: str
    text: str


class HostUnreachable(Exception):
    """No agent of that host is connected, or it went away while answering."""


class StaleFence(Exception):
    """A newer wish about the same subject was heard: whoever sent this one must stop. `heard` is its
    fence where the host said so."""

    def __init__(self, message: str, heard: int = 0) -> None:
        super().__init__(message)
        self.heard = heard


Hears = Callable[[str, Any], Awaitable[None]]


def sockets(first: Path) -> list[Path]:
    """Where the cloud's control processes listen now, or did before they were killed."""
    return sorted(first.parent.glob(f"{first.stem}*{first.suffix}"))


def socket_of(first: Path, number: int) -> Path:
    """Where control process `number`, from 1, listens."""
    return first if number == 1 else first.with_name(f"{first.stem}-{number}{first.suffix}")


class Link:
    """One connected agent, as the control plane sees it."""

    def __init__(self, hello: Hello, writer: asyncio.StreamWriter) -> None:
        self.hello = hello
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self.reports: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self.silent = asyncio.Event()
        """Set when the last report was heard."""

    async def call(self, call: Call) -> Answer:
        if self._writer.transport.get_write_buffer_size() > FRAME_LIMIT_BYTES:
            raise HostUnreachable(f"host {self.hello.name} leaves what it is told unread")
        call.id = next(self._ids)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[call.id] = future
        try:
            write_frame(self._writer, call)
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await future
        except (ConnectionError, TimeoutError) as error:
            raise HostUnreachable(f"host {self.hello.name} did not answer {call.verb}: {error!r}") from None
        finally:
            self._waiting.pop(call.id, None)

    def answered(self, answer: Answer) -> None:
        future = self._waiting.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)

    def lost(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(HostUnreachable(f"host {self.hello.name} went away"))
        self._writer.close()


class Bus:
    """The control plane's end. `verbs` maps a name to the structs of question and answer."""

    def __init__(self, socket_path: Path, verbs: dict[str, tuple[type, type]]) -> None:
        self._path = socket_path
        self._verbs = verbs
        self._links: dict[str, Link] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._topics: dict[str, tuple[type, list[Hears]]] = {}
        self._stopping = False

    def on_report(self, topic: str, kind: type, hears: Hears) -> None:
        """Call `hears(host_id, body)` for each report of that topic, in the order sent by the host."""
        self._topics.setdefault(topic, (kind, []))[1].append(hears)

    def connected(self, host_id: str) -> bool:
        return host_id in self._links

    def hosts(self) -> list[Hello]:
        return [link.hello for link in self._links.values()]

    async def start(self) -> None:
        self._stopping = False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, self._path, limit=FRAME_LIMIT_BYTES)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        # The hosts stay: it is this process that goes, and others of the cloud may still reach them.
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for link in list(self._links.values()):
            link.lost()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def call(
        self, host_id: str, verb: str, body: Any, *, subject: str = "", fence: int = 0, key: str = "",
        request_id: str = "",
    ) -> Any:
        """The answer's struct, `Working` or `Failed`; raises HostUnreachable or StaleFence."""
        if verb not in self._verbs:
            raise ValueError(f"no service declares the verb {verb}")
        link = self._links.get(host_id)
        if link is None:
            raise HostUnreachable(f"host {host_id} is not connected")
        call = Call(
            id=0, verb=verb, subject=subject, fence=fence, key=key, request_id=request_id,
            body=msgspec.Raw(ENCODE(body)),
        )
        answer = await link.call(call)
        metrics.VERBS.labels(verb, answer.outcome).inc()
        match answer.outcome:
            case "done":
                return msgspec.msgpack.decode(answer.body, type=self._verbs[verb][1])
            case "working":
                return Working(answer.progress)
            case "stale":
                raise StaleFence(f"{verb} about {subject}: {answer.text}", answer.fence)
            case _:
                return Failed(answer.kind, answer.text)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                hello = await read_frame(reader)
            if isinstance(hello, Hello):
                await self._serve(Link(hello, writer), reader)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        except asyncio.CancelledError:
            # Only `stop` cancels; asyncio's streams report a cancelled task as an accident.
            pass
        finally:
            writer.close()

    async def _serve(self, link: Link, reader: asyncio.StreamReader) -> None:
        """Answers are given to their callers at once; reports are heard one after another beside that,
        for hearing one may itself ask the host something."""
        host_id = link.hello.host_id
        former = self._links.get(host_id)
        self._links[host_id] = link
        metrics.HOSTS_UP.set(len(self._links))
        if former is not None:
            former.lost()
            await former.silent.wait()
        link.reports.put_nowait(("host.hello", link.hello))
        hearing = asyncio.create_task(self._hear(link))
        try:
            while True:
                frame = await read_frame(reader)
                if isinstance(frame, Answer):
                    link.answered(frame)
                elif isinstance(frame, Report):
                    self._received(link, frame)
        finally:
            self._gone(link)
            # A report that asks the host something must not wait for an answer that can't come any more.
            await hearing

    def _gone(self, link: Link) -> None:
        link.lost()
        if self._links.get(link.hello.host_id) is link:
            del self._links[link.hello.host_id]
            metrics.HOSTS_UP.set(len(self._links))
            if not self._stopping:
                link.reports.put_nowait(("host.gone", link.hello))
        link.reports.put_nowait(None)

    def _received(self, link: Link, report: Report) -> None:
        known = self._topics.get(report.topic)
        if known is None:
            return
        try:
            body: Any = msgspec.msgpack.decode(report.body, type=known[0])
        except msgspec.ValidationError as error:
            log.error("report not understood", topic=report.topic, host=link.hello.host_id, error=str(error))
            return
        link.reports.put_nowait((report.topic, body))

    async def _hear(self, link: Link) -> None:
        try:
            while (report := await link.reports.get()) is not None:
                await self._report(link.hello.host_id, *report)
        finally:
            link.silent.set()

    async def _report(self, host_id: str, topic: str, body: Any) -> None:
        for hears in self._topics.get(topic, (type, []))[1]:
            try:
                await hears(host_id, body)
            except Exception:
                # A report that can't be stored is repeated by the host's next full one; the link must live.
                log.exception("report failed", topic=topic, host=host_id)


def write_frame(writer: asyncio.StreamWriter, frame: Frame) -> None:
    """Raises ValueError for a frame that the other end would refuse."""
    payload = ENCODE(frame)
    if len(payload) > FRAME_LIMIT_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes; the bus takes {FRAME_LIMIT_BYTES}")
    writer.write(struct.pack(">I", len(payload)) + payload)


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Raises ConnectionError for what is no frame: the link can only be made anew."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > FRAME_LIMIT_BYTES:
        raise ConnectionError(f"frame of {length} bytes")
    try:
        frame: Frame = DECODE(await reader.readexactly(length))
    except msgspec.MsgspecError as error:
        raise ConnectionError(f"not a frame: {error}") from None
    return frame
