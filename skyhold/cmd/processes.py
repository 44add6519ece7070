# SPDX-License-Identifier: Apache-2.0
"""The cloud's processes on this machine: started detached, known by pid files, ended by pid.

What they run is serve.py and host.py. A process counts as ours by its command line too, because
pids are used again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from skyhold.core.settings.whole import Settings


def start(settings: Settings, name: str) -> int:
    """Start `skyhold <name>` in a session of its own, its output in the log; where in the log, in bytes, it begins."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    with (settings.log_dir / f"{name}.log").open("ab") as out:
        since = out.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "skyhold", name, "--home", str(settings.home)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    until_named(process)
    path = pid_file(settings, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{process.pid}\n")
    except OSError:
        # A process whose pid nobody knows could not be stopped.
        process.kill()
        process.wait()
        raise
    return since


def until_named(process: subprocess.Popen[bytes]) -> None:
    """A new process has no command line for a moment, and `running` would take it for ended."""
    command_line = Path(f"/proc/{process.pid}/cmdline")
    while process.poll() is None and not command_line.read_bytes():
        time.sleep(0.001)


def running(settings: Settings, name: str) -> int | None:
    """The pid of the named process, if it lives and is really ours."""
    try:
        pid = int(pid_file(settings, name).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = b"skyhold" in words and name.encode() in words and str(settings.home).encode() in words
    return pid if ours and not is_zombie(pid) else None


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def stop(settings: Settings, name: str, timeout_s: float = 20.0) -> bool:
    """Ask it to end, insist after `timeout_s`; whether there was one."""
    pid = running(settings, name)
    if pid is None:
        return False
    send(pid, signal.SIGTERM)
    end = time.monotonic() + timeout_s
    while running(settings, name) is not None:
        if time.monotonic() > end:
            send(pid, signal.SIGKILL)
            end = float("inf")
        time.sleep(0.02)
    pid_file(settings, name).unlink(missing_ok=True)
    return True


def send(pid: int, number: signal.Signals) -> None:
    """It may have ended by itself since we looked."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def last_words(settings: Settings, name: str, since: int = 0, lines: int = 5) -> str:
    """The log's last lines, of what was written after its first `since` bytes."""
    try:
        with (settings.log_dir / f"{name}.log").open("rb") as log:
            log.seek(since)
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def pid_file(settings: Settings, name: str) -> Path:
    return settings.run_dir / f"{name}.pid"
