# SPDX-License-Identifier: Apache-2.0
"""Copies a root disk into one self-contained image and sends it to the image service.

The copy of a running guest is its disk at one instant (a backup job); the guest runs on meanwhile.
Copying needs the guest's turn, sending doesn't: send only what `copy` handed over, then close it. No
tool that reads what a guest wrote is more than that guest's own user, and none sees any other file.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import aiohttp
import msgspec

from skyhold.compute.drivers.base import GuestFailed, ImageTarget, NoRoom
from skyhold.compute.drivers.qemu.command import volume_node
from skyhold.compute.drivers.qemu.disks import DiskFile, check_space, files_of, no_room, trusted_header
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused, poll
from skyhold.core.tools import Fence, NotMade, ToolFailed, open_made, run_tool
from skyhold.image.drivers import sending

_COPY = "copy-"
_BASE, _MADE = "base", "made"
_COPY_S = 3600.0
_ABANDON_S = 60.0
_COPYING = Fence(memory_mb=4096, cpu_s=3600, wall_s=_COPY_S)


async def copy(guest: Guest, format_: str) -> BinaryIO:
    """An open file without a name: it is gone when it is closed, whatever happens."""
    name = f"{_COPY}{uuid.uuid4().hex[:12]}"
    live, work = guest.folder.run / name, guest.folder.path / name
    try:
        _check_space(guest)
        if guest.alive:
            await _copy_live(guest, name)
            if format_ == "qcow2":
                return _opened(live, guest)
        _make_workshop(work, guest)
        chain = _lend(live, work, "lent") if guest.alive else await _lend_chain(guest, work)
        await _convert(guest, work, chain, format_)
        return _opened(work / _MADE, guest)
    except ToolFailed as failed:
        raise NoRoom(f"The disk could not be copied: {failed}.") from failed
    except OSError as error:
        raise no_room(error) or error from error
    finally:
        live.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)


async def send(file: BinaryIO, target: ImageTarget, session: aiohttp.ClientSession) -> None:
    """Raises GuestFailed when the image service refuses, CantSend when it can't be reached."""
    try:
        await sending.send(file, os.fstat(file.fileno()).st_size, target, session)
    except sending.Refused as error:
        raise GuestFailed(str(error)) from error


async def copy_volume(guest: Guest, volume_id: str, target: Path) -> None:
    """What a running guest's volume holds at one instant, into a blank qcow2 of the same size."""
    talk, name = await guest.talk(), f"copy-{uuid.uuid4().hex[:12]}"
    fd = os.open(target, os.O_RDWR | os.O_CLOEXEC)
    try:
        fdset = await talk.add_fd(fd, name)
    finally:
        os.close(fd)
    file: dict[str, object] = {"driver": "file", "node-name": f"{name}-file", "filename": f"/dev/fdset/{fdset}"}
    try:
        await talk.run("blockdev-add", file)
        node: dict[str, object] = {"driver": "qcow2", "node-name": name, "file": f"{name}-file", "backing": None}
        await talk.run("blockdev-add", node)
        await _back_up(talk, volume_node(volume_id), name)
    finally:
        with suppress(GuestFailed):
            for each in (name, f"{name}-file"):
                with suppress(Refused):
                    await talk.run("blockdev-del", {"node-name": each})
            await talk.drop_fd(name)


def remove_leftovers(folder: Path) -> None:
    """Of copies that were cut short, in the folder of a guest."""
    for path in (folder / "run").glob(f"{_COPY}*"):
        path.unlink(missing_ok=True)
    for path in folder.glob(f"{_COPY}*"):
        shutil.rmtree(path, ignore_errors=True)


async def _copy_live(guest: Guest, name: str) -> None:
    fence = Fence(owner=guest.folder.owner)
    size = str(_size_of(guest))
    await run_tool("qemu-img", "create", "-q", "-f", "qcow2", name, size, cwd=guest.folder.run, fence=fence)
    talk = await guest.talk()
    try:
        await talk.run("blockdev-add", {"driver": "file", "node-name": f"{name}-file", "filename": name})
        await talk.run("blockdev-add", {"driver": "qcow2", "node-name": name, "file": f"{name}-file"})
        await _back_up(talk, "root", name)
    finally:
        for node in (name, f"{name}-file"):
            with suppress(GuestFailed):
                await talk.run("blockdev-del", {"node-name": node})


async def _back_up(talk: Monitor, source: str, target: str) -> None:
    job = {"job-id": target, "device": source, "target": target, "sync": "full", "auto-dismiss": False}
    await talk.run("blockdev-backup", job)
    try:
        await poll(lambda: _is_concluded(talk, target), _COPY_S)
    except BaseException:
        with suppress(GuestFailed):
            await _abandon(talk, target)
        raise
    error = (await _job(talk, target)).get("error")
    await talk.run("job-dismiss", {"id": target})
    if error:
        raise GuestFailed(f"The disk could not be copied: {error}.")


async def _abandon(talk: Monitor, job: str) -> None:
    await talk.run("job-cancel", {"id": job})
    await poll(lambda: _is_concluded(talk, job), _ABANDON_S)
    await talk.run("job-dismiss", {"id": job})


async def _is_concluded(talk: Monitor, job: str) -> bool:
    return (await _job(talk, job))["status"] == "concluded"


async def _job(talk: Monitor, job_id: str) -> dict[str, object]:
    listed = await talk.run("query-jobs")
    for job in listed if isinstance(listed, list) else []:
        if job["id"] == job_id:
            return dict(job)
    raise Refused("The copy of the disk was given up by QEMU.")


# Below: the tool that reads what a guest wrote. It is the guest's own user, in a folder with nothing but this disk.


def _make_workshop(work: Path, guest: Guest) -> None:
    """Beside `run` and not in it: there a guest that broke out of QEMU could put something in its place."""
    work.mkdir(mode=0o700)
    _hand_over(work, guest)


async def _lend_chain(guest: Guest, work: Path) -> dict[str, object]:
    """The disk of a stopped guest and the image below it, as QEMU's block layer is told of them."""
    file = _root_of(guest)
    trusted_header(guest.folder.run / file.name)
    chain = _lend(guest.folder.run / file.name, work, "lent")
    if file.base is not None:
        await _lend_image(file.base, work, guest)
        base: dict[str, object] = {"driver": file.base_format, "file": _file(_BASE)}
        if file.base_format == "qcow2":
            base["backing"] = None
        chain["backing"] = base
    return chain


def _lend(path: Path, work: Path, name: str) -> dict[str, object]:
    os.link(path, work / name, follow_symlinks=False)
    return _plain(name)


async def _lend_image(image: str, work: Path, guest: Guest) -> None:
    """`image` as it is named from `run`, which is beside `work`. It may be another name of the image store's own
    file, which is nobody else's to read and must not change hands: then it is copied, in no time where the file system
    shares blocks."""
    found = os.stat(work / image)
    if guest.folder.owner is None or found.st_mode & stat.S_IROTH:
        os.link(work / image, work / _BASE, follow_symlinks=False)
        return
    await run_tool("cp", "--reflink=auto", "--sparse=auto", "--", image, _BASE, cwd=work, fence=_COPYING)
    _hand_over(work / _BASE, guest)


async def _convert(guest: Guest, work: Path, source: dict[str, object], format_: str) -> None:
    # A format's own tables come on top of what it holds.
    most_mb = (_size_of(guest) >> 20) * 102 // 100 + 16
    fence = msgspec.structs.replace(_COPYING, owner=guest.folder.owner, file_mb=most_mb)
    node = "json:" + json.dumps(source)
    await run_tool("qemu-img", "convert", "-q", "-O", format_, node, _MADE, cwd=work, fence=fence)


def _opened(made: Path, guest: Guest) -> BinaryIO:
    try:
        return open_made(made, guest.folder.owner)
    except NotMade as error:
        raise GuestFailed("The copy of the disk is not what the host made; it is not sent.") from error


def _check_space(guest: Guest) -> None:
    """For all that was written: in the overlay, and in the image that it lies on."""
    file, run = _root_of(guest), guest.folder.run
    wanted = _written_bytes(run / file.name)
    if file.base is not None:
        wanted += _written_bytes(run / file.base)
    check_space(run, wanted)


def _written_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def _size_of(guest: Guest) -> int:
    return trusted_header(guest.folder.run / _root_of(guest).name).virtual_size_bytes


def _hand_over(path: Path, guest: Guest) -> None:
    if guest.folder.owner is not None:
        os.chown(path, guest.folder.owner, guest.folder.owner, follow_symlinks=False)


def _plain(name: str) -> dict[str, object]:
    return {"driver": "qcow2", "file": _file(name), "backing": None}


def _file(name: str) -> dict[str, object]:
    return {"driver": "file", "filename": name}


def _root_of(guest: Guest) -> DiskFile:
    return next(f for f in files_of(guest.wanted) if f.node == "root")
