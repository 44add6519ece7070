# SPDX-License-Identifier: Apache-2.0
"""The store that this cloud keeps image bytes in, and the threads that work on them.

What a store is stands in drivers/base.py; uploads and downloads are files.py. Image bytes have
threads of their own, so that uploads and password hashing never wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from skyhold.image.drivers.base import BlobStore
from skyhold.image.drivers.file import FileStore

if TYPE_CHECKING:
    from skyhold.core.app import Core

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
THREAD_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="image")


def store_of(core: Core) -> BlobStore:
    """The cloud's store; a test may put another into `core.shelf["image.store"]`."""
    found: BlobStore | None = core.shelf.get("image.store")
    if found is None:
        found = core.shelf["image.store"] = FileStore(core.settings.images_dir)
    return found


async def in_thread(call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(THREAD_POOL, lambda: call(*args, **kw))


async def discard(core: Core, key: str) -> None:
    """Remove a blob that no row names any more."""
    await in_thread(store_of(core).delete, key)
