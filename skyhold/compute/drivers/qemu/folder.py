# SPDX-License-Identifier: Apache-2.0
"""Where a guest's files are, and the small records kept beside its disks.

Making the disks is disks.py and the process is process.py. The outer folder is the agent's alone;
the inner one, `run`, belongs to the guest's own user and is QEMU's working directory, so QEMU
names everything relative to it and never needs to pass the folders above.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import TypeVar

import msgspec

from skyhold.compute.drivers.base import DiskSpec, GuestFailed, GuestSpec, PortPlug, VolumeDisk

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_UID_FIRST, _UID_COUNT = 0x4000_0000, 0x1000_0000
_NOBODY = 65534
GONE = ".gone-"
T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver last knew. `power` is what was last told to anybody."""

    power: str = "stopped"
    since_us: int = 0
    machine: str = ""
    slots: dict[str, int] = {}
    """Port id to the number of its PCIe root port: a saved state fits only the same places."""
    volume_slots: dict[str, int] = {}
    """The same by volume id."""


class Folder:
    """Paths of one guest. Nothing is created before `create`."""

    def __init__(self, guests: Path, guest_id: str) -> None:
        if not _SAFE_ID.fullmatch(guest_id):
            raise GuestFailed(f"{guest_id!r} can't be the id of a guest.")
        self.guest_id = guest_id
        self.path = guests / guest_id
        self.run = self.path / "run"
        self.qmp = self.path / "qmp.sock"
        self.serial_log = self.path / "serial.log"
        self.serial_log_before = self.path / "serial.log.1"
        self.qemu_log = self.path / "qemu.log"
        self.config_drive = self.path / "config.iso"
        self.suspended = self.path / "suspended.state"
        self.owner = owner_of(guest_id)

    def create(self) -> None:
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.run.mkdir(mode=0o700, exist_ok=True)
        if self.owner is not None:
            os.chown(self.run, self.owner, self.owner)

    def exists(self) -> bool:
        return self.path.is_dir()

    def save_spec(self, spec: GuestSpec) -> None:
        """Without secrets: the token has expired when this is read, and the password was given."""
        _replace(self.path / "spec.json", msgspec.json.encode(without_secrets(spec)))

    def load_spec(self) -> GuestSpec | None:
        return _load(self.path / "spec.json", GuestSpec)

    def save_record(self, record: Record) -> None:
        _replace(self.path / "state.json", msgspec.json.encode(record))

    def load_record(self) -> Record:
        return _load(self.path / "state.json", Record) or Record()

    def clear_sockets(self) -> None:
        for name in ("qmp.sock", "console.sock", "vnc.sock"):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Renames first: what is left of a removal cut short is recognised by its name."""
        gone = self.path.with_name(f"{GONE}{self.guest_id}-{uuid.uuid4().hex[:8]}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone)


def owner_of(guest_id: str) -> int | None:
    """A user of its own for each guest, without an account; None when we aren't root.

    Two guests can share one by chance (1 in 268 million): they are then as separate as
    processes of one user. Where the range isn't mapped (inside a user namespace), `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if not _range_is_mapped():
        return _NOBODY
    digest = hashlib.sha256(guest_id.encode()).digest()
    return _UID_FIRST + int.from_bytes(digest[:8]) % _UID_COUNT


def _range_is_mapped() -> bool:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = (int(word) for word in line.split())
        if first <= _UID_FIRST and first + count >= _UID_FIRST + _UID_COUNT:
            return True
    return False


def without_secrets(spec: GuestSpec) -> GuestSpec:
    return msgspec.structs.replace(
        spec,
        disks=[_without_token(disk) for disk in spec.disks],
        metadata=msgspec.structs.replace(spec.metadata, admin_pass=None),
    )


def _without_token(disk: DiskSpec) -> DiskSpec:
    if disk.source is None:
        return disk
    return msgspec.structs.replace(disk, source=msgspec.structs.replace(disk.source, token=None))


def with_port(spec: GuestSpec, port: PortPlug) -> GuestSpec:
    others = [p for p in spec.ports if p.port_id != port.port_id]
    return msgspec.structs.replace(spec, ports=[*others, port])


def without_port(spec: GuestSpec, port_id: str) -> GuestSpec:
    return msgspec.structs.replace(spec, ports=[p for p in spec.ports if p.port_id != port_id])


def with_volume(spec: GuestSpec, volume: VolumeDisk) -> GuestSpec:
    """In its place if it is there already, else as the last."""
    if any(v.volume_id == volume.volume_id for v in spec.volumes):
        volumes = [volume if v.volume_id == volume.volume_id else v for v in spec.volumes]
    else:
        volumes = [*spec.volumes, volume]
    return msgspec.structs.replace(spec, volumes=volumes)


def without_volume(spec: GuestSpec, volume_id: str) -> GuestSpec:
    return msgspec.structs.replace(spec, volumes=[v for v in spec.volumes if v.volume_id != volume_id])


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    fresh.rename(path)


def _load(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
