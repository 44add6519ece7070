# SPDX-License-Identifier: Apache-2.0
"""Runs qemu-img and its like fenced in: no network, no privileges, little memory, limited time.

What to run is decided where it is needed: compute's QEMU driver and image's imports. The fences are small
programs of util-linux that come before the tool in the argument list, so nothing runs in our own process
after fork. The one thing to know first: qemu-img is never left to guess what a file is, for a guess
believes whoever wrote the file (CVE-2024-40767, CVE-2026-24708).
"""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

PROBE_S: Final = 5.0


class ToolFailed(Exception):
    """The tool ended badly or did not end; the text is its last line."""


class NotMade(Exception):
    """What lies where a tool was to make a file is none that it made."""


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """`owner` is the user to become; None keeps ours. `file_mb` bounds each file that is written."""

    owner: int | None = None
    memory_mb: int = 1024
    cpu_s: int = 30
    wall_s: float = 60.0
    file_mb: int | None = None


def open_made(made: Path, owner: int | None) -> BinaryIO:
    """What a tool made as this user (None: anybody), and nothing that it only names: we may be root, and a tool may
    have been taken over by what it read. Raises NotMade."""
    try:
        fd = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotMade(made.name) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or owner not in (None, found.st_uid):
        os.close(fd)
        raise NotMade(made.name)
    return open(fd, "rb")


async def run_tool(*argv: str, cwd: Path, fence: Fence) -> str:
    """Answers what the tool printed. Raises ToolFailed."""
    if argv[0] == "qemu-img":
        refuse_guessing(argv)
    prefix = await asyncio.to_thread(without_network)
    tool = await asyncio.create_subprocess_exec(
        *prefix, *fenced(list(argv), fence),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout(fence.wall_s):
            out, err = await tool.communicate()
    except BaseException as stopped:
        if tool.returncode is None:
            tool.kill()
            await tool.wait()
        if isinstance(stopped, TimeoutError):
            raise ToolFailed(f"{argv[0]} did not end within {fence.wall_s:.0f} s") from None
        raise
    if tool.returncode != 0:
        said = err.decode(errors="replace").strip().splitlines()
        raise ToolFailed(said[-1] if said else f"{argv[0]} ended with status {tool.returncode}")
    return out.decode(errors="replace")


def fenced(argv: list[str], fence: Fence) -> list[str]:
    limits = [f"--as={fence.memory_mb << 20}", f"--cpu={fence.cpu_s}", "--core=0", "--nofile=64"]
    if fence.file_mb is not None:
        limits.append(f"--fsize={fence.file_mb << 20}")
    command = ["prlimit", *limits, "--", *argv]
    if fence.owner is not None:
        become = [f"--reuid={fence.owner}", f"--regid={fence.owner}", "--clear-groups", "--no-new-privs"]
        command = ["setpriv", *become, "--", *command]
    return command


@cache
def without_network() -> tuple[str, ...]:
    """What cuts a tool off from the network. Who isn't root needs a user namespace for it, which some
    machines don't give: there the tool has only our own rights, but sees the network."""
    if os.geteuid() == 0:
        return ("unshare", "--net", "--")
    own = ("unshare", "--user", "--map-current-user", "--net", "--")
    try:
        tried = subprocess.run([*own, "true"], timeout=PROBE_S, check=False, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return own if tried.returncode == 0 else ()


OPENS: Final = frozenset({"amend", "bench", "check", "commit", "compare", "convert", "dd", "info", "map", "measure",
                          "rebase", "resize", "snapshot"})


def refuse_guessing(argv: tuple[str, ...]) -> None:
    """Raises ValueError for a call of qemu-img that leaves it to find out a format by itself.

    A file is told by `-f` or as a `json:` node, which names its driver; a backing file needs `-F`.
    """
    verb, rest = (argv[1], argv[2:]) if len(argv) > 1 else ("", ())
    told = "-f" in rest or any(part.startswith("json:") and '"driver"' in part for part in rest)
    if verb in OPENS and not told:
        raise ValueError(f"qemu-img {verb} must be told the format of what it opens")
    if verb == "create" and "-f" not in rest:
        raise ValueError("qemu-img create must be told the format of what it makes")
    if "-b" in rest and "-F" not in rest:
        raise ValueError(f"qemu-img {verb} must be told the format of the backing file")
