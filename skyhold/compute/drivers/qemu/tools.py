# SPDX-License-Identifier: Apache-2.0
"""Runs qemu-img and its like fenced in: no network, no privileges, little memory, limited time.

What to run is decided in disks.py and snapshots.py. The fences are small programs of util-linux
that come before the tool in the argument list, so nothing runs in our own process after fork.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec


class ToolFailed(Exception):
    """The tool ended badly or did not end; the text is its last line."""


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """`owner` is the user to become; None keeps ours."""

    owner: int | None = None
    memory_mb: int = 1024
    cpu_s: int = 30
    wall_s: float = 60.0


async def run_tool(*argv: str, cwd: Path, fence: Fence) -> str:
    """Answers what the tool printed. Raises ToolFailed."""
    tool = await asyncio.create_subprocess_exec(
        *fenced(list(argv), fence),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C"},
    )
    try:
        out, err = await asyncio.wait_for(tool.communicate(), fence.wall_s)
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
    command = ["prlimit", *limits, "--", *argv]
    if fence.owner is not None:
        become = [f"--reuid={fence.owner}", f"--regid={fence.owner}", "--clear-groups", "--no-new-privs"]
        command = ["setpriv", *become, "--", *command]
    if os.geteuid() == 0:
        command = ["unshare", "--net", "--", *command]
    return command
