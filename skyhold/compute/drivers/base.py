# SPDX-License-Identifier: Apache-2.0
"""The interface between compute and whatever runs guests, as verbs and frozen structs.

The fake driver is in fake.py and the QEMU one in qemu/; the agent that calls them is in
skyhold.host. Every verb states a wish and is idempotent: asking twice is the same as asking once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from skyhold.image.drivers.hosts import ImageSource, ImageTarget

__all__ = ["ImageSource", "ImageTarget"]

Power = Literal["running", "stopped", "paused", "suspended"]


class DiskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One local disk. `root` has a source image, and is not there when a volume is booted from; `ephemeral` and
    `swap` are blank."""

    role: Literal["root", "ephemeral", "swap"]
    size_bytes: int
    source: ImageSource | None = None


class VolumeDisk(msgspec.Struct, frozen=True, kw_only=True):
    """One attached volume. The host knows by `volume_id` where its bytes are; `boot` makes it the guest's root disk,
    which then needs no local one. `format` is what the volume service wrote, never guessed."""

    volume_id: str
    format: Literal["raw", "qcow2"]
    size_bytes: int
    boot: bool = False


class PortPlug(msgspec.Struct, frozen=True, kw_only=True):
    """A network port as a guest sees it; the data plane is asked for its tap by `port_id`."""

    port_id: str
    mac: str
    mtu: int
    tag: str | None = None


class InstanceMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a server may read about itself, by config drive or from 169.254.169.254."""

    server_id: str
    project_id: str
    name: str
    hostname: str
    availability_zone: str
    launch_index: int = 0
    reservation_id: str = ""
    instance_type: str = ""
    image_id: str = ""
    public_keys: dict[str, str] = {}
    meta: dict[str, str] = {}
    user_data: bytes | None = None
    random_seed: bytes = b""
    admin_pass: str | None = None
    network_data: dict[str, object] = {}
    """network_data.json, ready to serve."""
    port_ids: list[str] = []
    fixed_ips: list[str] = []
    floating_ips: list[str] = []
    security_groups: list[str] = []


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to make one guest exist, as wished."""

    guest_id: str
    name: str
    vcpus: int
    ram_mb: int
    disks: list[DiskSpec]
    ports: list[PortPlug]
    metadata: InstanceMetadata
    config_drive: bool = False
    power: Power = "running"
    direct_boot: bool = False
    properties: dict[str, str] = {}
    """Image properties (`hw_*`) and flavor extra specs (`hw:*`) that the driver may honour."""
    volumes: list[VolumeDisk] = []
    """In the order of their device names."""


class GuestRef(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str


class GuestPower(msgspec.Struct, frozen=True, kw_only=True):
    """Bring a guest to `power`. Stopping asks it by ACPI first, then cuts after `graceful_s`."""

    guest_id: str
    power: Power
    graceful_s: float = 60.0


class GuestReboot(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    hard: bool
    graceful_s: float = 60.0


class GuestPlug(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    port: PortPlug


class GuestUnplug(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    port_id: str


class GuestAttach(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    volume: VolumeDisk


class GuestDetach(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    volume_id: str


class GuestSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Copy the root disk as one self-contained image (no backing file) and send it to `target`."""

    guest_id: str
    target: ImageTarget


class ConsoleRequest(msgspec.Struct, frozen=True, kw_only=True):
    guest_id: str
    lines: int | None = None


class ConsoleText(msgspec.Struct, frozen=True, kw_only=True):
    text: str


class GuestStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is: `power` as the hypervisor sees it, `crashed` when the guest ended by itself badly."""

    guest_id: str
    power: Power | Literal["absent", "crashed"]
    since_us: int = 0
    ports: list[str] | None = None
    """What is plugged in; None where the driver can't say."""
    volumes: list[str] | None = None
    """What is attached; None from a host of an earlier release, which attaches nothing."""


class GuestList(msgspec.Struct, frozen=True, kw_only=True):
    guests: list[GuestStatus]
    leftovers: list[str] = []
    """Paths and process names found on the host that belong to no guest: what an audit prints."""


class HostInventory(msgspec.Struct, frozen=True, kw_only=True):
    """What a host offers; reported at connect and when it changes."""

    vcpus: int
    ram_mb: int
    disk_gb: int
    reserved_ram_mb: int = 0
    hypervisor_type: str
    hypervisor_version: int
    """Encoded as major * 1,000,000 + minor * 1,000 + micro, as Nova prints it."""
    accelerator: str
    accelerator_reason: str = ""
    cpu_model: str = ""
    arch: str = "x86_64"
    traits: list[str] = []
    host_ip: str = ""
    """Where the machine is reached; both are the agent's to say, whatever the driver."""
    booted_at_s: int = 0
    """Seconds since 1970; 0 when it isn't known."""


class Nothing(msgspec.Struct, frozen=True):
    """An answer that carries nothing."""


class NoRoom(Exception):
    """The host can't hold this guest now (memory, disk, a name taken); another host may."""


class GuestFailed(Exception):
    """The guest can't be made as wished, on any host; the text is for the user."""


class VolumeSource(Protocol):
    """Who keeps this host's volumes. Raises KeyError for a volume that isn't here."""

    def path_of(self, volume_id: str) -> Path: ...


class NoVolumes:
    """A VolumeSource of a host that keeps none."""

    def path_of(self, volume_id: str) -> Path:
        raise KeyError(volume_id)


class GuestDriver(Protocol):
    """What a hypervisor driver does. Methods may take long: the agent runs each as a task,
    answers `Working` meanwhile and gives a repeated call with the same key the same task.
    All raise NoRoom or GuestFailed; a guest that isn't there is GuestFailed, except in `absent`."""

    async def start(self) -> None:
        """Find the guests that outlived the previous agent."""

    async def stop(self) -> None:
        """Let go of everything; guests keep running."""

    async def inventory(self) -> HostInventory: ...
    async def ensure(self, spec: GuestSpec) -> GuestStatus: ...
    async def absent(self, guest_id: str) -> None: ...
    async def power(self, want: GuestPower) -> GuestStatus: ...
    async def reboot(self, want: GuestReboot) -> GuestStatus: ...
    async def plug(self, want: GuestPlug) -> None: ...
    async def unplug(self, want: GuestUnplug) -> None: ...
    async def attach(self, want: GuestAttach) -> None:
        """A volume that is attached already stays as it is."""

    async def detach(self, want: GuestDetach) -> None:
        """Afterwards nothing of this host writes to the volume. Raises GuestFailed when a running guest
        doesn't let go of it, or boots from it."""

    async def snapshot(self, want: GuestSnapshot) -> None:
        """Raises CantSend too (image/drivers/hosts.py)."""

    async def copy_volume(self, volume_id: str, target: Path) -> bool:
        """Write what a running guest's volume holds at one instant into the blank qcow2 `target`, of the same size;
        False when no running guest has it. Not a verb: the driver of volumes on the same host asks it."""

    async def console(self, want: ConsoleRequest) -> ConsoleText: ...
    async def list(self) -> GuestList: ...
    def events(self) -> AsyncIterator[GuestStatus]:
        """Each change of power that nobody asked for (a guest that was killed, or shut itself
        down) within two seconds of it happening."""


VERBS: dict[str, tuple[type, type]] = {
    "guest.ensure": (GuestSpec, GuestStatus),
    "guest.absent": (GuestRef, Nothing),
    "guest.power": (GuestPower, GuestStatus),
    "guest.reboot": (GuestReboot, GuestStatus),
    "guest.plug": (GuestPlug, Nothing),
    "guest.unplug": (GuestUnplug, Nothing),
    "guest.attach": (GuestAttach, Nothing),
    "guest.detach": (GuestDetach, Nothing),
    "guest.snapshot": (GuestSnapshot, Nothing),
    "guest.console": (ConsoleRequest, ConsoleText),
    "guest.metadata": (InstanceMetadata, Nothing),
    "guest.list": (Nothing, GuestList),
}
"""Verb name to the structs of its question and its answer. Verbs are only ever added to."""
