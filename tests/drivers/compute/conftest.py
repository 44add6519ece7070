# SPDX-License-Identifier: Apache-2.0
"""What the compute driver tests stand on: an image, a place for snapshots, taps, and the two rigs.

A rig is a driver with what a test must be able to do to it from outside: make it crash, restart
its agent, look at what is left. The tests themselves don't know which driver they run on.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from skyhold.compute.drivers.base import (
    ConsoleRequest,
    DiskSpec,
    GuestSpec,
    GuestStatus,
    ImageSource,
    ImageTarget,
    InstanceMetadata,
    PortPlug,
    VolumeDisk,
)
from skyhold.compute.drivers.fake import FakeDriver
from skyhold.compute.drivers.qemu.driver import QemuDriver
from skyhold.compute.drivers.qemu.process import find_all
from tests.kit.patience import PATIENCE_S

GIB = 1 << 30
REPO = Path(__file__).parents[3]
TOKEN = "a-token-for-images"


@pytest.fixture(scope="session")
def image() -> ImageSource:
    """The tiny guest image: SKYHOLD_TEST_IMAGE, or built once by script/guest-image."""
    path = os.environ.get("SKYHOLD_TEST_IMAGE") or _build_image()
    said = subprocess.run(
        ["qemu-img", "info", "-f", "qcow2", "--output=json", path], check=True, capture_output=True
    )
    virtual = msgspec.json.decode(said.stdout)["virtual-size"]
    return source_of(Path(path), "qcow2", virtual)


def source_of(path: Path, format_: str, virtual_size_bytes: int, **changes: Any) -> ImageSource:
    content = path.read_bytes()
    source = ImageSource(
        image_id=str(uuid.uuid4()),
        format=format_,  # type: ignore[arg-type]
        size_bytes=len(content),
        virtual_size_bytes=virtual_size_bytes,
        sha512=hashlib.sha512(content).hexdigest(),
        path=str(path),
    )
    return msgspec.structs.replace(source, **changes)


def _build_image() -> str:
    built = subprocess.run([str(REPO / "script/guest-image")], check=True, capture_output=True, text=True)
    return built.stdout.strip().splitlines()[-1]


@dataclass
class ImageService:
    """Serves images and takes snapshots, as the image service would."""

    url: str = ""
    received: dict[str, bytes] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)
    gets: int = 0
    refuse_with: int | None = None
    hold: asyncio.Event | None = None

    def target(self, format_: str = "qcow2") -> ImageTarget:
        image_id = str(uuid.uuid4())
        url = f"{self.url}/{image_id}"
        return ImageTarget(image_id=image_id, url=url, token=TOKEN, format=format_)  # type: ignore[arg-type]

    async def put(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.refuse_with:
            return web.Response(status=self.refuse_with)
        assert request.headers["X-Auth-Token"] == TOKEN
        self.received[request.match_info["name"]] = body
        return web.Response(status=204)

    async def get(self, request: web.Request) -> web.Response:
        self.gets += 1
        if self.hold is not None:
            await self.hold.wait()
        if request.headers.get("X-Auth-Token") != TOKEN:
            return web.Response(status=401)
        return web.Response(body=self.served[request.match_info["name"]])


@pytest.fixture
async def images() -> AsyncIterator[ImageService]:
    service = ImageService()
    app = web.Application(client_max_size=GIB)
    app.router.add_put("/{name}", service.put)
    app.router.add_get("/{name}", service.get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


class Taps:
    """Each tap lives in a network namespace that is gone with its last descriptor."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.open: set[str] = set()

    async def open_tap(self, port_id: str) -> int:
        if port_id in self.unknown:
            raise KeyError(port_id)
        self.open.add(port_id)
        return await asyncio.to_thread(_tap_in_its_own_namespace)

    async def close_tap(self, port_id: str) -> None:
        self.open.discard(port_id)


def _tap_in_its_own_namespace() -> int:
    """Namespaces belong to threads: a fresh one moves itself, opens the tap, and ends."""
    found: list[int] = []

    def work() -> None:
        assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0, "CLONE_NEWNET needs root"
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x0002 | 0x1000 | 0x4000))
        found.append(fd)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


class Volumes:
    """This host's volumes, as the volume service's driver keeps them: out of the guests' reach."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def path_of(self, volume_id: str) -> Path:
        path = self._folder / volume_id
        if not path.exists():
            raise KeyError(volume_id)
        return path

    def make(
        self, format_: str = "qcow2", size_bytes: int = GIB, source: ImageSource | None = None, **more: Any
    ) -> VolumeDisk:
        volume_id = str(uuid.uuid4())
        path = self._folder / volume_id
        if source is not None:
            argv = ["qemu-img", "convert", "-q", "-f", source.format, "-O", format_, str(source.path), str(path)]
            subprocess.run(argv, check=True)
            subprocess.run(["qemu-img", "resize", "-q", "-f", format_, str(path), str(size_bytes)], check=True)
        else:
            subprocess.run(["qemu-img", "create", "-q", "-f", format_, str(path), str(size_bytes)], check=True)
        return VolumeDisk(volume_id=volume_id, format=format_, size_bytes=size_bytes, **more)  # type: ignore[arg-type]


class FakeRig:
    name = "fake"

    def __init__(self, folder: Path, image: ImageSource) -> None:
        self._folder = folder
        self.image = image
        self.volumes = Volumes(folder / "volumes")
        self.driver = FakeDriver(state_dir=folder, volumes=self.volumes)

    async def restart(self) -> None:
        await self.driver.stop()
        self.driver = FakeDriver(state_dir=self._folder, volumes=self.volumes)
        await self.driver.start()

    def crash(self, guest_id: str) -> None:
        self.driver.crash(guest_id)

    def leftovers(self) -> list[str]:
        return []


class QemuRig:
    name = "qemu"

    def __init__(self, folder: Path, image: ImageSource) -> None:
        self.folder = folder
        self.image = image
        self.taps = Taps()
        self.volumes = Volumes(folder / "volumes")
        self.driver = self.make()

    def make(self, **options: Any) -> QemuDriver:
        return QemuDriver(self.folder, self.taps, virt_type="tcg", volumes=self.volumes, **options)

    async def restart(self, **options: Any) -> None:
        await self.driver.stop()
        self.driver = self.make(**options)
        await self.driver.start()

    def pid(self, guest_id: str) -> int:
        (pid,) = find_all(self.folder / "guests")[str(self.run(guest_id).resolve())]
        return pid

    def run(self, guest_id: str) -> Path:
        return self.folder / "guests" / guest_id / "run"

    def crash(self, guest_id: str) -> None:
        os.kill(self.pid(guest_id), signal.SIGKILL)

    def leftovers(self) -> list[str]:
        return [p.name for p in (self.folder / "guests").iterdir()] + [
            str(pid) for pids in find_all(self.folder / "guests").values() for pid in pids
        ]

    async def text(self, guest_id: str) -> str:
        return (await self.driver.console(ConsoleRequest(guest_id=guest_id))).text

    async def until_text(self, guest_id: str, mark: str, times: int = 1) -> str:
        async def is_there() -> bool:
            return (await self.text(guest_id)).count(mark) >= times

        await until(is_there, 2 * PATIENCE_S)
        return await self.text(guest_id)

    def end_everything(self) -> None:
        for pids in find_all(self.folder / "guests").values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


Rig = FakeRig | QemuRig


@pytest.fixture(params=["fake", pytest.param("qemu", marks=pytest.mark.guest)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "fake":
        source = ImageSource(
            image_id="i", format="qcow2", size_bytes=1, virtual_size_bytes=1 << 20, sha512="0" * 128
        )
        made: Rig = FakeRig(tmp_path, source)
        await made.driver.start()
        yield made
        await made.driver.stop()
        return
    async for made in _qemu_rig(tmp_path, request.getfixturevalue("image")):
        yield made


@pytest.fixture
async def qemu(tmp_path: Path, image: ImageSource) -> AsyncIterator[QemuRig]:
    async for made in _qemu_rig(tmp_path, image):
        yield made


async def _qemu_rig(folder: Path, image: ImageSource) -> AsyncIterator[QemuRig]:
    made = QemuRig(folder, image)
    await made.driver.start()
    try:
        yield made
    finally:
        await made.driver.stop()
        made.end_everything()
        shutil.rmtree(folder, ignore_errors=True)


def spec(image: ImageSource | None, **changes: Any) -> GuestSpec:
    guest_id = changes.pop("guest_id", None) or str(uuid.uuid4())
    wanted = GuestSpec(
        guest_id=guest_id,
        name="web-1",
        vcpus=1,
        ram_mb=128,
        disks=[DiskSpec(role="root", size_bytes=GIB, source=image)],
        ports=[],
        metadata=InstanceMetadata(
            server_id=guest_id,
            project_id="p",
            name="web-1",
            hostname="web-1",
            availability_zone="nova",
            admin_pass="correct horse",
        ),
    )
    return msgspec.structs.replace(wanted, **changes)


def port(number: int = 1) -> PortPlug:
    return PortPlug(port_id=str(uuid.uuid4()), mac=f"fa:16:3e:00:00:{number:02x}", mtu=1450)


async def until(holds: Callable[[], Any], timeout_s: float) -> None:
    """`holds` is a function, or one that gives an awaitable."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = holds()
            if (await answer) if isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.02)


async def next_event(events: AsyncIterator[GuestStatus], timeout_s: float = PATIENCE_S) -> GuestStatus:
    return await asyncio.wait_for(anext(events), timeout_s)


async def power_of(driver: Any, guest_id: str) -> str | None:
    found = [g.power for g in (await driver.list()).guests if g.guest_id == guest_id]
    return found[0] if found else None
