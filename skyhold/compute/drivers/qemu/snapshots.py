# SPDX-License-Identifier: Apache-2.0
"""Copies a root disk into one self-contained image and sends it to the image service.

The copy of a running guest is its disk at one instant (a backup job); the guest runs on meanwhile.
Copying needs the guest's turn, sending doesn't: send only what `copy` handed over, then close it.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import aiohttp

from skyhold.compute.drivers.base import GuestFailed, ImageTarget, NoRoom
from skyhold.compute.drivers.qemu.command import volume_node
from skyhold.compute.drivers.qemu.disks import DiskFile, check_space, files_of, no_room, trusted_header
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused, poll
from skyhold.core.tools import Fence, ToolFailed, run_tool
from skyhold.image.drivers import sending

_COPY_S = 3600.0
_ABANDON_S = 60.0
_COPYING = Fence(memory_mb=4096, cpu_s=3600, wall_s=_COPY_S)


async def copy(guest: Guest, format_: str) -> BinaryIO:
    """An open file without a name: it is gone when it is closed, whatever happens."""
    run = guest.folder.run
    made: list[Path] = []
    try:
        check_space(run, (run / _root_of(guest).name).stat().st_blocks * 512)
        whole = await _copy_live(guest, made) if guest.alive else await _convert_chain(guest, made, format_)
        if guest.alive and format_ != "qcow2":
            whole = await _convert(guest, made, _plain(whole.name), format_)
        return whole.open("rb")
    except ToolFailed as failed:
        raise NoRoom(f"The disk could not be copied: {failed}.") from failed
    except OSError as error:
        raise no_room(error) or error from error
    finally:
        for path in made:
            path.unlink(missing_ok=True)


async def send(file: BinaryIO, target: ImageTarget, session: aiohttp.ClientSession) -> None:
    """Raises GuestFailed when the image service refuses, NoRoom when it can't be reached."""
    try:
        await sending.send(file, os.fstat(file.fileno()).st_size, target, session)
    except sending.Refused as error:
        raise GuestFailed(str(error)) from error
    except sending.CantSend as error:
        raise NoRoom(str(error)) from error


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


def remove_leftovers(run: Path) -> None:
    for path in run.glob("copy-*"):
        path.unlink(missing_ok=True)


async def _copy_live(guest: Guest, made: list[Path]) -> Path:
    name = _fresh(guest, made)
    size = trusted_header(guest.folder.run / _root_of(guest).name).virtual_size_bytes
    fence = Fence(owner=guest.folder.owner)
    await run_tool(
        "qemu-img", "create", "-q", "-f", "qcow2", name, str(size), cwd=guest.folder.run, fence=fence
    )
    talk = await guest.talk()
    try:
        await talk.run("blockdev-add", {"driver": "file", "node-name": f"{name}-file", "filename": name})
        await talk.run("blockdev-add", {"driver": "qcow2", "node-name": name, "file": f"{name}-file"})
        await _back_up(talk, "root", name)
    finally:
        for node in (name, f"{name}-file"):
            with suppress(GuestFailed):
                await talk.run("blockdev-del", {"node-name": node})
    return guest.folder.run / name


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


async def _convert_chain(guest: Guest, made: list[Path], format_: str) -> Path:
    file = _root_of(guest)
    trusted_header(guest.folder.run / file.name)
    chain = _plain(file.name)
    if file.base is not None:
        base: dict[str, object] = {"driver": file.base_format, "file": _file(file.base)}
        if file.base_format == "qcow2":
            base["backing"] = None
        chain["backing"] = base
    return await _convert(guest, made, chain, format_)


async def _convert(guest: Guest, made: list[Path], source: dict[str, object], format_: str) -> Path:
    name = _fresh(guest, made)
    await run_tool(
        "qemu-img", "convert", "-q", "-O", format_, "json:" + json.dumps(source), name,
        cwd=guest.folder.run, fence=_COPYING,
    )  # fmt: skip
    return guest.folder.run / name


def _fresh(guest: Guest, made: list[Path]) -> str:
    name = f"copy-{uuid.uuid4().hex[:12]}"
    made.append(guest.folder.run / name)
    return name


def _plain(name: str) -> dict[str, object]:
    return {"driver": "qcow2", "file": _file(name), "backing": None}


def _file(name: str) -> dict[str, object]:
    return {"driver": "file", "filename": name}


def _root_of(guest: Guest) -> DiskFile:
    return next(f for f in files_of(guest.wanted) if f.node == "root")
