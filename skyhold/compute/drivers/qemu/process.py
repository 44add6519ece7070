# SPDX-License-Identifier: Apache-2.0
"""Starts QEMU so that it outlives the agent, finds it again, and sees it end.

The arguments come from command.py and the talking is monitor.py. A process is found again by its working
directory and nothing is written down about it, so a number used twice or a file that was never written misleads
nobody.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class GuestProcess:
    """One living QEMU. `ended` is set, and `on_end` called once, when it is no more."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None, on_end: Callable[[], None]) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self._child = child
        self._on_end = on_end
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._see_end)

    def kill(self) -> None:
        if not self.ended.is_set():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    @property
    def exit_status(self) -> int | None:
        """Negative for a signal; None when it isn't our child or has not ended."""
        return self._child.returncode if self._child is not None else None

    async def wait(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    def let_go(self) -> None:
        """Stop watching; the process goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        _forget(self._child)

    def _see_end(self) -> None:
        if self._child is not None:
            self._child.wait()
        self.let_go()
        self.ended.set()
        self._on_end()


def spawn(argv: Sequence[str], cwd: Path, log: Path, fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that no signal meant for the agent reaches it."""
    # A core file would hold the guest's memory.
    command = ["setpriv", "--no-new-privs", "--", "prlimit", "--core=0", "--", *argv]
    with log.open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=fds,
            start_new_session=True,
            env=_ENVIRONMENT,
        )


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def find_all(guests: Path) -> dict[str, list[int]]:
    """Working directory (inside `guests`) to the numbers of the QEMU processes that run there."""
    found: dict[str, list[int]] = {}
    inside = f"{guests.resolve()}/"
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            cwd = os.readlink(f"/proc/{entry}/cwd")
            # Between fork and exec, and while prlimit runs, the arguments already tell.
            ours = cwd.startswith(inside) and b"qemu-system" in Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if ours and lives(int(entry)):
            found.setdefault(cwd, []).append(int(entry))
    return found


def kill_all_in(run: Path) -> None:
    """Also those that nobody watches: a second one can only be the mark of an accident."""
    for pid in find_all(run.parent).get(str(run.resolve()), []):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# Popen objects of processes that we no longer watch: dropping one would make the interpreter
# warn, and its own clean-up would wait for a process in our stead.
_kept: list[subprocess.Popen[bytes]] = []


def _forget(child: subprocess.Popen[bytes] | None) -> None:
    _kept[:] = [c for c in _kept if c.poll() is None]
    if child is not None and child.poll() is None:
        _kept.append(child)
