# SPDX-License-Identifier: Apache-2.0
"""Where an image is converted (security invariant 5): the tool has one folder, and no other.

What is converted into what is a story: tests/story/image/test_imports.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skyhold.core.tools import Fence, ToolFailed, run_tool
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
