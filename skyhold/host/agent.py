# SPDX-License-Identifier: Apache-2.0
"""The agent of one machine: hears verbs, has drivers do them, and says what changed unasked.

What verbs mean is in the services' drivers/base.py; the drivers themselves know nothing of the
bus. The agent keeps no state machine: it joins repeated wishes to the work already under way,
refuses wishes with an outdated fence, and finds everything again after a restart. It is connected
with every control process, for each of them runs sagas and must reach each host.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import structlog

from skyhold.core.bus import (
    ENCODE,
    FRAME_LIMIT_BYTES,
    Alive,
    Answer,
    Call,
    Hello,
    Report,
    read_frame,
    sockets,
    write_frame,
)
from skyhold.host.fences import Fences
from skyhold.host.verbs import Verb

log = structlog.get_logger("agent")

PATIENCE_S = 2.0
RECONNECT_S = 0.5
LOOK_S = 0.05
"""While no control process is to be seen: on a machine of its own the cloud starts both at once."""
KEPT_S = 300.0
ALIVE_S = 5.0
VERSION = "1"
TOKEN = ENCODE("token")
"""As the name of a field is written: most bodies have none, and need not be read to be told apart."""
NUMBERS = itertools.count(1)
"""Of wishes without a key; none is used twice while the agent lives."""
UNHEARD_BYTES = 1024 * 1024
"""A control process that leaves more than this unread is paused: what is reported meanwhile is dropped."""


@dataclass
class Work:
    """A wish under way. The very same wish joins it; a higher fence on its subject cancels it."""

    subject: str
    fence: int
    task: asyncio.Task[Any]
    done_at: float | None = None
    """When it ended without anybody waiting; the answer is kept for a while."""


@dataclass(eq=False)
class Session:
    """A connection with one control process. `missed`: it was not told everything, and has to ask anew."""

    writer: asyncio.StreamWriter
    missed: bool = False

    @property
    def unheard_bytes(self) -> int:
        return self.writer.transport.get_write_buffer_size()

    def report(self, frame: Report) -> None:
        if self.writer.is_closing():
            return
        if self.unheard_bytes > UNHEARD_BYTES:
            self.missed = True
            return
        write_frame(self.writer, frame)

    def catch_up(self) -> None:
        """Whoever reads again greets us anew, and so asks for all that it missed."""
        if self.missed and not self.unheard_bytes:
            self.writer.close()


@dataclass
class Agent:
    """`verbs` maps names to what is done; `report` says something unasked."""

    host_id: str
    name: str
    socket_path: Path
    """The first control process's; the others listen beside it."""
    verbs: dict[str, Verb]
    fences: Fences
    greet: Callable[[], Awaitable[list[tuple[str, Any]]]]
    """What to say after every connect: the inventory."""
    _sessions: set[Session] = field(default_factory=set)
    _links: dict[Path, asyncio.Task[None]] = field(default_factory=dict)
    _unreached: set[Path] = field(default_factory=set)
    _work: dict[tuple[str, ...], Work] = field(default_factory=dict)
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self) -> None:
        """Stay connected until cancelled; guests and data plane don't notice either way."""
        alive = asyncio.create_task(self._say_alive())
        try:
            while True:
                paths = sockets(self.socket_path)
                for path in paths:
                    if path not in self._links or self._links[path].done():
                        self._links[path] = asyncio.create_task(self._link(path))
                await asyncio.sleep(RECONNECT_S if paths else LOOK_S)
        finally:
            alive.cancel()
            for task in [*self._tasks, *self._links.values()]:
                task.cancel()
            await asyncio.gather(*self._links.values(), return_exceptions=True)

    def report(self, topic: str, body: Any) -> None:
        """Say something now; lost while disconnected, for the control plane asks at every hello."""
        frame = Report(topic=topic, body=msgspec.Raw(ENCODE(body)))
        for session in self._sessions:
            session.report(frame)

    async def _link(self, path: Path) -> None:
        """Stay connected with one control process as long as its socket is there."""
        while path in sockets(self.socket_path):
            await self._try(path)
            await asyncio.sleep(RECONNECT_S)

    async def _try(self, path: Path) -> None:
        try:
            await self._session(path)
        except (OSError, asyncio.IncompleteReadError) as error:
            # One that was killed leaves its socket behind: once is enough to say so.
            if path not in self._unreached:
                log.info("control plane not reached", socket=path.name, error=repr(error))
            self._unreached.add(path)
        except Exception:
            # What we say on connecting failed (an inventory): guests must not lose their agent.
            log.exception("session failed")

    async def _session(self, path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        session = Session(writer)
        try:
            write_frame(writer, Hello(host_id=self.host_id, name=self.name, version=VERSION))
            self._sessions.add(session)
            self._unreached.discard(path)
            for topic, body in await self.greet():
                session.report(Report(topic=topic, body=msgspec.Raw(ENCODE(body))))
            while True:
                frame = await read_frame(reader)
                if isinstance(frame, Call):
                    self._spawn(self._answer(frame, writer))
        finally:
            self._sessions.discard(session)
            writer.close()

    async def _say_alive(self) -> None:
        while True:
            self.report("host.alive", Alive())
            await asyncio.sleep(ALIVE_S)
            for session in list(self._sessions):
                session.catch_up()

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> None:
        structlog.contextvars.bind_contextvars(
            request_id=call.request_id, verb=call.verb, subject=call.subject
        )
        began = time.monotonic()
        verb = self.verbs.get(call.verb)
        wish = identity_of(call, verb.question if verb else None)
        try:
            answer = await self._do(call, wish)
        except Exception as error:
            log.exception("verb failed")
            answer = accident(call.id, error)
        if answer.outcome != "working":
            log.info("verb", outcome=answer.outcome, problem=answer.kind, ms=round((time.monotonic() - began) * 1e3, 1))
        if writer.is_closing():
            # What was done is told to whoever comes back with the same wish.
            return
        write_frame(writer, fitting(answer))
        if answer.outcome != "working":
            self._work.pop(wish, None)

    async def _do(self, call: Call, wish: tuple[str, ...]) -> Answer:
        verb = self.verbs.get(call.verb)
        if verb is None:
            text = f"this host has no {call.verb}"
            return Answer(id=call.id, outcome="failed", kind="UnknownVerb", text=text)
        if call.subject and not self.fences.admit(call.subject, call.fence):
            return stale(call, self.fences.highest(call.subject))
        work = self._joined(call, verb, wish)
        done, _ = await asyncio.wait([work.task], timeout=PATIENCE_S)
        if not done:
            return Answer(id=call.id, outcome="working")
        if work.task.cancelled():
            return stale(call, self.fences.highest(call.subject))
        return outcome_of(call.id, work.task, verb)

    def _joined(self, call: Call, verb: Verb, wish: tuple[str, ...]) -> Work:
        self._sweep()
        work = self._work.get(wish)
        if work is not None:
            return work
        self._cancel_older(call)
        work = Work(call.subject, call.fence, self._spawn(self._perform(call, verb)))
        self._work[wish] = work
        return work

    def _sweep(self) -> None:
        """Forget answers that nobody came back for."""
        now = time.monotonic()
        for key, work in list(self._work.items()):
            if work.task.done():
                work.done_at = work.done_at or now
                if now - work.done_at > KEPT_S:
                    del self._work[key]

    def _cancel_older(self, call: Call) -> None:
        """A newer wish about the same guest makes the older one moot (delete during a long fetch)."""
        if not call.subject:
            return
        for other in list(self._work.values()):
            if other.subject == call.subject and other.fence < call.fence and not other.task.done():
                other.task.cancel()

    async def _perform(self, call: Call, verb: Verb) -> Any:
        body: Any = msgspec.msgpack.decode(call.body, type=verb.question)
        if not verb.serial:
            return await verb.act(body)
        subject = call.subject or verb.subject_of(body)
        async with self._locks.setdefault(subject, asyncio.Lock()):
            return await verb.act(body)


def identity_of(call: Call, question: Any = None) -> tuple[str, ...]:
    """What makes two calls one wish: a step that asks twice may have changed its mind in between, but not by having
    got another token, as it has after a while and in another process. `question` is the verb's.

    A wish without a key is one of its own, and gets a number that no other ever has: were it known by anything that
    comes again, like its address in memory, it could be given the answer that somebody else had stopped waiting for.
    """
    if not call.key:
        return call.verb, str(next(NUMBERS))
    body = bytes(call.body)
    if TOKEN in body and question is not None:
        with suppress(msgspec.MsgspecError):
            body = ENCODE(without_tokens(msgspec.msgpack.decode(body, type=question)))
    return call.verb, call.key, call.subject, hashlib.sha256(body).hexdigest()


def without_tokens(told: Any) -> Any:
    """Those that the host is to fetch or send images by. A dict is a user's own, and stays as it is."""
    if isinstance(told, msgspec.Struct):
        fields = [name for name in told.__struct_fields__ if name != "token"]
        return [type(told).__name__, {name: without_tokens(getattr(told, name)) for name in fields}]
    return [without_tokens(each) for each in told] if isinstance(told, list) else told


def stale(call: Call, heard: int) -> Answer:
    return Answer(id=call.id, outcome="stale", text=f"fence {call.fence} is older than {heard}", fence=heard)


def fitting(answer: Answer) -> Answer:
    if len(answer.body) < FRAME_LIMIT_BYTES - 4096:
        return answer
    return Answer(
        id=answer.id, outcome="failed", kind="TooLarge", text=f"the answer has {len(answer.body)} bytes"
    )


def outcome_of(call_id: int, task: asyncio.Task[Any], verb: Verb) -> Answer:
    error = task.exception()
    if error is None:
        result = task.result()
        body = ENCODE(verb.answer() if result is None else result)
        return Answer(id=call_id, outcome="done", body=msgspec.Raw(body))
    if verb.expected and isinstance(error, verb.expected):
        return Answer(id=call_id, outcome="failed", kind=type(error).__name__, text=str(error))
    log.error("verb failed", exc_info=error)
    return accident(call_id, error)


def accident(call_id: int, error: BaseException) -> Answer:
    """Without the error's own words, which may name a path of this machine: tenants read why a server is in ERROR."""
    text = f"an accident on the host ({type(error).__name__}), which its log tells under this request's id"
    return Answer(id=call_id, outcome="failed", kind="Unexpected", text=text)
