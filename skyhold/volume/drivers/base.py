# SPDX-License-Identifier: Apache-2.0
"""The interface between volume and whatever holds volumes on a host, as verbs and frozen structs.

The fake driver is fake.py, the one with files file.py; the agent that calls them is in skyhold.host. Every verb states
a wish and is idempotent: asking twice is the same as asking once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from skyhold.image.drivers.hosts import ImageSource, ImageTarget

__all__ = ["ImageSource", "ImageTarget"]


class VolumeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as it should be: made when it isn't there, grown when it is smaller, never shrunk.

    At most one of the sources is named; without one the volume is blank. `anew` says that it may be made: one
    that should be there already and isn't is lost, and is not replaced by an empty one.
    """

    volume_id: str
    size_bytes: int
    anew: bool = True
    image: ImageSource | None = None
    snapshot_id: str | None = None
    source_volume_id: str | None = None


class VolumeStatus(msgspec.Struct, frozen=True, kw_only=True):
    volume_id: str
    size_bytes: int


class VolumeRef(msgspec.Struct, frozen=True, kw_only=True):
    volume_id: str


class SnapshotSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of a volume at one instant, which stays whatever becomes of the volume."""

    snapshot_id: str
    volume_id: str


class SnapshotRef(msgspec.Struct, frozen=True, kw_only=True):
    snapshot_id: str


class VolumeUpload(msgspec.Struct, frozen=True, kw_only=True):
    """Send the volume's content to an image."""

    volume_id: str
    target: ImageTarget


class VolumeList(msgspec.Struct, frozen=True, kw_only=True):
    volumes: list[str]
    snapshots: list[str]
    leftovers: list[str] = []
    """Names of files that are neither: what an audit prints."""


class VolumePool(msgspec.Struct, frozen=True, kw_only=True):
    """What a host offers; reported at connect and when it changes."""

    backend: str
    total_bytes: int
    free_bytes: int


class Nothing(msgspec.Struct, frozen=True):
    """An answer, or a question, that carries nothing."""


class NoRoom(Exception):
    """The host can't hold this now (its disk is full, a source can't be fetched); another host may."""


class VolumeFailed(Exception):
    """This can't be done as wished, on any host; the text is for the user."""


class LiveCopies(Protocol):
    """Whoever runs guests, as a driver of volumes sees it."""

    async def copy_volume(self, volume_id: str, target: Path) -> bool:
        """Write what a running guest's volume holds at one instant into the blank qcow2 `target`, of the same size;
        False when no running guest has it. Raises VolumeFailed."""


class VolumeDriver(Protocol):
    """What holds volumes. Methods may take long: the agent runs each as a task, answers `Working` meanwhile and
    gives a repeated call with the same key the same task. All raise NoRoom or VolumeFailed; one that is cut short
    leaves nothing that the next call doesn't mend."""

    async def start(self) -> None:
        """Remove what an agent that was killed left half-done."""

    async def stop(self) -> None: ...
    async def pool(self) -> VolumePool: ...
    async def ensure(self, spec: VolumeSpec) -> VolumeStatus: ...
    async def absent(self, volume_id: str) -> None: ...
    async def snapshot(self, spec: SnapshotSpec) -> None: ...
    async def snapshot_absent(self, snapshot_id: str) -> None: ...
    async def upload(self, want: VolumeUpload) -> None:
        """Raises CantSend too (image/drivers/hosts.py)."""

    async def list(self) -> VolumeList: ...
    def path_of(self, volume_id: str) -> Path:
        """Where a guest's driver finds the volume's file. Raises KeyError for one that isn't here."""


VERBS: dict[str, tuple[type, type]] = {
    "volume.ensure": (VolumeSpec, VolumeStatus),
    "volume.absent": (VolumeRef, Nothing),
    "volume.upload": (VolumeUpload, Nothing),
    "volume.list": (Nothing, VolumeList),
    "volume_snapshot.ensure": (SnapshotSpec, Nothing),
    "volume_snapshot.absent": (SnapshotRef, Nothing),
}
"""Verb name to the structs of its question and its answer. Verbs are only ever added to."""
