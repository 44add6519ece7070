# SPDX-License-Identifier: Apache-2.0
"""`skyhold serve`: the control plane as a process, until it is told to end.

What it consists of is compose.py and core/app.py; several processes at once are workers.py's. A second
control plane on the same state directory is refused.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import structlog

from skyhold.cmd import collector, workers
from skyhold.cmd.problems import known
from skyhold.core import logs, tls
from skyhold.core.settings.whole import Settings

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("serve")

DAY_S = 86_400.0
STOP_S = 8.0
"""With the eleven seconds that requests get (core/http/server.py) less than `skyhold down` and systemd wait."""


def run(settings: Settings) -> None:
    """The whole control plane: one process, or as many as the settings say."""
    if settings.http.processes > 1 and settings.database_url.startswith("sqlite"):
        sys.exit("SQLite has one control process: set http.processes to 1, or database.url to a server.")
    prepare(settings)
    try:
        settings.prepare()
        settings.prepare_database()
        with only_one(settings.run_dir / "control.lock", "control plane"):
            if settings.http.processes > 1:
                workers.run(settings, listen(settings))
            else:
                live(settings, 1, listen(settings))
    except Exception as error:
        if sentence := known(error, settings.home):
            sys.exit(sentence)
        raise


def run_one(settings: Settings, number: int, life: int, sockets: Sequence[int]) -> None:
    """One of several control processes; workers.py starts it and says when it is to end."""
    prepare(settings)
    try:
        with alone(settings.run_dir / f"control-{number}.lock"):
            threading.Thread(target=end_with, args=(life,), daemon=True).start()
            live(settings, number, [socket.socket(fileno=each) for each in sockets])
    except Exception as error:
        if sentence := known(error, settings.home):
            sys.exit(sentence)
        raise


def prepare(settings: Settings) -> None:
    tls.distrust(settings)
    logs.configure(settings.log.level, settings.log.format)


def live(settings: Settings, number: int, sockets: list[socket.socket]) -> None:
    collector.pause()
    import uvloop

    uvloop.run(serve(settings, number, sockets))


def end_with(life: int) -> None:
    """Stop as by SIGTERM when the other end of the pipe is closed: its process is no more."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


async def serve(settings: Settings, number: int, sockets: list[socket.socket]) -> None:
    from skyhold.cmd.compose import control_plane
    from skyhold.identity import facade as identity

    # What the first start makes is made by one of several processes, and found by the others.
    with alone(settings.run_dir / "first.lock"):
        core = control_plane(settings, number=number)
        await core.start()
        await identity.bootstrap(core, password=admin_password(settings.home))
        secure = certificate(settings)
    told: list[int] = []
    try:
        collector.settle()
        told = await listen_until_told(core, sockets, secure)
    finally:
        await stop(core)
    for each in told:
        # At once: a thread in the midst of something long is not waited for.
        signal.raise_signal(each)


async def stop(core: Core) -> None:
    """Let go of what is at work, and of leases, so that whoever comes next needn't wait for them."""
    try:
        async with asyncio.timeout(STOP_S):
            await core.stop()
    except TimeoutError:
        log.warning("not everything could be stopped in time; what was at work goes on after the start")


def certificate(settings: Settings) -> ssl.SSLContext | None:
    try:
        return tls.server_context(settings)
    except OSError as error:
        sys.exit(f"The certificate or key can't be used ({error}): see http.tls_certificate and http.tls_key.")


async def listen_until_told(core: Core, sockets: list[socket.socket], secure: ssl.SSLContext | None) -> list[int]:
    """Answer requests until a signal comes, and say which; the certificate, if any, is looked at once a day."""
    from skyhold.core.http.server import make_server

    server = make_server(core, core.asgi)
    if secure is None:
        await server.serve(sockets=sockets)
        return server.told
    server.config.load()
    server.config.ssl = secure
    renewing = asyncio.create_task(renew_daily(core.settings, secure))
    try:
        await server.serve(sockets=sockets)
    finally:
        renewing.cancel()
    return server.told


async def renew_daily(settings: Settings, secure: ssl.SSLContext) -> None:
    while True:
        await asyncio.sleep(DAY_S)
        try:
            tls.renew(settings, secure)
        except OSError:
            log.exception("certificate not renewed")


def listen(settings: Settings) -> list[socket.socket]:
    """The API's own port, and the traditional ones if they are wanted."""
    ports = [settings.http.port]
    if settings.http.traditional_ports:
        from skyhold.cmd.compose import services

        ports += [service.port for service in services()]
    try:
        return [socket.create_server((settings.http.host, port), backlog=1024) for port in ports]
    except OSError as error:
        sys.exit(f"Port {settings.http.port} can't be listened on ({error.strerror}): choose another with --port.")


def only_one(path: Path, what: str) -> IO[str]:
    """Held as long as the file is open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another {what} runs on this state directory: stop it first, or choose another --home.")
    return lock


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for whoever holds this file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def admin_password(home: Path) -> str:
    """Made once, readable by the owner only."""
    path = home / "admin-password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(18))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, also through a power cut: an empty file would be an empty password."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)

