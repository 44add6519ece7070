# SPDX-License-Identifier: Apache-2.0
"""`skyhold up`: starts the cloud detached and, on its first start, prepares it for use.

The processes are processes.py, what a new cloud is given is prepare.py. Every step says what it
does; a second run finds each thing done and takes a second or two.
"""

from __future__ import annotations

import os
import re
import time
import urllib.error
from pathlib import Path

from skyhold.cmd import prepare, processes
from skyhold.cmd.client import Refused, asked
from skyhold.cmd.problems import CannotStart, NotUp, disk_full
from skyhold.cmd.progress import Progress
from skyhold.core import tls
from skyhold.core.settings.load import default_home, load
from skyhold.core.settings.whole import Settings, SettingsError

READY_S = 60.0
HOST_UP = re.compile(r"^skyhold_hosts_up\{[^}]*\} [1-9]", re.MULTILINE)


def run(home: Path | None, *, port: int | None, fake: bool, demo: bool, image: Path | None) -> int:
    say = Progress()
    try:
        settings = checked(home, port=port, fake=fake)
        tls.trust(settings)
        started = start(settings, say)
        prepare.run(settings, say, demo=demo, image=image)
    except (CannotStart, NotUp, Refused, SettingsError) as error:
        say.failed(str(error))
        return 1
    except OSError as error:
        if sentence := disk_full(error, directory_of(home)):
            say.failed(sentence)
            return 1
        raise
    say.done(f"The cloud is {'ready' if started else 'running already'} at {settings.public_url}")
    return 0


def checked(home: Path | None, *, port: int | None, fake: bool) -> Settings:
    """The settings, once nothing stands in the way; a start that can't be is not remembered."""
    file = directory_of(home) / "skyhold.toml"
    fresh = not file.exists()
    settings = settled(home, port=port, fake=fake)
    try:
        check(settings)
    except CannotStart:
        if fresh:
            file.unlink()
        raise
    return settings


def directory_of(home: Path | None) -> Path:
    return home or Path(os.environ.get("SKYHOLD_HOME") or default_home())


def settled(home: Path | None, *, port: int | None, fake: bool) -> Settings:
    """The settings of this cloud; what was said at its first start is kept in its file."""
    directory = directory_of(home)
    file = directory / "skyhold.toml"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(first_file(port, fake))
        return load(directory)
    settings = load(directory)
    if port not in (None, settings.http.port):
        raise CannotStart(f"This cloud's port is {settings.http.port}: change it in {file}, or leave --port out.")
    if fake and settings.host.hypervisor != "fake":
        raise CannotStart(f"The cloud in {directory} is a real one: give --fake another directory with --home.")
    return settings


def first_file(port: int | None, fake: bool) -> str:
    lines = ["# What this cloud was started with; `skyhold settings` explains every key."]
    if port is not None:
        lines += ["[http]", f"port = {port}"]
    if fake:
        lines += ["[host]", 'hypervisor = "fake"', 'network = "fake"']
    return "\n".join(lines) + "\n"


def check(settings: Settings) -> None:
    """What would stop the cloud, as one sentence each, before anything is half-done."""
    from skyhold.cmd import doctor

    if processes.running(settings, "serve") is not None:
        return
    for one in doctor.checks(settings):
        if one.needed and not one.ok:
            raise CannotStart(f"{one.sentence} {one.remedy}".strip())


def start(settings: Settings, say: Progress) -> bool:
    """Whether anything had to be started. Both at once: each has to load, and the agent finds the other by itself."""
    fresh = [name for name in ("serve", "host") if processes.running(settings, name) is None]
    since = {name: processes.start(settings, name) for name in fresh}
    try:
        if "serve" in fresh:
            with say.step("Starting the control plane"):
                wait(settings, "serve", lambda: healthy(settings), since["serve"])
    except CannotStart:
        if "host" in fresh:
            processes.stop(settings, "host")
        raise
    if "host" in fresh:
        with say.step("Starting the host agent"):
            wait(settings, "host", lambda: HOST_UP.search(page(settings, "/metrics")), since["host"])
    return bool(fresh)


def wait(settings: Settings, name: str, ready: object, since: int) -> None:
    """Until it is ready; its own last words if it ends instead, of what its log has after `since` bytes."""
    end = time.monotonic() + READY_S
    while not ready():  # type: ignore[operator]
        if processes.running(settings, name) is None:
            time.sleep(0.05)
            raise CannotStart(f"`skyhold {name}` ended: {processes.last_words(settings, name, since)}")
        if time.monotonic() > end:
            raise CannotStart(f"`skyhold {name}` is not ready after {READY_S:g} s: see {settings.log_dir}/{name}.log")
        time.sleep(0.02)


def healthy(settings: Settings) -> bool:
    return page(settings, "/healthcheck") == "OK"


def page(settings: Settings, path: str) -> str:
    try:
        with asked(settings.public_url + path, 5) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return ""
