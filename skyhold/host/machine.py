# SPDX-License-Identifier: Apache-2.0
"""One machine put together: its drivers, its metadata server and its agent, by the settings.

The agent's own logic is agent.py. Drivers are imported only when chosen, so that a fake host
starts without QEMU or netlink libraries.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from skyhold.compute.drivers.base import GuestDriver, GuestFailed
from skyhold.core.settings.whole import Settings
from skyhold.host import verbs
from skyhold.host.agent import Agent
from skyhold.host.fences import Fences
from skyhold.host.metadata.server import MetadataServer
from skyhold.host.shelf import MetadataShelf
from skyhold.network.drivers.base import NetworkEngine
from skyhold.volume.drivers.base import VolumeDriver, VolumeFailed

log = structlog.get_logger("host")

INVENTORY_S = 60.0


class Machine:
    """`run` until cancelled. Guests and the data plane stay when it ends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state_dir = settings.hosts_dir / "local"
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.host_id = settings.host_uuid
        self.name = settings.host_name
        self.metadata = MetadataServer()
        self.engine: NetworkEngine = make_engine(settings, self.state_dir, self.metadata)
        self.volumes: VolumeDriver = make_volumes(settings, self.state_dir, GuestCopies(self))
        self.driver: GuestDriver = make_driver(settings, self.state_dir, self.engine, self.volumes)

    async def run(self) -> None:
        shelf = MetadataShelf(self.state_dir / "metadata", self.metadata)
        self.metadata.on_password(shelf.keep_password)
        await self.engine.start()
        await self.volumes.start()
        await self.driver.start()
        shelf.keep_only({guest.guest_id for guest in (await self.driver.list()).guests})
        agent = Agent(
            host_id=self.host_id, name=self.name, socket_path=self.settings.bus_socket,
            verbs=verbs.bind(self.driver, self.engine, self.volumes, shelf),
            fences=Fences(self.state_dir / "fences"), greet=self._greet,
        )
        listeners = [
            asyncio.create_task(forward(agent, "guest.changed", self.driver.events())),
            asyncio.create_task(forward(agent, "port.changed", self.engine.events())),
            asyncio.create_task(self._watch(agent, "host.inventory", self._inventory)),
            asyncio.create_task(self._watch(agent, "volume.pool", self.volumes.pool)),
        ]
        try:
            await agent.run()
        finally:
            for task in listeners:
                task.cancel()
            await self.driver.stop()
            await self.volumes.stop()
            await self.engine.stop()
            await self.metadata.close_all()

    async def _greet(self) -> list[tuple[str, Any]]:
        return [("host.inventory", await self._inventory()), ("volume.pool", await self.volumes.pool())]

    async def _inventory(self) -> Any:
        """The driver's, and what is true of the machine whatever runs its guests."""
        offered = await self.driver.inventory()
        return msgspec.structs.replace(offered, host_ip=own_address(), booted_at_s=booted_at_s())

    async def _watch(self, agent: Agent, topic: str, offered: Callable[[], Awaitable[Any]]) -> None:
        """Report what the machine offers whenever that is another."""
        last = None
        while True:
            try:
                now = await offered()
            except Exception:
                # A disk that can't be asked now may be asked in a minute; what was told last stands until then.
                log.exception("inventory not read", topic=topic)
            else:
                if now != last:
                    agent.report(topic, now)
                last = now
            await asyncio.sleep(INVENTORY_S)


def own_address() -> str:
    """The address that others reach this machine by: the one it would use itself. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def booted_at_s() -> int:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0


async def forward(agent: Agent, topic: str, events: AsyncIterator[Any]) -> None:
    async for event in events:
        agent.report(topic, event)


def make_engine(settings: Settings, state_dir: Path, metadata: MetadataServer) -> NetworkEngine:
    if settings.host.network == "fake":
        from skyhold.network.drivers.fake import FakeEngine

        return FakeEngine()
    from skyhold.network.drivers.native.engine import NativeEngine

    return NativeEngine(settings.cloud_id, state_dir / "network", metadata)


def make_driver(
    settings: Settings, state_dir: Path, engine: NetworkEngine, volumes: VolumeDriver
) -> GuestDriver:
    host = settings.host
    if host.hypervisor == "fake":
        from skyhold.compute.drivers.fake import FakeDriver

        return FakeDriver(
            vcpus=host.fake_vcpus, ram_mb=host.fake_ram_mb, disk_gb=host.fake_disk_gb, state_dir=state_dir,
            volumes=volumes,
        )
    from skyhold.compute.drivers.qemu.driver import QemuDriver

    return QemuDriver(
        settings.guests_dir, engine, virt_type=host.virt_type, volumes=volumes, reserved_ram_mb=host.reserved_ram_mb
    )


class GuestCopies:
    """Copies of volumes that running guests have open, for the driver of volumes: only QEMU can read those."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def copy_volume(self, volume_id: str, target: Path) -> bool:
        try:
            return await self._machine.driver.copy_volume(volume_id, target)
        except GuestFailed as error:
            raise VolumeFailed(str(error)) from error


def make_volumes(settings: Settings, state_dir: Path, copies: GuestCopies) -> VolumeDriver:
    if settings.host.hypervisor == "fake":
        from skyhold.volume.drivers.fake import FakeVolumes

        return FakeVolumes(disk_gb=settings.host.fake_disk_gb, state_dir=state_dir)
    from skyhold.volume.drivers.file import FileVolumes

    return FileVolumes(state_dir / "volumes", copies)
