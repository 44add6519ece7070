# SPDX-License-Identifier: Apache-2.0
"""A driver that holds no bytes but behaves: for tests, demonstrations and tries at scale.

The real one is file.py. It refuses and fails where that would, keeps its volumes over a restart of the agent, and can
be told to fail and to be slow. Files are never written: a volume is its size.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import aiohttp
import msgspec

from skyhold.core.qcow2 import empty
from skyhold.image.drivers.sending import Refused, send
from skyhold.volume.drivers.base import (
    NoRoom,
    SnapshotSpec,
    VolumeFailed,
    VolumeList,
    VolumePool,
    VolumeSpec,
    VolumeStatus,
    VolumeUpload,
)

GIB = 1024**3


class _Kept(msgspec.Struct):
    """Sizes in bytes by id."""

    volumes: dict[str, int] = {}
    snapshots: dict[str, int] = {}


class FakeVolumes:
    """A base.VolumeDriver. `state_dir` makes volumes outlive this object, as real ones outlive an agent."""

    def __init__(self, *, disk_gb: int = 10_240, state_dir: Path | None = None) -> None:
        self._total_bytes = disk_gb * GIB
        self._file = state_dir / "volumes.json" if state_dir is not None else None
        self._kept = _Kept()
        self._failures: dict[str, list[Exception]] = defaultdict(list)
        self._delays: dict[str, float] = {}
        self._session: aiohttp.ClientSession | None = None

    # What a test may tell it. Verbs are named as methods of the interface: "ensure", "snapshot".

    def fail_next(self, verb: str, error: Exception, times: int = 1) -> None:
        """The next `times` calls of `verb` raise `error` before they change anything."""
        self._failures[verb].extend([error] * times)

    def delay(self, verb: str, seconds: float) -> None:
        """Every later call of `verb` takes that long; 0 ends it."""
        self._delays[verb] = seconds

    def lose(self, volume_id: str) -> None:
        """As if its file had been removed by hand."""
        self._kept.volumes.pop(volume_id, None)
        self._write()

    # The interface.

    async def start(self) -> None:
        if self._file is not None and self._file.exists():
            self._kept = msgspec.json.decode(await asyncio.to_thread(self._file.read_bytes), type=_Kept)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def pool(self) -> VolumePool:
        return VolumePool(backend="fake", total_bytes=self._total_bytes, free_bytes=self._free_bytes())

    async def ensure(self, spec: VolumeSpec) -> VolumeStatus:
        await self._act("ensure")
        before = self._kept.volumes.get(spec.volume_id)
        if before is None:
            self._check_new(spec)
        size_bytes = max(before or 0, spec.size_bytes)
        if size_bytes - (before or 0) > self._free_bytes():
            raise NoRoom(f"it has {self._free_bytes() / GIB:.1f} GiB free")
        self._kept.volumes[spec.volume_id] = size_bytes
        self._write()
        return VolumeStatus(volume_id=spec.volume_id, size_bytes=size_bytes)

    async def absent(self, volume_id: str) -> None:
        await self._act("absent")
        self._kept.volumes.pop(volume_id, None)
        self._write()

    async def snapshot(self, spec: SnapshotSpec) -> None:
        await self._act("snapshot")
        if spec.snapshot_id in self._kept.snapshots:
            return
        self._kept.snapshots[spec.snapshot_id] = self._known(spec.volume_id)
        self._write()

    async def snapshot_absent(self, snapshot_id: str) -> None:
        await self._act("snapshot_absent")
        self._kept.snapshots.pop(snapshot_id, None)
        self._write()

    async def upload(self, want: VolumeUpload) -> None:
        """Sends a tiny but valid image of zeroes."""
        await self._act("upload")
        self._known(want.volume_id)
        self._session = self._session or aiohttp.ClientSession()
        body = empty() if want.target.format == "qcow2" else bytes(1 << 20)
        try:
            await send(body, len(body), want.target, self._session)
        except Refused as error:
            raise VolumeFailed(str(error)) from error

    async def list(self) -> VolumeList:
        await self._act("list")
        return VolumeList(volumes=sorted(self._kept.volumes), snapshots=sorted(self._kept.snapshots))

    def path_of(self, volume_id: str) -> Path:
        if volume_id not in self._kept.volumes:
            raise KeyError(volume_id)
        return Path("nowhere") / volume_id

    # Below: how it keeps its word.

    async def _act(self, verb: str) -> None:
        if seconds := self._delays.get(verb):
            await asyncio.sleep(seconds)
        if self._failures[verb]:
            raise self._failures[verb].pop(0)

    def _known(self, volume_id: str) -> int:
        if volume_id not in self._kept.volumes:
            raise VolumeFailed(f"The bytes of volume {volume_id} are gone from this host.")
        return self._kept.volumes[volume_id]

    def _check_new(self, spec: VolumeSpec) -> None:
        if not spec.anew:
            self._known(spec.volume_id)
        if spec.source_volume_id is not None:
            self._known(spec.source_volume_id)
        if spec.snapshot_id is not None and spec.snapshot_id not in self._kept.snapshots:
            raise VolumeFailed(f"The bytes of snapshot {spec.snapshot_id} are gone from this host.")
        if spec.image is not None and spec.image.virtual_size_bytes > spec.size_bytes:
            raise VolumeFailed("The volume is too small for its image.")

    def _free_bytes(self) -> int:
        return self._total_bytes - sum(self._kept.volumes.values()) - sum(self._kept.snapshots.values())

    def _write(self) -> None:
        if self._file is None:
            return
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._kept))
        fresh.rename(self._file)
