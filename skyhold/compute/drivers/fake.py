# SPDX-License-Identifier: Apache-2.0
"""A hypervisor that runs nothing but behaves: for tests, demonstrations and tries at scale.

The real driver is in qemu/. It refuses and fails where the real one would, keeps its guests over a
restart of the agent, and can be told to fail, to be slow, and to lose a guest.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec

from skyhold.compute.drivers.announce import Announcer
from skyhold.compute.drivers.base import (
    ConsoleRequest,
    ConsoleText,
    GuestAttach,
    GuestDetach,
    GuestFailed,
    GuestList,
    GuestPlug,
    GuestPower,
    GuestReboot,
    GuestSnapshot,
    GuestSpec,
    GuestStatus,
    GuestUnplug,
    HostInventory,
    NoRoom,
    NoVolumes,
    VolumeSource,
)
from skyhold.compute.drivers.qemu.folder import with_port, with_volume, without_port, without_secrets, without_volume
from skyhold.core.qcow2 import empty
from skyhold.image.drivers import sending

_MOST_PLACES = 16
_MOST_CONSOLE_LINES = 1000
_UP = ("running", "paused")
# From the present power to the wished ones that make no sense, and the sentence for the user.
_SENSELESS = {
    ("suspended", "paused"): "The guest is suspended; resume it before pausing it.",
    ("stopped", "suspended"): "Only a running guest can be suspended.",
    ("crashed", "suspended"): "Only a running guest can be suspended.",
}


class _Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A guest, and one line of the file: a line without a spec changes what earlier ones said."""

    id: str
    spec: GuestSpec | None = None
    power: str = "stopped"
    since_us: int = 0
    said: list[str] = []
    gone: bool = False


class FakeDriver:
    """A base.GuestDriver. `state_dir` makes guests outlive this object, as real ones outlive an agent."""

    def __init__(
        self,
        *,
        vcpus: int = 64,
        ram_mb: int = 262_144,
        disk_gb: int = 10_240,
        state_dir: Path | None = None,
        accelerator: str = "fake",
        traits: list[str] | None = None,
        volumes: VolumeSource | None = None,
    ) -> None:
        self._offer = HostInventory(
            vcpus=vcpus,
            ram_mb=ram_mb,
            disk_gb=disk_gb,
            hypervisor_type="fake",
            hypervisor_version=1_000_000,
            accelerator=accelerator,
            accelerator_reason="nothing is run",
            cpu_model="fake",
            traits=traits or [],
        )
        self._volumes = volumes or NoVolumes()
        self._guests: dict[str, _Kept] = {}
        self._book = _Book(state_dir / "guests.jsonl") if state_dir is not None else None
        self._announcer = Announcer()
        self._failures: dict[str, list[Exception]] = defaultdict(list)
        self._delays: dict[str, float] = {}
        self._ram_mb = self._disk_bytes = 0
        self._session: aiohttp.ClientSession | None = None

    # What a test may tell it. Verbs are named as methods of the interface: "ensure", "power".

    def fail_next(self, verb: str, error: Exception, times: int = 1) -> None:
        """The next `times` calls of `verb` raise `error` before they change anything."""
        self._failures[verb].extend([error] * times)

    def delay(self, verb: str, seconds: float) -> None:
        """Every later call of `verb` takes that long; 0 ends it."""
        self._delays[verb] = seconds

    def crash(self, guest_id: str) -> None:
        """As if its process had been killed."""
        self._change_unasked(guest_id, "crashed")

    def shut_down(self, guest_id: str) -> None:
        """As if somebody inside had switched it off."""
        self._change_unasked(guest_id, "stopped")

    def say(self, guest_id: str, line: str) -> None:
        """One more line on its serial console."""
        guest = self._known(guest_id)
        guest.said = [*guest.said, line][-_MOST_CONSOLE_LINES:]
        self._write(guest)

    # The interface.

    async def start(self) -> None:
        if self._book is not None:
            self._guests = await asyncio.to_thread(self._book.open)
        self._ram_mb = sum(_ram_of(guest) for guest in self._guests.values())
        self._disk_bytes = sum(_disk_of(guest) for guest in self._guests.values())

    async def stop(self) -> None:
        if self._book is not None:
            self._book.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def inventory(self) -> HostInventory:
        return self._offer

    async def ensure(self, spec: GuestSpec) -> GuestStatus:
        await self._act("ensure")
        self._check(spec)
        before = self._guests.get(spec.guest_id)
        guest = _Kept(id=spec.guest_id, since_us=_now_us()) if before is None else _copy(before)
        guest.spec = without_secrets(spec)
        guest.power, guest.since_us = _moved(guest, spec.power)
        self._check_room(guest, before)
        self._put(guest)
        return _status(guest)

    async def absent(self, guest_id: str) -> None:
        await self._act("absent")
        guest = self._guests.pop(guest_id, None)
        if guest is None:
            return
        self._ram_mb -= _ram_of(guest)
        self._disk_bytes -= _disk_of(guest)
        if self._book is not None:
            self._book.write(_Kept(id=guest_id, gone=True))

    async def power(self, want: GuestPower) -> GuestStatus:
        await self._act("power")
        return self._move(self._known(want.guest_id), want.power)

    async def reboot(self, want: GuestReboot) -> GuestStatus:
        await self._act("reboot")
        guest = self._known(want.guest_id)
        if guest.power in _UP:
            self._move(guest, "stopped")
        return self._move(self._known(want.guest_id), "running")

    async def plug(self, want: GuestPlug) -> None:
        await self._act("plug")
        guest = self._unsuspended(want.guest_id)
        spec = with_port(_spec_of(guest), want.port)
        self._check(spec)
        self._describe(guest, spec)

    async def unplug(self, want: GuestUnplug) -> None:
        await self._act("unplug")
        guest = self._unsuspended(want.guest_id)
        self._describe(guest, without_port(_spec_of(guest), want.port_id))

    async def attach(self, want: GuestAttach) -> None:
        await self._act("attach")
        guest = self._unsuspended(want.guest_id, "volumes")
        spec = with_volume(_spec_of(guest), want.volume)
        self._check(spec)
        self._describe(guest, spec)

    async def detach(self, want: GuestDetach) -> None:
        await self._act("detach")
        guest = self._unsuspended(want.guest_id, "volumes")
        if any(volume.boot and volume.volume_id == want.volume_id for volume in _spec_of(guest).volumes):
            raise GuestFailed("The guest boots from this volume; it can't be detached.")
        self._describe(guest, without_volume(_spec_of(guest), want.volume_id))

    async def snapshot(self, want: GuestSnapshot) -> None:
        """Sends a tiny but valid image of zeroes."""
        await self._act("snapshot")
        self._known(want.guest_id)
        body = empty() if want.target.format == "qcow2" else bytes(1 << 20)
        self._session = self._session or aiohttp.ClientSession()
        try:
            await sending.send(body, len(body), want.target, self._session)
        except sending.Refused as error:
            raise GuestFailed(str(error)) from error

    async def copy_volume(self, volume_id: str, target: Path) -> bool:
        return False

    async def console(self, want: ConsoleRequest) -> ConsoleText:
        await self._act("console")
        guest = self._known(want.guest_id)
        lines = [*_boot_text(guest), *guest.said]
        if want.lines is not None:
            lines = lines[max(0, len(lines) - want.lines) :]
        return ConsoleText(text="".join(f"{line}\r\n" for line in lines))

    async def list(self) -> GuestList:
        await self._act("list")
        return GuestList(guests=[_status(guest) for guest in self._guests.values()])

    def events(self) -> AsyncIterator[GuestStatus]:
        return self._announcer.listen()

    # Below: how it keeps its word.

    async def _act(self, verb: str) -> None:
        if seconds := self._delays.get(verb):
            await asyncio.sleep(seconds)
        if self._failures[verb]:
            raise self._failures[verb].pop(0)

    def _known(self, guest_id: str) -> _Kept:
        guest = self._guests.get(guest_id)
        if guest is None:
            raise GuestFailed(f"There is no guest {guest_id} on this host.")
        return guest

    def _unsuspended(self, guest_id: str, what: str = "interfaces") -> _Kept:
        guest = self._known(guest_id)
        if guest.power == "suspended":
            raise GuestFailed(f"The guest is suspended; resume it before changing its {what}.")
        return guest

    def _check(self, spec: GuestSpec) -> None:
        _check(spec)
        for volume in spec.volumes:
            try:
                self._volumes.path_of(volume.volume_id)
            except KeyError as missing:
                raise GuestFailed(f"Volume {volume.volume_id} is not on this host.") from missing

    def _move(self, guest: _Kept, power: str) -> GuestStatus:
        after = _copy(guest)
        after.power, after.since_us = _moved(guest, power)
        self._check_room(after, guest)
        self._put(after)
        return _status(after)

    def _describe(self, guest: _Kept, spec: GuestSpec) -> None:
        after = _copy(guest)
        after.spec = spec
        self._put(after)

    def _change_unasked(self, guest_id: str, power: str) -> None:
        guest = self._known(guest_id)
        if guest.power in _UP:
            after = _copy(guest)
            after.power, after.since_us = power, _now_us()
            self._put(after)
            self._announcer.tell(_status(after))

    def _check_room(self, after: _Kept, before: _Kept | None) -> None:
        ram = self._ram_mb + _ram_of(after) - (_ram_of(before) if before else 0)
        disk = self._disk_bytes + _disk_of(after) - (_disk_of(before) if before else 0)
        if ram > self._offer.ram_mb:
            free = self._offer.ram_mb - self._ram_mb
            raise NoRoom(f"This host has {free} MiB of memory free; {_ram_of(after)} are needed.")
        if disk > self._offer.disk_gb << 30:
            raise NoRoom("This host has not enough disk left for the guest.")

    def _put(self, guest: _Kept) -> None:
        before = self._guests.get(guest.id)
        self._ram_mb += _ram_of(guest) - (_ram_of(before) if before else 0)
        self._disk_bytes += _disk_of(guest) - (_disk_of(before) if before else 0)
        self._guests[guest.id] = guest
        self._write(guest, before)

    def _write(self, guest: _Kept, before: _Kept | None = None) -> None:
        if self._book is not None:
            same_spec = before is not None and before.spec is guest.spec
            self._book.write(msgspec.structs.replace(guest, spec=None) if same_spec else guest)


class _Book:
    """A file of lines, each a guest as it was then; the last line of a guest counts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> dict[str, _Kept]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        guests: dict[str, _Kept] = {}
        for line in self._path.read_bytes().splitlines() if self._path.exists() else []:
            _replay(guests, line)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(msgspec.json.encode(guest) + b"\n" for guest in guests.values()))
        fresh.rename(self._path)
        self._file = self._path.open("ab", buffering=0)
        return guests

    def write(self, guest: _Kept) -> None:
        self._file.write(msgspec.json.encode(guest) + b"\n")

    def close(self) -> None:
        self._file.close()


def _replay(guests: dict[str, _Kept], line: bytes) -> None:
    try:
        guest = msgspec.json.decode(line, type=_Kept)
    except msgspec.MsgspecError:
        return  # the last line, cut short when the agent was killed
    if guest.gone:
        guests.pop(guest.id, None)
        return
    if guest.spec is None and guest.id in guests:
        guest.spec = guests[guest.id].spec
    guests[guest.id] = guest


def _check(spec: GuestSpec) -> None:
    if [disk.role for disk in spec.disks].count("root") + sum(volume.boot for volume in spec.volumes) != 1:
        raise GuestFailed("A guest needs exactly one root disk.")
    if len(spec.ports) + sum(not volume.boot for volume in spec.volumes) > _MOST_PLACES:
        raise GuestFailed(f"A guest can have at most {_MOST_PLACES} network interfaces and volumes together.")
    for disk in spec.disks:
        if disk.source is not None and disk.size_bytes < disk.source.virtual_size_bytes:
            raise GuestFailed("The disk is too small for the image.")


def _moved(guest: _Kept, power: str) -> tuple[str, int]:
    """Power and since when, after a wish. Raises GuestFailed for a way that makes no sense."""
    if (guest.power, power) in _SENSELESS:
        raise GuestFailed(_SENSELESS[guest.power, power])
    return (power, guest.since_us) if power == guest.power else (power, _now_us())


def _copy(guest: _Kept) -> _Kept:
    return msgspec.structs.replace(guest)


def _spec_of(guest: _Kept) -> GuestSpec:
    if guest.spec is None:
        raise GuestFailed("The guest's description is missing on this host; it has to be made again.")
    return guest.spec


def _ram_of(guest: _Kept) -> int:
    return guest.spec.ram_mb if guest.spec is not None and guest.power in _UP else 0


def _disk_of(guest: _Kept) -> int:
    return sum(disk.size_bytes for disk in guest.spec.disks) if guest.spec is not None else 0


def _status(guest: _Kept) -> GuestStatus:
    ports = None if guest.spec is None else [port.port_id for port in guest.spec.ports]
    volumes = None if guest.spec is None else [volume.volume_id for volume in guest.spec.volumes]
    return GuestStatus(
        guest_id=guest.id, power=guest.power, since_us=guest.since_us, ports=ports, volumes=volumes  # type: ignore[arg-type]
    )


def _boot_text(guest: _Kept) -> list[str]:
    """What a small Linux prints from the firmware to its login prompt."""
    spec = _spec_of(guest)
    name = spec.metadata.hostname or spec.name
    return [
        "SeaBIOS (version fake)",
        "Booting from Hard Disk...",
        "[    0.000000] Linux version 6.1.0-fake (skyhold@fake) #1 SMP",
        f"[    0.000000] Memory: {spec.ram_mb * 1024}K available",
        f"[    0.100000] smp: Brought up 1 node, {spec.vcpus} CPUs",
        *[f"[    0.{200 + n}000] virtio_net eth{n}: {port.mac}" for n, port in enumerate(spec.ports)],
        "[    1.000000] EXT4-fs (vda2): mounted filesystem with ordered data mode",
        f"tiny-init: 1.20 metadata instance={spec.guest_id}",
        "tiny-init: 1.30 ssh-ready",
        f"{name} login:",
    ]


def _now_us() -> int:
    return time.time_ns() // 1000
