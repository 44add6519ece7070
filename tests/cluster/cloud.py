# SPDX-License-Identifier: Apache-2.0
"""A cloud of real processes on the fake driver, which tests may kill and pause, and look into from outside.

What is done to it is test_chaos.py. It is started with the command a newcomer runs; the database and the
host's book of guests are only ever read here.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from skyhold.cmd import processes
from skyhold.cmd.client import Client
from skyhold.compute.tables import SERVERS
from skyhold.core.settings.load import load
from skyhold.core.tables import SAGAS
from skyhold.image.tables import IMAGES
from tests.kit import recount
from tests.kit.databases import OBSERVER

REPO = Path(__file__).parents[2]
QUIET_S = 30.0
"""The promise: so soon after the last trouble everything is at rest."""


@cache
def engine_of(path: Path) -> sa.Engine:
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    return sa.create_engine(url, poolclass=sa.pool.NullPool, json_deserializer=json.loads)


async def answers(url: str, statement: Any) -> Sequence[Any]:
    whole = sa.make_url(url)
    seen_by = whole.set(username=OBSERVER) if whole.drivername.startswith("postgresql") else whole
    engine = create_async_engine(seen_by, poolclass=sa.pool.NullPool, json_deserializer=json.loads)
    async with engine.connect() as connection:
        found = (await connection.execute(statement)).all()
    await engine.dispose()
    return found


def command(home: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`skyhold` as a user calls it."""
    return subprocess.run(
        [sys.executable, "-m", "skyhold", *words, "--home", str(home)], capture_output=True, text=True, timeout=120,
        env=env, check=False,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(home: Path, path: Path = REPO) -> dict[str, str]:
    ours = {"HOME": str(home), "PYTHONPATH": f"{path}:{REPO}"}
    return {name: value for name, value in os.environ.items() if not name.startswith("SKYHOLD_")} | ours


class Processes:
    """`skyhold up --fake` in a directory of its own; `close` ends it. `settings` are more lines for its file,
    `path` is looked through for modules before anything else, `more` is its environment."""

    def __init__(
        self, home: Path, settings: str = "", *, path: Path = REPO, more: dict[str, str] | None = None
    ) -> None:
        self.home = home / "sky"
        self.env = environment(home, path) | (more or {})
        self.port = free_port()
        self.home.mkdir(mode=0o700, exist_ok=True)
        fake = '[host]\nhypervisor = "fake"\nnetwork = "fake"\n'
        (self.home / "skyhold.toml").write_text(f"{fake}[http]\nport = {self.port}\n{settings}")
        self.settings = load(self.home)
        self.up()
        self.token = self.admin_token = ""
        self.sign_in()

    def sign_in(self) -> None:
        url = self.settings.public_url
        demo = (self.home / "demo-password").read_text().strip()
        admin = (self.home / "admin-password").read_text().strip()
        self.token = Client(url, "demo", demo, "demo")._token
        self.admin_token = Client(url, "admin", admin, "admin")._token

    def up(self) -> None:
        done = self.skyhold("up")
        assert done.returncode == 0, done.stdout + done.stderr

    def skyhold(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.home, self.env, *words)

    def close(self) -> None:
        assert self.skyhold("down").returncode == 0

    def signal(self, name: str, number: signal.Signals) -> None:
        pid = processes.running(self.settings, name)
        assert pid is not None, f"{name} isn't running: {processes.last_words(self.settings, name)}"
        os.kill(pid, number)

    # ---- through the API ------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, *, admin: bool = False) -> tuple[int, Any]:
        """(status, answer); status 0 when the connection broke and nobody knows what became of it."""
        headers = {
            "X-Auth-Token": self.admin_token if admin else self.token,
            "Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json",
            "OpenStack-API-Version": "compute 2.90",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def wanted(self, path: str, kind: str) -> str:
        """The id of the demo project's own first thing of a kind."""
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return str(answer[kind][0]["id"])

    # ---- from outside ---------------------------------------------------------------------

    def ask(self, statement: Any) -> Sequence[Any]:
        if self.settings.database.url:
            return asyncio.run(answers(self.settings.database.url, statement))
        with engine_of(self.home / "skyhold.db").connect() as connection:
            return connection.execute(statement).all()

    def servers(self) -> list[Any]:
        return list(self.ask(sa.select(SERVERS).where(SERVERS.c.deleted_at.is_(None))))

    def users_servers(self) -> list[Any]:
        """Without the one that `skyhold up` makes, and makes sure of at each start."""
        return [row for row in self.servers() if row.name != "first"]

    def steps(self) -> list[str]:
        """Where the sagas under way are."""
        rows = self.ask(sa.select(SAGAS.c.kind, SAGAS.c.step).where(SAGAS.c.ended_at.is_(None)))
        return [f"{row.kind}.{row.step}" for row in rows]

    def guests(self) -> set[str]:
        """What the host runs, by its own book."""
        found: set[str] = set()
        for book in self.home.glob("**/guests.jsonl"):
            for line in book.read_text().splitlines():
                try:
                    guest = json.loads(line)
                except ValueError:
                    continue
                (found.discard if guest.get("gone") else found.add)(guest["id"])
        return found

    def findings(self) -> list[str]:
        """What isn't as it should be in a cloud at rest."""
        found = [*recount.unquiet(self.ask), *recount.drift(self.ask), *recount.strays(self.ask)]
        placed = {row.id for row in self.servers() if row.host_id}
        guests = self.guests()
        found += [f"guest {id} belongs to no server" for id in guests - placed]
        found += [f"server {id} has no guest on its host" for id in placed - guests]
        queued = self.ask(sa.select(IMAGES.c.id).where(IMAGES.c.status == "queued"))
        return found + [f"image {row.id} is queued and nobody fills it" for row in queued]

    def rest(self) -> float:
        """How many seconds it took to come to rest; fails after QUIET_S."""
        start = time.monotonic()
        while found := self.findings():
            if time.monotonic() - start > QUIET_S:
                raise AssertionError(f"not at rest after {QUIET_S:g} s:\n" + "\n".join(found))
            time.sleep(0.05)
        return time.monotonic() - start
