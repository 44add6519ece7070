# SPDX-License-Identifier: Apache-2.0
"""The fence around external tools (security invariant 5): what a tool sees, may use, and may not guess."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from skyhold.core import tools
from skyhold.core.tools import Fence, ToolFailed, fenced, refuse_guessing, run_tool

SOURCES = Path(tools.__file__).parents[1]
NOBODY = 65534


async def test_a_tool_has_no_network_no_privileges_and_little_memory(tmp_path: Path) -> None:
    owner = NOBODY if os.geteuid() == 0 else None
    said = await run_tool(
        "sh", "-c", "id -u; ulimit -v; ulimit -t; cat /proc/net/dev; grep NoNewPrivs /proc/self/status",
        cwd=tmp_path, fence=Fence(owner=owner, cpu_s=7),
    )
    uid, memory_kb, cpu_s, *rest = said.split("\n")
    assert int(uid) == (os.geteuid() if owner is None else owner)
    assert int(memory_kb) == 1024 * 1024 and int(cpu_s) == 7
    cards = [line.partition(":")[0].strip() for line in rest if ":" in line and "NoNewPrivs" not in line]
    assert cards == ["lo"] or not tools.without_network()
    assert owner is None or "NoNewPrivs:\t1" in said


async def test_a_tool_that_hangs_or_fails_or_fills_the_disk_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="did not end"):
        await run_tool("sleep", "60", cwd=tmp_path, fence=Fence(wall_s=0.2))
    with pytest.raises(ToolFailed, match="status 3"):
        await run_tool("sh", "-c", "exit 3", cwd=tmp_path, fence=Fence())
    with pytest.raises(ToolFailed):
        await run_tool("dd", "if=/dev/zero", "of=big", "bs=1M", "count=3", cwd=tmp_path, fence=Fence(file_mb=1))
    assert (tmp_path / "big").stat().st_size <= 1 << 20


async def test_a_tool_that_eats_memory_or_time_is_ended(tmp_path: Path) -> None:
    eat = "import sys; x = bytearray(512 << 20)"
    with pytest.raises(ToolFailed, match="MemoryError"):
        await run_tool("python3", "-c", eat, cwd=tmp_path, fence=Fence(memory_mb=256))
    with pytest.raises(ToolFailed):
        await run_tool("python3", "-c", "while True: pass", cwd=tmp_path, fence=Fence(cpu_s=1, wall_s=20))


def test_the_fence_comes_before_the_tool() -> None:
    argv = fenced(["qemu-img", "info"], Fence(owner=5))
    assert argv[-2:] == ["qemu-img", "info"]
    assert "--reuid=5" in argv and "--no-new-privs" in argv and "--clear-groups" in argv


GUESSES = [
    ("qemu-img", "info", "disk"), ("qemu-img", "convert", "-O", "raw", "a", "b"), ("qemu-img", "resize", "disk", "10G"),
    ("qemu-img", "create", "disk", "1G"), ("qemu-img", "create", "-f", "qcow2", "-b", "base", "disk"),
    ("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "base", "disk"), ("qemu-img", "check", "disk"),
    ("qemu-img", "info", 'json:{"file": {"filename": "disk"}}'),
]
TOLD = [
    ("qemu-img", "--version"), ("qemu-img", "info", "-f", "raw", "disk"),
    ("qemu-img", "create", "-f", "qcow2", "a", "1"),
    ("qemu-img", "create", "-f", "qcow2", "-b", "base", "-F", "raw", "disk"),
    ("qemu-img", "resize", 'json:{"driver": "qcow2", "file": {"driver": "file", "filename": "disk"}}', "10G"),
]


@pytest.mark.parametrize("argv", GUESSES, ids=" ".join)
async def test_cve_2026_24708_qemu_img_is_never_left_to_guess(
    argv: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="must be told the format"):
        await run_tool(*argv, cwd=tmp_path, fence=Fence())


@pytest.mark.parametrize("argv", TOLD, ids=" ".join)
def test_qemu_img_is_run_when_it_is_told(argv: tuple[str, ...]) -> None:
    refuse_guessing(argv)


async def test_cve_2026_24708_a_raw_disk_that_its_guest_made_look_like_qcow2_stays_raw(tmp_path: Path) -> None:
    """The guest writes a header that names a file of the host; resizing must not follow it."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 4096)
    disk = tmp_path / "disk"
    subprocess.run(  # noqa: ASYNC221
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(disk), "1M"],
        check=True,
    )
    before = disk.read_bytes()
    for path in (tmp_path, disk, secret):
        path.chmod(0o777)
    node = '{"driver": "raw", "file": {"driver": "file", "filename": "disk"}}'
    await run_tool("qemu-img", "resize", "-q", "json:" + node, str(2 << 20), cwd=tmp_path, fence=Fence())
    assert disk.stat().st_size == 2 << 20 and disk.read_bytes().startswith(before)
    assert secret.read_bytes() == b"s" * 4096


def test_nobody_else_runs_qemu_img() -> None:
    """A call around the fence would be one that nobody checks."""
    around = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            said = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
            runs = name in ("run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec")
            if runs and any(isinstance(word, str) and word.startswith("qemu-img") for word in said):
                around.append(f"{path}:{node.lineno}")
    assert around == []
