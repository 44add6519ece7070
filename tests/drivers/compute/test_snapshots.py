# SPDX-License-Identifier: Apache-2.0
"""Copying the disk of a stopped guest: by whom, of what, and what is never sent. With the real qemu-img, and no guest.

Snapshots of guests that run are test_qemu.py; that a copy is whole is said of every driver in test_conformance.py.
"""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skyhold.compute.drivers.base import GuestFailed
from skyhold.compute.drivers.qemu import disks, snapshots
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.images import ImageCache
from skyhold.core.tools import Fence, ToolFailed, run_tool

from .test_disks import MIB, poisoned, spec_on

WORDS = b"what a disk may hold".ljust(512, b".") * 16
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="who isn't root has nobody to become")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The image in its store, which lets nobody read it."""
    path = tmp_path / "store" / "image"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(WORDS.ljust(MIB, b"\0"))
    path.chmod(0o600)
    return path


@pytest.fixture
async def guest(tmp_path: Path, stored: Path) -> Guest:
    """Stopped, on an image that is the store's own file by another name."""
    for name in ("images", "guests"):
        (tmp_path / name).mkdir(mode=0o700)
    folder = Folder(tmp_path / "guests", "guest")
    folder.create()
    made = Guest(folder, lambda _: None)
    made.describe(spec_on(stored, "raw", 4 * MIB))
    await disks.prepare(made.wanted, folder, ImageCache(tmp_path / "images", session=None))  # type: ignore[arg-type]
    return made


def raw_of(content: bytes, tmp_path: Path) -> bytes:
    (tmp_path / "got").write_bytes(content)
    argv = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(tmp_path / "got"), str(tmp_path / "got-raw")]
    subprocess.run(argv, check=True)
    return (tmp_path / "got-raw").read_bytes()


def left_by(guest: Guest) -> list[str]:
    return sorted(path.name for path in guest.folder.path.rglob("*") if path.is_dir() or "copy" in path.name)


def write(guest: Guest, content: Path) -> None:
    """As the guest writes to the start of its disk."""
    size = content.stat().st_size
    command = ["-f", "qcow2", "-c", f"write -s {content} 0 {size}", str(guest.folder.run / "root.qcow2")]
    subprocess.run(["qemu-io", *command], check=True, capture_output=True)


@pytest.mark.parametrize("to", ["qcow2", "raw"])
async def test_a_copy_holds_what_the_disk_holds_and_nothing_stays(guest: Guest, tmp_path: Path, to: str) -> None:
    with await snapshots.copy(guest, to) as file:
        content = file.read()
    assert (content if to == "raw" else raw_of(content, tmp_path)) == WORDS.ljust(4 * MIB, b"\0")
    assert left_by(guest) == ["run"]


@NEEDS_ROOT
async def test_no_tool_that_reads_what_a_guest_wrote_is_more_than_that_guest(
    guest: Guest, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees the one disk it copies: whatever a guest puts into its tables, there is nothing to be had."""
    ran: list[str] = []

    async def watched(*argv: str, cwd: Path, fence: Fence) -> str:
        ran.append(argv[0])
        if argv[0] == "cp":
            # It looks at no byte of what it copies.
            return await run_tool(*argv, cwd=cwd, fence=fence)
        assert fence.owner == guest.folder.owner and fence.owner and fence.file_mb == 4 + 16
        assert not any("/" in word for word in argv[1:])
        assert {os.stat(os.path.join(cwd, name)).st_uid for name in (".", *os.listdir(cwd))} == {fence.owner}
        for other in ("../run", "../../../store", str(guest.folder.run), "../../../images", str(stored)):
            with pytest.raises(ToolFailed):
                await run_tool("ls", other, cwd=cwd, fence=fence)
        return await run_tool(*argv, cwd=cwd, fence=fence)

    monkeypatch.setattr(snapshots, "run_tool", watched)
    (await snapshots.copy(guest, "qcow2")).close()
    assert ran == ["cp", "qemu-img"]
    found = os.stat(stored)
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o600), "the store's own file changed hands"


@NEEDS_ROOT
async def test_an_image_that_may_be_read_is_not_copied(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host fetched it itself: in folders that nobody can enter, its mode says nothing."""
    (image,) = (tmp_path / "images").iterdir()
    image.chmod(0o644)
    ran: list[str] = []

    async def watched(*argv: str, **more: Any) -> str:
        ran.append(argv[0])
        return await run_tool(*argv, **more)

    monkeypatch.setattr(snapshots, "run_tool", watched)
    with await snapshots.copy(guest, "raw") as file:
        assert file.read() == WORDS.ljust(4 * MIB, b"\0")
    assert ran == ["qemu-img"]


async def test_cve_2024_40767_what_a_guest_writes_is_content_whatever_it_looks_like(
    guest: Guest, tmp_path: Path
) -> None:
    """A raw image whose guest wrote a qcow2 header that names a file of the host."""
    head = poisoned(tmp_path / "head")
    head.write_bytes(head.read_bytes()[:4096])
    write(guest, head)
    with await snapshots.copy(guest, "qcow2") as file:
        content = raw_of(file.read(), tmp_path)
    assert content == head.read_bytes() + WORDS[4096:].ljust(4 * MIB - 4096, b"\0")


async def test_a_header_that_a_guest_rewrote_is_not_believed(guest: Guest, tmp_path: Path) -> None:
    """A guest that broke out of QEMU can write its disk's file: nobody follows it to other files."""
    with (guest.folder.run / "root.qcow2").open("r+b") as file:
        file.seek(8)
        (at,) = struct.unpack(">Q", file.read(8))
        file.write(struct.pack(">I", len(b"/etc/shadow")))
        file.seek(at)
        file.write(b"/etc/shadow")
    with await snapshots.copy(guest, "raw") as file:
        assert file.read() == WORDS.ljust(4 * MIB, b"\0")


@pytest.mark.parametrize("trick", ["a link", "another's file", "a pipe"])
async def test_what_a_tool_put_in_the_place_of_its_copy_is_not_sent(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: str
) -> None:
    """Taken over by what it read, it could name a file that only the agent may read."""
    secret = tmp_path / "secret"
    secret.write_text("the machine's")

    async def taken_over(*argv: str, cwd: Path, fence: Fence) -> str:
        said = await run_tool(*argv, cwd=cwd, fence=fence)
        if argv[0] == "qemu-img":
            made = cwd / "made"
            made.unlink()
            match trick:
                case "a link":
                    made.symlink_to(secret)
                case "another's file":
                    os.link(secret, made)
                case _:
                    os.mkfifo(made)
        return said

    if trick == "another's file" and os.geteuid() != 0:
        pytest.skip("whatever is there is our own")
    monkeypatch.setattr(snapshots, "run_tool", taken_over)
    with pytest.raises(GuestFailed, match="not what the host made"):
        await snapshots.copy(guest, "raw")
    assert left_by(guest) == ["run"]


async def test_what_a_killed_agent_left_of_a_copy_goes_at_the_next_start(guest: Guest) -> None:
    work = guest.folder.path / "copy-dead"
    work.mkdir()
    for path in (work / "made", guest.folder.run / "copy-dead"):
        path.write_bytes(b"half")
    snapshots.remove_leftovers(guest.folder.path)
    assert left_by(guest) == ["run"]
    assert (guest.folder.run / "root.qcow2").exists()
