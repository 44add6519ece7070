# SPDX-License-Identifier: Apache-2.0
"""Private PostgreSQL and MariaDB servers for tests, from Debian's packages, gone when the run ends.

A core on one of them is made here too; clouds with all services are tests/kit/cloud.py. Which databases a
run uses is SKYHOLD_TEST_DATABASES (`sqlite,postgresql,mariadb` or `all`; SQLite alone without it); those of
the long kits may be fewer, by SKYHOLD_TEST_KIT_DATABASES. A database that is asked for but not installed is
an error that names its package, never a skipped test.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from skyhold.core.app import Core
from skyhold.core.context import Context, Credentials
from skyhold.core.service import Service
from skyhold.core.settings.sections import Database
from skyhold.core.settings.whole import Settings

KINDS = ("sqlite", "postgresql", "mariadb")
START_S = 60.0
POSTGRES_BIN = "/usr/lib/postgresql/15/bin"
OBSERVER = "observer"
"""Who looks at a cloud's PostgreSQL from outside: the cloud ends its own user's sessions when they stop in the midst of
a statement (skyhold/core/db/stalled.py), and a test may be stopped by the machine at any moment."""


def chosen() -> tuple[str, ...]:
    """The databases of this run."""
    return named("SKYHOLD_TEST_DATABASES", "sqlite")


def chosen_for_kits() -> tuple[str, ...]:
    """The databases for what is made from the whole route table and would take too long on all of them."""
    return named("SKYHOLD_TEST_KIT_DATABASES", ",".join(chosen()))


def named(variable: str, default: str) -> tuple[str, ...]:
    asked = os.environ.get(variable, default)
    names = KINDS if asked == "all" else tuple(name.strip() for name in asked.split(","))
    unknown = set(names) - set(KINDS)
    if unknown:
        raise pytest.UsageError(f"{variable} names {unknown.pop()}; known are {', '.join(KINDS)}")
    return names


class Server(Protocol):
    def fresh(self) -> str:
        """The URL of a new, empty database."""

    def stop(self) -> None: ...


class Sqlite:
    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="skyhold-sqlite-"))
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        return f"sqlite:///{self._directory}/{next(self._numbers)}.db"

    def stop(self) -> None:
        shutil.rmtree(self._directory)


class ServerProcess:
    """A server on a unix socket in a directory of its own, never as root."""

    def __init__(self, account: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="skyhold-db-"))
        self._drop: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.numbers = itertools.count(1)
        if os.geteuid() == 0:
            self._drop = unprivileged(account)
            os.chown(self.directory, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)

    def run(self, *command: str) -> None:
        done = subprocess.run([*self._drop, *command], cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")

    def start(self, command: Sequence[str], ready: Callable[[], bool]) -> None:
        log = (self.directory / "log").open("wb")
        # A run that is killed has no time to stop its servers: then the kernel does.
        dies = [
            *(self._drop[:-1] or [binary("setpriv", "util-linux")]),
            "--pdeathsig",
            "INT" if self.interrupt else "TERM",
            "--",
        ]
        self._process = subprocess.Popen(
            [*dies, *command], cwd=self.directory, stdout=log, stderr=log, start_new_session=True
        )
        end = time.monotonic() + START_S
        while not ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start: {(self.directory / 'log').read_text()}")
            time.sleep(0.05)

    @property
    def pid(self) -> int | None:
        """Of its first process, which is the parent of all others."""
        return self._process.pid if self._process else None

    def stop(self) -> None:
        if self._process is not None:
            # PostgreSQL's fast shutdown; MariaDB ends on either.
            self._process.send_signal(subprocess.signal.SIGINT if self.interrupt else subprocess.signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    interrupt = False


class Postgresql(ServerProcess):
    interrupt = True

    def __init__(self, tended: bool = False) -> None:
        """`tended`: with fresh statistics of its tables, which tests don't need and plans of queries do."""
        initdb = binary(f"{POSTGRES_BIN}/initdb", "postgresql-15")
        super().__init__("postgres" if has_account("postgres") else "nobody")
        data, socket = str(self.directory / "data"), str(self.directory)
        self.run(initdb, "-D", data, "-A", "trust", "-U", "skyhold", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        options = [
            "listen_addresses=",
            f"unix_socket_directories={socket}",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "max_connections=100",
            "shared_buffers=32MB",
            f"autovacuum={'on' if tended else 'off'}",
            "autovacuum_naptime=1s",
            "deadlock_timeout=50ms",
        ]
        self.start(
            [f"{POSTGRES_BIN}/postgres", "-D", data, *(word for option in options for word in ("-c", option))],
            lambda: self._sql("SELECT 1") == 0,
        )
        if self._sql(f"CREATE ROLE {OBSERVER} SUPERUSER LOGIN"):
            raise RuntimeError("PostgreSQL made no role")

    def _sql(self, statement: str) -> int:
        return subprocess.run(
            [f"{POSTGRES_BIN}/psql", "-h", str(self.directory), "-U", "skyhold", "-d", "postgres", "-qc", statement],
            capture_output=True,
            check=False,
        ).returncode

    def fresh(self) -> str:
        name = f"cloud{next(self.numbers)}"
        if self._sql(f"CREATE DATABASE {name}"):
            raise RuntimeError("PostgreSQL made no database")
        return f"postgresql+asyncpg://skyhold@/{name}?host={self.directory}"


class Mariadb(ServerProcess):
    def __init__(self) -> None:
        daemon = binary("mariadbd", "mariadb-server")
        self._client = binary("mariadb", "mariadb-client")
        super().__init__("mysql" if has_account("mysql") else "nobody")
        data, self._socket = str(self.directory / "data"), str(self.directory / "socket")
        self.run(
            binary("mariadb-install-db", "mariadb-server"),
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        self.start(
            [
                daemon,
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={self._socket}",
                "--skip-networking",
                f"--pid-file={self.directory}/pid",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                "--innodb-buffer-pool-size=64M",
                "--skip-log-bin",
                "--max-connections=100",
            ],
            lambda: self._sql("SELECT 1") == 0,
        )

    def _sql(self, statement: str) -> int:
        return subprocess.run(
            [self._client, "--no-defaults", f"--socket={self._socket}", "-uroot", "-e", statement],
            capture_output=True,
            check=False,
        ).returncode

    def fresh(self) -> str:
        name = f"cloud{next(self.numbers)}"
        if self._sql(f"CREATE DATABASE {name}"):
            raise RuntimeError("MariaDB made no database")
        return f"mariadb+asyncmy://root@/{name}?unix_socket={self._socket}"


def binary(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: install the package {package}, or set SKYHOLD_TEST_DATABASES=sqlite")
    return found


def has_account(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


def unprivileged(account: str) -> list[str]:
    entry = pwd.getpwnam(account)
    return [
        binary("setpriv", "util-linux"),
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        "--",
    ]


MAKERS: dict[str, Callable[[], Server]] = {"sqlite": Sqlite, "postgresql": Postgresql, "mariadb": Mariadb}


class Servers:
    """Started when first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Server]] = MAKERS) -> None:
        self._makers = makers
        self._running: dict[str, Server] = {}
        self._used_again: dict[str, str] = {}

    def fresh(self, kind: str) -> str:
        """An empty database without a table."""
        if kind not in self._running:
            self._running[kind] = self._makers[kind]()
        return self._running[kind].fresh()

    def pid(self, kind: str) -> int | None:
        """Of the running server's first process; SQLite has none."""
        return getattr(self._running.get(kind), "pid", None)

    async def emptied(self, kind: str) -> str:
        """A database with the schema and no row: the one of the test before, for making a hundred tables
        takes longer than most stories. Whoever used it must have closed it."""
        if kind not in self._used_again:
            self._used_again[kind] = self.fresh(kind)
        await empty(self._used_again[kind])
        return self._used_again[kind]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    running = Servers()
    yield running
    running.stop()


@pytest.fixture(params=chosen())
def database_url(request: pytest.FixtureRequest, servers: Servers) -> str:
    """A fresh database of each kind of this run."""
    return servers.fresh(request.param)


@pytest.fixture(params=chosen())
async def emptied_url(request: pytest.FixtureRequest, servers: Servers) -> str:
    """A database of each kind of this run, with the schema and no row: for clouds made anew for each story."""
    return await servers.emptied(request.param)


async def empty(url: str) -> None:
    from skyhold.core.db.columns import metadata
    from skyhold.core.db.engine import open_database
    from skyhold.core.schema import prepare
    from skyhold.core.tables import SCHEMA

    def clear(conn: sa.Connection) -> None:
        prepare(conn)
        there = set(sa.inspect(conn).get_table_names())
        for table in reversed(metadata.sorted_tables):
            if table.name in there and table is not SCHEMA:
                conn.execute(table.delete())

    db = await open_database(url, synchronous="OFF")
    await db.alter(clear)
    await db.close()


def core_on(url: str, home: Path, *services: Service, **settings: Any) -> Core:
    """A core that isn't started; its database is opened by `core.start()` or `opened`."""
    return Core(Settings(home=home, database=Database(url=url), **settings), list(services))


@pytest.fixture
async def core(database_url: str, tmp_path: Path) -> AsyncIterator[Core]:
    """A core with its database open and its own tables made, but no loop or saga running."""
    from skyhold.core.db.columns import metadata
    from skyhold.core.db.engine import open_database

    made = core_on(database_url, tmp_path)
    made.db = await open_database(made.settings.database_url, synchronous="OFF")
    await made.db.alter(lambda conn: metadata.create_all(conn, tables=core_tables()))
    yield made
    await made.db.close()


def core_tables() -> list[sa.Table]:
    """In a run of all tests every service has declared its tables too; core's tests need none of them."""
    from skyhold.core.db.columns import metadata

    return [table for table in metadata.sorted_tables if table.name.startswith("core_")]


def caller(core: Core, project_id: str = "p1", *roles: str, **more: Any) -> Context:
    """A context of somebody in a project; a member and reader unless told."""
    held = frozenset(roles or ("member", "reader"))
    creds = Credentials(user_id="u1", project_id=project_id, scope="project", roles=held)
    return Context(core, creds, **more)


async def make_tables(core: Core, *tables: sa.Table) -> None:
    """Create tables that tests declared for themselves."""

    def create(tx: Any, ctx: Context) -> None:
        for table in tables:
            table.create(tx.conn)

    await Context(core, Credentials()).write(create)


async def rows_of(core: Core, *tables: sa.Table) -> list[Any]:
    """Everything in these tables, to compare before and after."""

    def read(tx: Any, ctx: Context) -> list[Any]:
        return [sorted(map(repr, tx.all(sa.select(table)))) for table in tables]

    return await Context(core, Credentials()).read(read)
