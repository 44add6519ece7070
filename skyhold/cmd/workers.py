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
from collections.abc import Sequence

import structlog

from skyhold.core.settings.whole import Settings

log = structlog.get_logger("serve")

PAUSE_S = 1.0
"""Before a process that ended is started anew: one that can't live must not take all of the machine."""
LOOK_S = 0.1
YOUNG_S = 60.0


def run(settings: Settings, sockets: Sequence[socket.socket]) -> None:
    """Until SIGTERM or SIGINT, which they are told too; then until the last of them has ended. One that can't even
    start, and has said why, ends all of it."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    life, ours = os.pipe()
    living: dict[int, subprocess.Popen[bytes]] = {}
    ended: dict[int, float] = {}
    began = time.monotonic()
    try:
        while not told:
            for number in range(1, settings.http.processes + 1):
                if number in living and living[number].poll() is not None:
                    status = living.pop(number).returncode
                    if status > 0 and number not in ended and time.monotonic() - began < YOUNG_S:
                        sys.exit(status)
                    log.warning("a control process ended; it is started anew", number=number, status=status)
                    ended[number] = time.monotonic()
                if number not in living and time.monotonic() - ended.get(number, -PAUSE_S) >= PAUSE_S:
                    living[number] = start(settings, number, sockets, life)
            time.sleep(LOOK_S)
    finally:
        for process in living.values():
            process.send_signal(signal.SIGTERM)
        for process in living.values():
            process.wait()
        os.close(ours)


def start(settings: Settings, number: int, sockets: Sequence[socket.socket], life: int) -> subprocess.Popen[bytes]:
    """Control process `number`; the pipe `life` ends when its parent does."""
    fds = [each.fileno() for each in sockets]
    words = [
        sys.executable, "-m", "skyhold", "serve", "--home", str(settings.home),
        "--worker", str(number), "--life", str(life), *(word for fd in fds for word in ("--socket", str(fd))),
    ]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=[*fds, life])
