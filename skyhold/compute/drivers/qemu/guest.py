# SPDX-License-Identifier: Apache-2.0
"""One guest as the driver holds it in memory: its folder, its process, its monitor, its turn.

Changing it is the business of boot.py, power.py, nics.py and snapshots.py, each of which is given
a Guest whose turn it has. `record.power` is what was last seen or done, `told` what was last told
to somebody: a difference between them that outlasts a turn is an event.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from skyhold.compute.drivers.base import GuestFailed, GuestSpec, GuestStatus
from skyhold.compute.drivers.qemu import process as processes
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.compute.drivers.qemu.monitor import Lost, Monitor

_POWER_EVENTS = {"STOP", "RESUME", "SHUTDOWN", "GUEST_PANICKED", "BLOCK_IO_ERROR", "WAKEUP", "SUSPEND"}
_POWER_OF = {
    "running": "running",
    "suspended": "running",
    "guest-panicked": "crashed",
    "internal-error": "crashed",
    "shutdown": "shutdown",
}


class Guest:
    """`on_news` is called when the guest may have changed power; it must not block."""

    def __init__(self, folder: Folder, on_news: Callable[[Guest], None]) -> None:
        self.folder = folder
        self.id = folder.guest_id
        self.spec: GuestSpec | None = folder.load_spec()
        self.record = folder.load_record()
        self.told: str = self.record.power
        self.process: processes.GuestProcess | None = None
        self.monitor: Monitor | None = None
        self.lock = asyncio.Lock()
        self.work: asyncio.Task[object] | None = None
        self.doomed = False
        self.stirred = asyncio.Event()
        self._on_news = on_news

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.process.ended.is_set()

    @property
    def is_unheard(self) -> bool:
        return self.alive and (self.monitor is None or self.monitor.is_lost)

    @property
    def wanted(self) -> GuestSpec:
        if self.spec is None:
            raise GuestFailed("The guest's description is missing on this host; it has to be made again.")
        return self.spec

    def status(self) -> GuestStatus:
        ports = None if self.spec is None else [port.port_id for port in self.spec.ports]
        volumes = None if self.spec is None else [volume.volume_id for volume in self.spec.volumes]
        return GuestStatus(
            guest_id=self.id, power=self.record.power, since_us=self.record.since_us,  # type: ignore[arg-type]
            ports=ports, volumes=volumes,
        )

    def note(self, power: str) -> None:
        if power != self.record.power or not self.record.since_us:
            self._keep(power=power, since_us=time.time_ns() // 1000)

    def note_places(self, slots: dict[str, int], machine: str | None = None) -> None:
        self._keep(slots=slots, machine=machine or self.record.machine)

    def note_volume_places(self, slots: dict[str, int]) -> None:
        self._keep(volume_slots=slots)

    def describe(self, spec: GuestSpec) -> None:
        self.folder.save_spec(spec)
        self.spec = self.folder.load_spec()

    def watch(self, child: subprocess.Popen[bytes]) -> None:
        """Take a process that was just started as this guest's."""
        self.process = processes.GuestProcess(child.pid, child, self._ended)

    def adopt(self, pid: int) -> None:
        """Take a process that an earlier agent started."""
        with suppress(ProcessLookupError):
            self.process = processes.GuestProcess(pid, None, self._ended)

    async def talk(self, timeout_s: float = 10.0) -> Monitor:
        """The conversation, begun again if it broke off. Raises Lost."""
        if not self.alive:
            raise Lost("The guest is not running.")
        if self.monitor is not None and self.monitor.is_lost:
            await self.hang_up()
        if self.monitor is None:
            self.monitor = await Monitor.connect(self.folder.qmp, self._hear, timeout_s)
        return self.monitor

    async def look(self) -> str:
        """Its power by what is, or `shutdown` for the shell of a guest that switched itself off."""
        if not self.alive:
            if self.folder.suspended.exists():
                return "suspended"
            return "crashed" if self.record.power in ("running", "paused") else self.record.power
        try:
            return _POWER_OF.get(await (await self.talk()).status(), "paused")
        except Lost:
            await self.hang_up()
            return self.record.power if self.alive else await self.look()

    async def hang_up(self) -> None:
        monitor, self.monitor = self.monitor, None
        if monitor is not None:
            await monitor.close()

    async def let_go(self) -> None:
        await self.hang_up()
        if self.process is not None:
            self.process.let_go()

    def _keep(self, **changes: object) -> None:
        self.record = msgspec.structs.replace(self.record, **changes)
        if self.folder.exists():
            self.folder.save_record(self.record)

    def _hear(self, event: str, _: dict[str, object]) -> None:
        if event in _POWER_EVENTS:
            self._stir()

    def _ended(self) -> None:
        self._stir()

    def _stir(self) -> None:
        self.stirred.set()
        self._on_news(self)
