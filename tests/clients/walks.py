# SPDX-License-Identifier: Apache-2.0
"""Walks: what somebody types at the openstack client, line by line, and what came of it.

The walks are the text files in folders beside this one; the pages that show their results are pages.py. A line is a
command as typed, without `openstack`; `name = command` keeps what it prints for later lines: `$name` is its id
(`name.key = command`: another value), `$name.secret` its secret; `until WORD: command` is typed again until it prints
the word; `[user password project]` before a command says who types it, and `#` begins a remark.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from skyhold.core.service import Service
from tests.kit.cloud import ADMIN_PASSWORD, start_cloud
from tests.kit.host import fake_host

HERE = Path(__file__).parent
REPO = HERE.parents[1]
CLIENTS = Path(os.environ.get("SKYHOLD_CLIENTS_VENV", REPO / ".venv-clients"))
SLOT = re.compile(r"\$(?P<name>[a-z_0-9]+)(?:\.(?P<key>[a-z_0-9]+))?")
LINE = re.compile(
    r"^(?:(?P<keep>[a-z_0-9.]+) = )?(?:until (?P<until>\S+): )?(?:\[(?P<who>[^]]+)\] )?(?P<command>.+)$"
)
KEYS = ("id", "ID")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Step:
    """One line of a walk."""

    walk: str
    text: str
    keep: str | None
    who: tuple[str, ...] | None
    command: str
    until: str | None = None

    def name(self, names: list[str]) -> str | None:
        """Which of these commands it is; the longest that fits."""
        fitting = [name for name in names if f"{self.command} ".startswith(name + " ")]
        return max(fitting, key=len, default=None)


@dataclass
class Result:
    step: Step
    code: int
    out: str
    err: str


@dataclass
class Client:
    """The client's process, and what was kept so far."""

    process: asyncio.subprocess.Process
    who: dict[str, str]
    kept: dict[str, dict[str, str]] = field(default_factory=dict)

    async def run(self, step: Step) -> Result:
        """Its word not printed in time is a failure."""
        end = time.monotonic() + PATIENCE_S
        result = await self.once(step)
        while step.until and step.until not in result.out:
            if result.code or time.monotonic() > end:
                return Result(step, result.code or 1, result.out, result.err or f"it never printed {step.until}")
            result = await self.once(step)
        return result

    async def once(self, step: Step) -> Result:
        unknown = [found["name"] for found in SLOT.finditer(step.command) if found["name"] not in self.kept]
        if unknown:
            return Result(step, 1, "", f"there is no ${unknown[0]}: the command that should give it failed")
        words = shlex.split(SLOT.sub(lambda found: str(self.kept[found["name"]][found["key"] or ""]), step.command))
        if step.keep:
            words += ["-f", "json"]
        answer = await self.ask([*self.options(step.who), *words])
        if step.keep and answer["code"] == 0:
            self.keep(step.keep, json.loads(str(answer["out"])))
        # A command that forgets to print answers with what it would have printed.
        code = answer["code"] if isinstance(answer["code"], int) else 0
        return Result(step, code, str(answer["out"]), str(answer["err"]))

    def keep(self, where: str, printed: dict[str, str] | list[dict[str, str]]) -> None:
        """Of a list the first."""
        printed = printed[0] if isinstance(printed, list) else printed
        name, _, key = where.partition(".")
        own = next(printed[key] for key in ([key] if key else KEYS) if key in printed)
        self.kept[name] = printed | {"": own}

    def options(self, who: tuple[str, ...] | None) -> list[str]:
        asked = dict(self.who)
        if who:
            asked |= dict(zip(("username", "password", "project-name"), who, strict=True))
        return [f"--os-{name}={value}" for name, value in asked.items()]

    async def ask(self, words: list[str]) -> dict[str, object]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        found: dict[str, object] = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))
        return found


async def walked(
    folder: Path, home: Path, *, services: Sequence[Service] | None = None, files: Mapping[str, Path] | None = None,
    host: bool = False,
) -> list[Result]:
    """All walks of a folder at a cloud of their own, with a fake host where told; `$name` is the path of a file by that
    name."""
    check_client()
    made = await start_cloud(home, services)
    try:
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(made.listening())
            if host:
                await stack.enter_async_context(fake_host(made.core, home / "hosts"))
            typed = await stack.enter_async_context(client(url, ADMIN_PASSWORD))
            typed.kept |= {name: {"": str(path)} for name, path in (files or {}).items()}
            return [await typed.run(step) for step in steps(folder)]
    finally:
        await made.core.stop()


def check_client() -> None:
    assert CLIENTS.exists(), f"{CLIENTS} holds no openstack client; script/test makes it"


@asynccontextmanager
async def client(url: str, password: str) -> AsyncIterator[Client]:
    """The administrator at the client of the environment CLIENTS, at a cloud that answers at `url`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        str(CLIENTS / "bin" / "python"), str(HERE / "runner.py"), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=env, limit=2**24,
    )
    who = {
        "auth-url": f"{url}/identity/v3", "username": "admin", "password": password, "project-name": "admin",
        "user-domain-name": "Default", "project-domain-name": "Default", "identity-api-version": "3",
        "volume-api-version": "3.70",
    }
    try:
        yield Client(process, who)
    finally:
        process.kill()
        await process.wait()


def steps(folder: Path) -> list[Step]:
    """Of all walks in a folder; each begins on the same cloud, after those before it in the alphabet."""
    return [step(path.stem, line) for path in sorted(folder.glob("*.txt")) for line in lines(path)]


def lines(path: Path) -> list[str]:
    """A backslash at the end continues a line."""
    text = re.sub(r"\s*\\\n\s*", " ", path.read_text())
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def step(walk: str, line: str) -> Step:
    found = LINE.match(line)
    assert found, f"{walk}: {line}"
    who = tuple(found["who"].split()) if found["who"] else None
    return Step(walk, line, found["keep"], who, found["command"], found["until"])
