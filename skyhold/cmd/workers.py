# SPDX-License-Identifier: Apache-2.0
"""Several control processes that share the API's port, and whoever starts them anew when one ends.

What each of them is, serve.py says. The parent opens the sockets, so that a process that is killed or
paused loses no connection but its own; when the parent ends, however that may be, they end too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import structlog

from skyhold.core.settings.whole import Settings

log = structlog.get_logger("serve")

PAUSE_S = 1.0
"""Before a process that ended is started anew: one that can't live must not take all of the machine."""
LOOK_S = 0.1
YOUNG_S = 60.0
END_S = 17.0
"""For one that was told to end: longer than it gives its requests, shorter than whoever ends us gives us (20 s). What
was left behind, paused or hung, would hold the port and the lock of its number against the next of them."""


def run(settings: Settings, sockets: Sequence[socket.socket]) -> None:
    """Until SIGTERM or SIGINT, which they are told too; then until the last of them has ended. One that can't even
    start, and has said why, ends all of it."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    life, ours = os.pipe()
    workers = [Worker(settings, number, sockets, life) for number in range(1, settings.http.processes + 1)]
    try:
        while not told:
            for worker in workers:
                worker.keep_alive()
            time.sleep(LOOK_S)
    finally:
        for worker in workers:
            worker.tell_to_end()
        end = time.monotonic() + END_S
        for worker in workers:
            worker.wait(end - time.monotonic())
        os.close(ours)


class Worker:
    """One control process after another, under the same number."""

    def __init__(self, settings: Settings, number: int, sockets: Sequence[socket.socket], life: int) -> None:
        self._start: Callable[[], subprocess.Popen[bytes]] = lambda: start(settings, number, sockets, life)
        self._number = number
        self._process: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self._ended: float | None = None

    def keep_alive(self) -> None:
        """Start it when it isn't there. Ends the program when the very first has failed early."""
        now = time.monotonic()
        if self._process is not None and (status := self._process.poll()) is not None:
            if status > 0 and self._ended is None and now - self._began < YOUNG_S:
                sys.exit(status)
            log.warning("a control process ended; it is started anew", number=self._number, status=status)
            self._process, self._ended = None, now
        if self._process is None and (self._ended is None or now - self._ended >= PAUSE_S):
            self._process = self._start()

    def tell_to_end(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> None:
        """Until it has ended; one that doesn't in time is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            log.warning("a control process did not end in time; it is killed", number=self._number)
            self._process.kill()
            self._process.wait()


def start(settings: Settings, number: int, sockets: Sequence[socket.socket], life: int) -> subprocess.Popen[bytes]:
    """Control process `number`; the pipe `life` ends when its parent does."""
    fds = [each.fileno() for each in sockets]
    words = [
        sys.executable, "-m", "skyhold", "serve", "--home", str(settings.home),
        "--worker", str(number), "--life", str(life), *(word for fd in fds for word in ("--socket", str(fd))),
    ]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=[*fds, life])
