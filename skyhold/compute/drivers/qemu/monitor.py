# SPDX-License-Identifier: Apache-2.0
"""A conversation with one QEMU by QMP, over a socket that we listen on before it starts.

What is said is up to the callers. The socket is kept beside the library's client because file
descriptors travel as ancillary bytes, which neither asyncio nor uvloop lets through.
"""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError, Runstate

from skyhold.compute.drivers.base import GuestFailed

OnEvent = Callable[[str, dict[str, object]], None]

# A QEMU that is killed ends the conversation in mid-word; that is news, not an error.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)


class Lost(GuestFailed):
    """The process went away or does not answer."""


class Refused(GuestFailed):
    """QEMU answered with an error; the text is QEMU's."""


class TookTooLong(GuestFailed):
    """It may still come to pass; whoever waited has stopped waiting."""


class Monitor:
    """Made by `connect`. Commands may be given by several tasks at once."""

    def __init__(self, client: QMPClient, wire: socket.socket, on_event: OnEvent) -> None:
        self._client = client
        self._wire = wire
        self._on_event = on_event
        self._listener = EventListener()
        client.register_listener(self._listener)
        self._hearing: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, path: Path, on_event: OnEvent, timeout_s: float) -> Monitor:
        """Raises Lost when nobody answers there in time."""
        wire = _dial(path)
        client = QMPClient("guest")
        monitor = cls(client, wire.dup(), on_event)
        try:
            async with asyncio.timeout(timeout_s):
                await client.connect(wire)
        except (QMPError, OSError, TimeoutError, EOFError) as error:
            await monitor.close()
            raise Lost("The guest's process does not answer.") from error
        except asyncio.CancelledError:
            await monitor.close()
            raise
        monitor._hearing = asyncio.create_task(monitor._hear())
        return monitor

    @property
    def is_lost(self) -> bool:
        return self._client.runstate != Runstate.RUNNING

    async def run(
        self, verb: str, arguments: dict[str, object] | None = None, timeout_s: float = 20.0
    ) -> object:
        """Answers QEMU's return value. Raises Refused or Lost."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.execute(verb, arguments)
        except ExecuteError as error:
            raise Refused(f"QEMU refused {verb}: {error}") from error
        except (QMPError, OSError, EOFError, TimeoutError) as error:
            raise Lost(f"The guest's process did not answer {verb}.") from error

    async def status(self) -> str:
        """QEMU's run state: running, paused, shutdown, inmigrate, io-error and so on."""
        answer = await self.run("query-status")
        return str(answer["status"])  # type: ignore[index]

    async def give_fd(self, fd: int, name: str) -> None:
        """Afterwards QEMU knows `fd` as `name`; our own copy stays ours to close."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self._wire.sendmsg([b" "], ancillary)
        await self.run("getfd", {"fdname": name})

    async def add_fd(self, fd: int, label: str) -> int:
        """Number of the set by which QEMU can open what `fd` is, as `/dev/fdset/<number>`; see `drop_fd`."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self._wire.sendmsg([b" "], ancillary)
        answer = await self.run("add-fd", {"opaque": label})
        return int(answer["fdset-id"])  # type: ignore[index]

    async def drop_fd(self, label: str) -> None:
        """Everything that came under this label, by whichever agent, is closed once nobody uses it."""
        listed = await self.run("query-fdsets")
        for each in listed if isinstance(listed, list) else []:
            if any(fd.get("opaque") == label for fd in each["fds"]):
                await self.run("remove-fd", {"fdset-id": each["fdset-id"]})

    async def close(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
        try:
            if self._client.runstate != Runstate.IDLE:
                async with asyncio.timeout(5):
                    await self._client.disconnect()
        except (QMPError, OSError, EOFError, TimeoutError):
            pass  # it had gone already
        self._wire.close()

    async def _hear(self) -> None:
        async for message in self._listener:
            self._on_event(str(message["event"]), _details(message))


async def poll(is_done: Callable[[], Awaitable[bool]], timeout_s: float, every_s: float = 0.05) -> None:
    """For what QEMU tells only when asked, or by an event that a new agent would have missed.

    Raises TookTooLong.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    while not await is_done():
        if clock() > deadline:
            raise TookTooLong(f"QEMU did not finish within {timeout_s:.0f} s.")
        await asyncio.sleep(every_s)


def listen(path: Path) -> socket.socket:
    """The socket that QEMU inherits: we can dial before QEMU answers, and notice if it never does."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as name:
        server.bind(name)
    server.listen(1)
    return server


def _dial(path: Path) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            wire.connect(name)
    except OSError as error:
        wire.close()
        raise Lost("The guest's process does not listen.") from error
    wire.setblocking(False)
    return wire


class _short:
    """A socket's name is limited to 108 bytes; through a descriptor any folder is near."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._fd = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _details(message: Message) -> dict[str, object]:
    details = message.get("data", {})
    return details if isinstance(details, dict) else {}
