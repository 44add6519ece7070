# SPDX-License-Identifier: Apache-2.0
"""Brings a guest's process to life: files, taps, arguments, process, monitor, in this order.

Ending it is power.py. Whatever fails on the way, or cancels it, leaves no process and no tap
behind; the files stay, because the next attempt finds them and goes on from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from skyhold.compute.drivers.base import (
    GuestFailed,
    GuestSpec,
    InstanceMetadata,
    NoRoom,
    VolumeDisk,
    VolumeSource,
)
from skyhold.compute.drivers.qemu import disks, monitor, process
from skyhold.compute.drivers.qemu.accelerator import Accelerator
from skyhold.compute.drivers.qemu.command import PORT_SLOTS, TOO_MANY, Launch, command
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.images import ImageCache

_ANSWER_S = 30.0
_INCOMING_S = 300.0
# What QEMU needs beside the guest's memory: code, translation cache, video memory, caches.
OVERHEAD_MB = 96

ConfigDriveBuilder = Callable[[InstanceMetadata, Path], None]


class TapSource(Protocol):
    """Who makes taps: the network engine. Raises KeyError for a port it doesn't know."""

    async def open_tap(self, port_id: str) -> int: ...
    async def close_tap(self, port_id: str) -> None: ...


class Starter:
    """`machine` is the versioned machine type that new guests get."""

    def __init__(
        self, taps: TapSource, volumes: VolumeSource, cache: ImageCache, build_config_drive: ConfigDriveBuilder,
        *, machine: str,
    ) -> None:
        self.taps = taps
        self.volumes = volumes
        self.machine = machine
        self.accelerator = Accelerator("tcg", "not measured yet")
        self._cache = cache
        self._build_config_drive = build_config_drive

    async def prepare(self, guest: Guest, metadata: InstanceMetadata) -> None:
        """Every file that a start needs, those that exist left alone; raises as disks.prepare."""
        spec, folder = guest.wanted, guest.folder
        try:
            await disks.prepare(spec, folder, self._cache)
            if spec.config_drive and not folder.config_drive.exists():
                await asyncio.to_thread(self._write_config_drive, folder.config_drive, metadata)
        except OSError as error:
            raise disks.no_room(error) or error from error

    async def start(self, guest: Guest) -> None:
        """Raises NoRoom or GuestFailed; the guest then has no process."""
        await self.prepare(guest, guest.wanted.metadata)
        check_memory(guest.wanted.ram_mb)
        await self._spawn(guest, self.machine, _places(guest.wanted, {}), None)
        guest.note("running")

    async def resume(self, guest: Guest) -> None:
        """From the saved state, which goes first: memory that is older than the disk would ruin what is on it."""
        check_memory(guest.wanted.ram_mb)
        saved = guest.folder.suspended
        machine = guest.record.machine or self.machine
        with ExitStack() as files:
            fd = os.open(saved, os.O_RDONLY)
            files.callback(os.close, fd)
            await self._spawn(guest, machine, _places(guest.wanted, guest.record.slots | guest.record.volume_slots), fd)
        try:
            await _wait_for_state(guest)
            saved.unlink()
            await (await guest.talk()).run("cont")
        except BaseException:
            await self.bury(guest, kill=True)
            raise
        guest.note("running")

    async def bury(self, guest: Guest, *, kill: bool = False) -> None:
        """The process is ended or to be ended now: no process, no taps, no sockets afterwards."""
        if guest.alive and not kill:
            with suppress(GuestFailed):
                await (await guest.talk(2)).run("quit", timeout_s=5)
                await _ended(guest, 10)
        if guest.alive and guest.process is not None:
            guest.process.kill()
            if not await guest.process.wait(20):
                raise GuestFailed("The guest's process can't be ended; the host's storage may hang.")
        await guest.hang_up()
        guest.process = None
        for port_id in guest.record.slots:
            await close_tap(self.taps, port_id)
        guest.folder.clear_sockets()

    async def _spawn(self, guest: Guest, machine: str, slots: dict[str, int], incoming: int | None) -> None:
        guest.folder.clear_sockets()
        ports = {port.port_id for port in guest.wanted.ports}
        guest.note_places({id: slot for id, slot in slots.items() if id in ports}, machine)
        guest.note_volume_places({id: slot for id, slot in slots.items() if id not in ports})
        try:
            await self._spawn_with_taps(guest, machine, slots, incoming)
            await guest.talk(_ANSWER_S)
        except BaseException as failure:
            ended = guest.process
            await self.bury(guest, kill=True)
            if isinstance(failure, monitor.Lost):
                raise GuestFailed(
                    f"QEMU did not start: {_last_words(guest.folder.qemu_log, ended)}"
                ) from failure
            raise

    async def _spawn_with_taps(
        self, guest: Guest, machine: str, slots: dict[str, int], incoming: int | None
    ) -> None:
        with ExitStack() as ours:
            taps = {}
            for port in guest.wanted.ports:
                taps[port.port_id] = await open_tap(self.taps, port.port_id)
                ours.callback(os.close, taps[port.port_id])
            volumes = {}
            for volume in guest.wanted.volumes:
                volumes[volume.volume_id] = open_volume(self.volumes, volume)
                ours.callback(os.close, volumes[volume.volume_id])
            server = ours.enter_context(monitor.listen(guest.folder.qmp))
            launch = Launch(
                accelerator=self.accelerator.name,
                machine=machine,
                qmp_fd=server.fileno(),
                taps=taps,
                slots=slots,
                volumes=volumes,
                owner=guest.folder.owner,
                incoming_fd=incoming,
                config_drive=guest.wanted.config_drive,
            )
            argv = command(guest.wanted, launch)
            fds = [server.fileno(), *taps.values(), *volumes.values(), *([incoming] if incoming is not None else [])]
            guest.watch(process.spawn(argv, guest.folder.run, guest.folder.qemu_log, fds))

    def _write_config_drive(self, path: Path, metadata: InstanceMetadata) -> None:
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        self._build_config_drive(metadata, fresh)
        fresh.rename(path)


async def open_tap(taps: TapSource, port_id: str) -> int:
    try:
        return await taps.open_tap(port_id)
    except KeyError as unknown:
        raise GuestFailed(f"The port {port_id} is not set up on this host.") from unknown


async def close_tap(taps: TapSource, port_id: str) -> None:
    with suppress(KeyError):
        await taps.close_tap(port_id)


def open_volume(volumes: VolumeSource, volume: VolumeDisk) -> int:
    """A descriptor to read and write by. Raises GuestFailed when the volume isn't here, or its header was altered."""
    try:
        path = volumes.path_of(volume.volume_id)
        if volume.format == "qcow2":
            disks.trusted_header(path)
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (KeyError, FileNotFoundError) as missing:
        raise GuestFailed(f"Volume {volume.volume_id} is not on this host.") from missing


def check_memory(ram_mb: int) -> None:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            free_mb = int(rest.split()[0]) // 1024
            if free_mb < ram_mb + OVERHEAD_MB:
                needed_mb = ram_mb + OVERHEAD_MB
                raise NoRoom(f"This host has {free_mb} MiB of memory free; {needed_mb} are needed.")


def _places(spec: GuestSpec, kept: dict[str, int]) -> dict[str, int]:
    """Port or volume id to root port, keeping the places of a saved state. Volumes take the last ones, in the order
    of their names, so that the guest finds them in it; what is plugged later finds a place between."""
    ports = [port.port_id for port in spec.ports]
    volumes = [volume.volume_id for volume in spec.volumes if not volume.boot]
    if len(ports) + len(volumes) > PORT_SLOTS:
        raise GuestFailed(TOO_MANY)
    slots = {id: kept[id] for id in (*ports, *volumes) if id in kept}
    free = [n for n in range(PORT_SLOTS) if n not in slots.values()]
    new_ports = [id for id in ports if id not in slots]
    new_volumes = [id for id in volumes if id not in slots]
    first = len(free) - len(new_volumes)
    return slots | dict(zip(new_ports, free[:first], strict=False)) | dict(zip(new_volumes, free[first:], strict=True))


async def _wait_for_state(guest: Guest) -> None:
    talk = await guest.talk()
    await monitor.poll(lambda: _has_come(talk), _INCOMING_S, 0.02)


async def _has_come(talk: monitor.Monitor) -> bool:
    return await talk.status() != "inmigrate"


async def _ended(guest: Guest, timeout_s: float) -> None:
    if guest.process is not None:
        await guest.process.wait(timeout_s)


def _last_words(log: Path, ended: process.GuestProcess | None) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    status = ended.exit_status if ended is not None else None
    return f"{lines[-1] if lines else 'it said nothing'} (exit status {status})."
