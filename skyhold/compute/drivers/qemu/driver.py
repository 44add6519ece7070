# SPDX-License-Identifier: Apache-2.0
"""The QEMU driver: the verbs of base.GuestDriver, one guest's turn at a time.

What the verbs do is in boot.py, power.py, nics.py, volumes.py and snapshots.py; here is who may do it when,
what is remembered, and what is noticed unasked. Guests are processes of their own that don't end
with the agent: `start` finds them by their folders and their working directories.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import aiohttp
import structlog

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
    InstanceMetadata,
    NoRoom,
    NoVolumes,
    VolumeSource,
)
from skyhold.compute.drivers.qemu import accelerator, audit, console, host, nics, power, process, snapshots, volumes
from skyhold.compute.drivers.qemu.boot import ConfigDriveBuilder, Starter, TapSource
from skyhold.compute.drivers.qemu.disks import files_of, no_room
from skyhold.compute.drivers.qemu.folder import GONE, Folder
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.images import ImageCache

_HOUSEKEEPING_S = 10.0
_GRACEFUL_S = 60.0
T = TypeVar("T")
log = structlog.get_logger(__name__)


def _build_config_drive(metadata: InstanceMetadata, path: Path) -> None:
    # Imported late: making ISO 9660 takes a library that a guest without a config drive never needs.
    from skyhold.compute.drivers.config_drive import build

    build(metadata, path)


class _Removed(GuestFailed):
    """The guest went away before this call had its turn."""


class QemuDriver:
    """A base.GuestDriver. `state_dir` holds everything; it may be moved while no guest runs.

    `taps` gives descriptors of network ports, `volumes` says where volumes are. `image_unused_s` is how long a base
    file without overlays is kept for the next guest. `reserved_ram_mb` is held back for the machine itself.
    """

    def __init__(
        self,
        state_dir: Path,
        taps: TapSource,
        *,
        virt_type: accelerator.VirtType = "auto",
        config_drive_builder: ConfigDriveBuilder = _build_config_drive,
        volumes: VolumeSource | None = None,
        image_unused_s: float = 3600.0,
        reserved_ram_mb: int = 512,
    ) -> None:
        self._state_dir = state_dir
        self._folders = state_dir / "guests"
        self._virt_type = virt_type
        self._image_unused_s = image_unused_s
        self._reserved_ram_mb = reserved_ram_mb
        self._images = ImageCache(state_dir / "images", self._http)
        self._starter = Starter(taps, volumes or NoVolumes(), self._images, config_drive_builder, machine="q35")
        self._guests: dict[str, Guest] = {}
        self._announcer = Announcer()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._version = host.Version(0, 0, 0)
        self._stopping = False

    async def start(self) -> None:
        """Raises host.QemuMissing when there is no QEMU."""
        for folder in (self._state_dir, self._folders, self._images.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._version = await host.qemu_version()
        self._starter.machine = self._version.machine
        remembered = self._state_dir / "accelerator.json"
        self._starter.accelerator = await accelerator.choose(self._virt_type, remembered)
        await asyncio.to_thread(audit.clear_remains, self._folders, self._images)
        self._find_guests()
        await asyncio.gather(*(self._observe(guest) for guest in list(self._guests.values())))
        self._go(self._keep_house())

    async def stop(self) -> None:
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._images.close()
        for guest in self._guests.values():
            await guest.let_go()
        if self._session is not None:
            await self._session.close()

    async def inventory(self) -> HostInventory:
        return host.inventory(
            self._state_dir, self._version, self._starter.accelerator, self._reserved_ram_mb
        )

    async def ensure(self, spec: GuestSpec) -> GuestStatus:
        files_of(spec)
        while True:
            guest = self._guests.get(spec.guest_id)
            if guest is None:
                guest = Guest(Folder(self._folders, spec.guest_id), self._heed)
                self._guests[spec.guest_id] = guest
            try:
                return await self._change(guest, partial(self._ensure, guest, spec))
            except _Removed:
                continue  # it was on its way out when we came; this is the next of that name

    async def absent(self, guest_id: str) -> None:
        """Doesn't wait for what the guest is doing: removal interrupts it."""
        guest = self._guests.get(guest_id) or Guest(Folder(self._folders, guest_id), self._heed)
        guest.doomed = True
        if guest.work is not None:
            guest.work.cancel()
        if guest.process is not None:
            guest.process.kill()
        try:
            async with guest.lock:
                await self._remove(guest)
        except BaseException:
            # Called off while it waited for its turn, too: who wants the guest again would find it doomed for ever.
            guest.doomed = False
            raise
        if self._image_unused_s <= 0:
            await self._sweep_images()

    async def power(self, want: GuestPower) -> GuestStatus:
        guest = self._known(want.guest_id)
        return await self._change(
            guest, lambda: power.bring(self._starter, guest, want.power, want.graceful_s)
        )

    async def reboot(self, want: GuestReboot) -> GuestStatus:
        guest = self._known(want.guest_id)
        return await self._change(
            guest, lambda: power.reboot(self._starter, guest, hard=want.hard, graceful_s=want.graceful_s)
        )

    async def plug(self, want: GuestPlug) -> None:
        guest = self._known(want.guest_id)
        await self._turn(guest, lambda: nics.plug(self._starter.taps, guest, want.port))

    async def unplug(self, want: GuestUnplug) -> None:
        guest = self._known(want.guest_id)
        await self._turn(guest, lambda: nics.unplug(self._starter.taps, guest, want.port_id))

    async def attach(self, want: GuestAttach) -> None:
        guest = self._known(want.guest_id)
        await self._turn(guest, lambda: volumes.attach(self._starter.volumes, guest, want.volume))

    async def detach(self, want: GuestDetach) -> None:
        guest = self._known(want.guest_id)
        await self._turn(guest, lambda: volumes.detach(guest, want.volume_id))

    async def snapshot(self, want: GuestSnapshot) -> None:
        guest = self._known(want.guest_id)
        file = await self._turn(guest, lambda: snapshots.copy(guest, want.target.format))
        with file:
            await snapshots.send(file, want.target, self._http())

    async def copy_volume(self, volume_id: str, target: Path) -> bool:
        running = [guest for guest in self._guests.values() if guest.alive and not guest.doomed]
        guest = next((guest for guest in running if _has(guest, volume_id)), None)
        if guest is None:
            return False
        await self._turn(guest, lambda: snapshots.copy_volume(guest, volume_id, target))
        return True

    async def console(self, want: ConsoleRequest) -> ConsoleText:
        folder = self._known(want.guest_id).folder
        text = await asyncio.to_thread(console.tail, folder.serial_log, folder.serial_log_before, want.lines)
        return ConsoleText(text=text)

    async def list(self) -> GuestList:
        known = {str(g.folder.run.resolve()): g.process.pid for g in self._guests.values() if g.process}
        left = await asyncio.to_thread(audit.leftovers, self._folders, self._images, set(self._guests), known)
        return GuestList(guests=[g.status() for g in self._guests.values() if not g.doomed], leftovers=left)

    def console_socket(self, guest_id: str, kind: Literal["vnc", "serial"]) -> Path:
        """Where a console proxy meets the running guest: RFB without authentication, or raw bytes."""
        folder = self._known(guest_id).folder
        return folder.path / ("vnc.sock" if kind == "vnc" else "console.sock")

    def events(self) -> AsyncIterator[GuestStatus]:
        return self._announcer.listen()

    async def _ensure(self, guest: Guest, spec: GuestSpec) -> None:
        is_new = not guest.folder.exists()
        try:
            _refuse_other_hardware(guest, spec)
            if guest.alive and guest.spec is not None and _fixed(guest.spec) != _fixed(spec):
                await self._starter.bury(guest)  # another image or another set of disks: rebuilt
            volumes_before = guest.spec.volumes if guest.alive and guest.spec is not None else spec.volumes
            ports_before = guest.spec.ports if guest.alive and guest.spec is not None else spec.ports
            guest.folder.create()
            guest.describe(spec)
            if await power.settle(self._starter, guest) in ("stopped", "crashed"):
                await self._starter.prepare(guest, spec.metadata)
            await power.bring(self._starter, guest, spec.power, _GRACEFUL_S)
            if guest.alive and ports_before != spec.ports:
                await nics.match(self._starter.taps, guest, spec.ports)
            if guest.alive and volumes_before != spec.volumes:
                await volumes.match(self._starter.volumes, guest, spec.volumes)
        except (GuestFailed, NoRoom):
            if is_new:
                await self._remove(guest)
            raise

    async def _change(self, guest: Guest, work: Callable[[], Awaitable[None]]) -> GuestStatus:
        """A turn that ends by telling the caller the guest's power, so no event need tell it."""
        await self._turn(guest, work)
        guest.told = guest.record.power
        return guest.status()

    async def _turn(self, guest: Guest, work: Callable[[], Awaitable[T]]) -> T:
        """Runs `work` alone on this guest; a removal cuts it short."""
        async with guest.lock:
            if guest.doomed:
                raise _Removed("The guest is being removed.")
            task = asyncio.ensure_future(_as_coroutine(work))
            guest.work = task
            try:
                return await task
            except OSError as error:
                raise no_room(error) or error from error
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if guest.doomed and current is not None and not current.cancelling():
                    raise GuestFailed("The guest was removed meanwhile.") from None
                raise
            finally:
                guest.work = None
                self._heed(guest)

    def _known(self, guest_id: str) -> Guest:
        guest = self._guests.get(guest_id)
        if guest is None or guest.doomed:
            raise GuestFailed(f"There is no guest {guest_id} on this host.")
        return guest

    async def _remove(self, guest: Guest) -> None:
        guest.doomed = True
        await self._starter.bury(guest, kill=True)
        await asyncio.to_thread(process.kill_all_in, guest.folder.run)
        await asyncio.to_thread(guest.folder.remove)
        if self._guests.get(guest.id) is guest:
            del self._guests[guest.id]
        # Another removal may have been called off meanwhile, and have taken this back.
        guest.doomed = True

    def _find_guests(self) -> None:
        running = process.find_all(self._folders)
        for path in self._folders.iterdir():
            if path.name.startswith(GONE) or not path.is_dir():
                continue
            guest = Guest(Folder(self._folders, path.name), self._heed)
            self._guests[guest.id] = guest
            _adopt(guest, running.get(str(guest.folder.run.resolve()), []))

    def _heed(self, guest: Guest) -> None:
        if not self._stopping and not guest.doomed:
            self._go(self._observe(guest))

    async def _observe(self, guest: Guest) -> None:
        """Takes the guest's turn to see whether it changed without being asked; if so, tells."""
        async with guest.lock:
            if guest.doomed or guest.spec is None:
                return
            try:
                await power.settle(self._starter, guest)
            except GuestFailed as error:
                log.warning("guest can't be observed", guest_id=guest.id, error=str(error))
            if guest.record.power != guest.told:
                guest.told = guest.record.power
                self._announcer.tell(guest.status())

    def _go(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            try:
                for guest in list(self._guests.values()):
                    await asyncio.to_thread(_rotate, guest.folder)
                    if guest.is_unheard and not guest.lock.locked():
                        await self._observe(guest)
                await self._sweep_images()
            except (OSError, GuestFailed) as error:
                log.warning("housekeeping failed", error=str(error))

    async def _sweep_images(self) -> None:
        used = set()
        for guest in self._guests.values():
            for disk in guest.spec.disks if guest.spec else []:
                if disk.source is not None:
                    used.add(ImageCache.name_of(disk.source))
        await asyncio.to_thread(self._images.sweep, used, self._image_unused_s)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session


def _adopt(guest: Guest, pids: list[int]) -> None:
    for pid in sorted(pids):
        if process.lives(pid):
            guest.adopt(pid)
            return


def _refuse_other_hardware(guest: Guest, spec: GuestSpec) -> None:
    """Saved memory fits only the machine it was saved from."""
    if guest.alive or guest.spec is None or not guest.folder.suspended.exists():
        return
    parts = ("vcpus", "ram_mb", "ports", "volumes", "properties", "config_drive")
    changed = [name for name in parts if getattr(spec, name) != getattr(guest.spec, name)]
    if changed or files_of(spec) != files_of(guest.spec):
        raise GuestFailed("The guest is suspended; resume it before changing its hardware.")


def _fixed(spec: GuestSpec) -> tuple[object, ...]:
    """The disks that a guest keeps as long as it runs."""
    return files_of(spec), [volume.volume_id for volume in spec.volumes if volume.boot]


def _has(guest: Guest, volume_id: str) -> bool:
    return guest.spec is not None and any(volume.volume_id == volume_id for volume in guest.spec.volumes)


def _rotate(folder: Folder) -> None:
    console.rotate(folder.serial_log, folder.serial_log_before)
    console.rotate(folder.qemu_log, folder.qemu_log.with_suffix(".log.1"))


async def _as_coroutine(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
