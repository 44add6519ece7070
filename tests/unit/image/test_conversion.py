# SPDX-License-Identifier: Apache-2.0
"""Where an image is converted (security invariant 5): the tool has one folder, and no other.

What is converted into what is a story: tests/story/image/test_imports.py.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from skyhold.core.tools import Fence, ToolFailed, run_tool
from skyhold.image.imports import conversion
from skyhold.image.imports.conversion import MADE, NOBODY, SOURCE, furnish


@pytest.mark.skipif(os.geteuid() != 0, reason="who isn't root has nobody to become")
async def test_a_tool_does_not_reach_what_is_converted_beside_it(tmp_path: Path) -> None:
    """Tools of all tenants' images are the same nobody."""
    content = tmp_path / "content"
    for name in ("mine", "theirs"):
        content.write_bytes(name.encode())
        furnish(tmp_path / "workshop" / name, content)
        content.unlink()
    nobody, workshop = Fence(owner=NOBODY), tmp_path / "workshop" / "mine"
    assert await run_tool("cat", SOURCE, cwd=workshop, fence=nobody) == "mine"
    await run_tool("cp", SOURCE, MADE, cwd=workshop, fence=nobody)
    for path in (f"../theirs/{SOURCE}", str(tmp_path / "workshop" / "theirs" / SOURCE), "..", "../.."):
        with pytest.raises(ToolFailed):
            await run_tool("ls", path, cwd=workshop, fence=nobody)


async def test_a_workshop_is_not_cleared_under_the_thread_that_furnishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of gigabytes may be under way when the process is told to end; what it wrote afterwards would stay."""
    began, go_on = threading.Event(), threading.Event()

    def slow(workshop: Path, source: Path) -> None:
        began.set()
        go_on.wait(10)
        workshop.mkdir()

    async def told(*_: Any) -> Any:
        return SimpleNamespace(virtual_size_bytes=0)

    monkeypatch.setattr(conversion, "furnish", slow)
    for name in ("inspected", "path"):
        monkeypatch.setattr(conversion.staged, name, told)
    image = SimpleNamespace(conversion_format="qcow2")
    settings = SimpleNamespace(image=image, image_workshop_dir=tmp_path)
    saga: Any = SimpleNamespace(
        id="saga", kept=SimpleNamespace(attributes={"disk_format": "raw"}), read=no_limit,
        ctx=SimpleNamespace(core=SimpleNamespace(settings=settings)),
    )
    row = SimpleNamespace(disk_format="raw", container_format="bare")
    task = asyncio.ensure_future(conversion.image_conversion(saga, row))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def no_limit(*_: Any) -> int:
    return 2**40
