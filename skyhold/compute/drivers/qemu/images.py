# SPDX-License-Identifier: Apache-2.0
"""The images a host holds, each once, as base files that guests' overlays refer to.

Overlays are made in disks.py, bytes are brought by image/drivers/bringing.py. A file gets its name only
after its size, checksum and format were found to be what was promised; until then it has a name that
start-up removes.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import aiohttp

from skyhold.compute.drivers.base import GuestFailed, ImageSource, NoRoom
from skyhold.image.drivers.bringing import BadImage, CantBring, bring

_PARTIAL = ".partial-"


class ImageCache:
    """`folder` must be on the file system of the guests; `session` gives the shared HTTP client."""

    def __init__(self, folder: Path, session: Callable[[], aiohttp.ClientSession]) -> None:
        self.folder = folder
        self._session = session
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, float] = {}

    @staticmethod
    def name_of(source: ImageSource) -> str:
        """Same bytes read as another format are another image. Raises GuestFailed."""
        if len(source.sha512) != 128 or set(source.sha512) - set("0123456789abcdef"):
            raise GuestFailed("The image has no SHA-512 checksum, so its bytes can't be trusted.")
        return f"{source.sha512[:48]}.{source.format}"

    async def ensure(self, source: ImageSource) -> Path:
        """The base file, fetched if need be; requests for the same image share one fetch.

        Raises GuestFailed when the bytes are not what `source` says, NoRoom when they can't be
        had here and now.
        """
        name = self.name_of(source)
        self._held[name] = time.monotonic()
        path = self.folder / name
        if not path.exists():
            task = self._fetching.get(name) or self._begin(name, source, path)
            await asyncio.shield(task)
        return path

    def sweep(self, used: set[str], unused_s: float) -> list[str]:
        """Removes base files that no overlay refers to and nobody asked for in `unused_s`."""
        removed, now = [], time.monotonic()
        for path in self.folder.iterdir():
            idle = now - self._held.setdefault(path.name, now) >= unused_s
            if path.name in used or path.name.startswith(_PARTIAL) or not idle:
                continue
            path.unlink(missing_ok=True)
            self._held.pop(path.name, None)
            removed.append(path.name)
        return removed

    def leftovers(self) -> list[Path]:
        """Fetches that were cut short, by this agent or the one before."""
        partial = [p for p in self.folder.iterdir() if p.name.startswith(_PARTIAL)]
        return [] if self._fetching else partial

    async def close(self) -> None:
        for task in list(self._fetching.values()):
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    def _begin(self, name: str, source: ImageSource, path: Path) -> asyncio.Task[None]:
        task = asyncio.create_task(self._fetch(source, path))
        self._fetching[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled():
            task.exception()  # every waiter may be gone: the failure was still seen

    async def _fetch(self, source: ImageSource, path: Path) -> None:
        partial = self.folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            await bring(source, partial, self._session)
            partial.rename(path)
        except BadImage as error:
            raise GuestFailed(str(error)) from error
        except CantBring as error:
            raise NoRoom(str(error)) from error
        finally:
            partial.unlink(missing_ok=True)
