# SPDX-License-Identifier: Apache-2.0
"""A throw-away cloud: started by the `skyhold` command itself, removed without a trace.

Requests to it are wire.py's. It lives in a temporary directory with a home of its own, so that
nothing of the user's is read or written; its processes are known by their pid files.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire import Wire

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Database:
    """Where a cloud keeps its rows: SQLite in its own directory, or a server of which `pid` is the first process."""

    name: str = "sqlite"
    url: str = ""
    pid: int | None = None

    def cpu_s(self) -> float:
        """What the server's processes took so far, those that have ended too: 0 for SQLite, which has none."""
        return 0.0 if self.pid is None else cpu_s_of([self.pid, *children(self.pid)])


SQLITE = Database()


class Cloud:
    """`fake` and `real` make one; it is started when entered and destroyed when left."""

    def __init__(self, *start: str, database: Database = SQLITE) -> None:
        self._start = start
        self.directory = Path(tempfile.mkdtemp(prefix="skyhold-bench-"))
        self.port = free_port()
        self._env = {**os.environ, "HOME": str(self.directory / "user")}
        self._env.pop("SKYHOLD_HOME", None)
        self.database = database
        self.database_url = database.url or f"sqlite:///{self.home / 'skyhold.db'}"
        if database.url:
            self._env["SKYHOLD_DATABASE_URL"] = database.url
        self._token = ""

    @classmethod
    def fake(cls, image: Path | None = None, database: Database = SQLITE) -> Cloud:
        return cls("--fake", "--no-demo", database=database)

    @classmethod
    def real(cls, image: Path, database: Database = SQLITE) -> Cloud:
        return cls("--no-demo", "--image", str(image), database=database)

    @property
    def home(self) -> Path:
        return self.directory / "cloud"

    def __enter__(self) -> Cloud:
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *why: object) -> None:
        self.skyhold("down", "--destroy", check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def up(self) -> None:
        self.skyhold("up", *self._start, "--port", str(self.port))

    def down(self) -> None:
        self.skyhold("down")

    def skyhold(self, *words: str, check: bool = True) -> str:
        """What the command prints."""
        # -P: what is measured is PYTHONPATH's program, not one that happens to lie in the current directory.
        command = [sys.executable, "-P", "-m", "skyhold", *words, "--home", str(self.home)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        if check and done.returncode:
            sys.exit(f"`skyhold {' '.join(words)}` failed:\n{done.stderr}")
        return done.stdout

    # ---- asking ----------------------------------------------------------------------------

    def wire(self) -> Wire:
        """A new connection as administrator of the project `admin`."""
        self._token = self._token or self.sign_in(Wire(self.port))
        return Wire(self.port, self._token)

    def sign_in(self, wire: Wire) -> str:
        answer = wire.ask("POST", "/identity/v3/auth/tokens", self.sign_in_body())
        return answer.headers["X-Subject-Token"]

    def sign_in_body(self) -> dict[str, Any]:
        default = {"id": "default"}
        password = (self.home / "admin-password").read_text().strip()
        user = {"name": "admin", "domain": default, "password": password}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": "admin", "domain": default}},
            }
        }

    # ---- looking at its processes ----------------------------------------------------------

    def pids(self) -> list[int]:
        """Control plane and host agent, and whatever they have started."""
        found = [int(file.read_text()) for file in (self.home / "run").glob("*.pid")]
        return [*found, *(child for pid in found for child in children(pid))]

    def cpu_s(self) -> float:
        """User and system time of all threads, with that of children that have ended, and of the database server."""
        return cpu_s_of(self.pids()) + self.database.cpu_s()

    def pss_mib(self) -> float:
        return sum(self._memory_kib(pid, "smaps_rollup", "Pss:") for pid in self.pids()) / 1024

    def rss_mib(self) -> float:
        return sum(self._memory_kib(pid, "status", "VmRSS:") for pid in self.pids()) / 1024

    def peak_mib(self) -> float:
        """The most memory each process has had since `forget_peak`, summed up."""
        return sum(self._memory_kib(pid, "status", "VmHWM:") for pid in self.pids()) / 1024

    def forget_peak(self) -> None:
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    @staticmethod
    def _memory_kib(pid: int, file: str, key: str) -> int:
        for line in read(Path(f"/proc/{pid}/{file}")).splitlines():
            if line.startswith(key):
                return int(line.split()[1])
        return 0


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in read(task).split()]


def cpu_s_of(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        # The first field here is the third of proc(5): utime, stime, cutime and cstime are 14 to 17.
        ticks += sum(int(number) for number in fields[11:15])
    return ticks / TICKS_PER_S


def read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until(ready: object, *, every_s: float = 0.02, timeout_s: float = 120.0) -> float:
    """Wait for `ready()`; how long it took, in seconds."""
    began = time.perf_counter()
    while not ready():  # type: ignore[operator]
        if time.perf_counter() - began > timeout_s:
            sys.exit(f"waited in vain for {timeout_s:g} s")
        time.sleep(every_s)
    return time.perf_counter() - began
