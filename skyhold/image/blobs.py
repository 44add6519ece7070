# SPDX-License-Identifier: Apache-2.0
"""The stores that this cloud keeps image bytes in, and the threads that work on them.

What a store is stands in drivers/base.py, which blobs there are in content.py. The stores are read from
`image-stores.toml` in the state directory; without it there is one, of files. Image bytes have threads of their own,
so that uploads and password hashing never wait for each other.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import msgspec
import structlog

from skyhold.core import errors
from skyhold.core.blobs.file import FileStore
from skyhold.core.blobs.flow import begun, give_way, in_pool
from skyhold.core.outbound import Outbound
from skyhold.core.settings.whole import Settings, SettingsError
from skyhold.image.drivers.base import BlobStore, StoreAway, Writer

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("image")

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
THREAD_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="image", initializer=give_way)
WAITING_THREADS = 32
WAITING_POOL = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="image-far", initializer=give_way)
"""For stores across a network: who waits for one of them must not keep the others' threads."""

DISCARDING: set[asyncio.Task[None]] = set()

STORES_FILE: Final = "image-stores.toml"
STAGING: Final = "os_glance_staging_store"
"""Where content waits for its import; upstream's name, so that no operator takes it for another store."""


# ---- the file --------------------------------------------------------------------------------


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every store has. Heavier ones are read first; content goes to the default one unless told otherwise."""

    weight: int = 0
    description: str = ""
    default: bool = False


class FilePlace(Described, frozen=True, tag="file"):
    dir: str = ""

    def build(self, name: str, settings: Settings) -> BlobStore:
        own = settings.images_dir if name == "file" else settings.home / f"images-{name}"
        return FileStore(Path(self.dir) if self.dir else own, name)


class HttpPlace(Described, frozen=True, tag="http"):
    def build(self, name: str, settings: Settings) -> BlobStore:
        from skyhold.image.drivers.http import HttpStore

        return HttpStore(Outbound(settings), name)


class S3Place(Described, frozen=True, tag="s3"):
    bucket: str
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    make_bucket: bool = False

    def build(self, name: str, settings: Settings) -> BlobStore:
        from skyhold.image.drivers.s3 import S3Store

        return S3Store(
            bucket=self.bucket, endpoint=self.endpoint, region=self.region, access_key=self.access_key,
            secret_key=self.secret_key, make_bucket=self.make_bucket, name=name,
        )


class RbdPlace(Described, frozen=True, tag="rbd"):
    pool: str
    user: str = "admin"
    conf: str = "/etc/ceph/ceph.conf"

    def build(self, name: str, settings: Settings) -> BlobStore:
        from skyhold.image.drivers.rbd import RbdStore

        return RbdStore(pool=self.pool, user=self.user, conf=self.conf, name=name)


Place = FilePlace | HttpPlace | S3Place | RbdPlace


class Configured(msgspec.Struct, frozen=True):
    store: BlobStore
    weight: int = 0
    description: str = ""


def read_file(settings: Settings) -> tuple[list[Configured], str]:
    """The stores and the name of the default one. Raises SettingsError for a file that can't be used."""
    path = settings.home / STORES_FILE
    try:
        given = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return [Configured(FileStore(settings.images_dir))], "file"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from error
    try:
        places = msgspec.convert(given, dict[str, Place])
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}") from error
    return built(places, settings, path), default_of(places, path)


def built(places: dict[str, Place], settings: Settings, path: Path) -> list[Configured]:
    for name in places:
        if not name.isidentifier() or name == STAGING:
            raise SettingsError(f"{path}: {name!r} can't be the name of a store: use letters, digits and _.")
    return [
        Configured(place.build(name, settings), place.weight, place.description) for name, place in places.items()
    ]


def default_of(places: dict[str, Place], path: Path) -> str:
    writable = [name for name, place in places.items() if not isinstance(place, HttpPlace)]
    chosen = [name for name in writable if places[name].default] or writable
    if not chosen or sum(place.default for place in places.values()) > 1:
        raise SettingsError(f"{path}: exactly one store that can be written must say `default = true`.")
    return chosen[0]


# ---- the stores ------------------------------------------------------------------------------


class Stores:
    """All stores of the cloud. `staging` is none of them: nobody can ask for it."""

    def __init__(self, all_of_them: Iterable[Configured], default: str, staging: BlobStore) -> None:
        self._by_name = {each.store.name: each for each in all_of_them}
        self._staging = staging
        self.default = self._by_name[default].store
        self.names = list(self._by_name)
        self.writable = [name for name in self.names if not self._by_name[name].store.read_only]

    def get(self, name: str) -> BlobStore:
        """Raises StoreAway for one that the operator took away."""
        if name == STAGING:
            return self._staging
        found = self._by_name.get(name)
        if found is None:
            raise StoreAway(f"This cloud has no image store named {name} any more.")
        return found.store

    def every(self) -> list[BlobStore]:
        return [*(each.store for each in self._by_name.values()), self._staging]

    def described(self, name: str) -> Configured:
        return self._by_name[name]

    def weight(self, name: str) -> int:
        found = self._by_name.get(name)
        return found.weight if found else -1

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Heaviest first; those of one weight as they are given."""
        return sorted(dict.fromkeys(names), key=self.weight, reverse=True)

    def for_url(self, url: str) -> BlobStore:
        """The read-only store that reads such URLs. Raises Invalid."""
        scheme = url.partition(":")[0].lower()
        for each in self._by_name.values():
            if each.store.kind == "http" and scheme in ("http", "https"):
                return each.store
        known = sorted({each.store.kind for each in self._by_name.values()})
        raise errors.Invalid(
            f"No image store of this cloud reads {scheme[:20]!r} URLs; it has stores of kind {', '.join(known)}."
        )


def stores_of(core: Core) -> Stores:
    """The cloud's stores; a test may put others into `core.shelf["image.stores"]`."""
    found: Stores | None = core.shelf.get("image.stores")
    if found is None:
        staging = FileStore(core.settings.image_staging_dir, STAGING)
        configured, default = read_file(core.settings)
        found = core.shelf["image.stores"] = Stores(configured, default, staging)
    return found


async def at_start(core: Core) -> None:
    """A file that can't be used is told at the start, not to the first user."""
    stores_of(core)


def pool_of(thing: object) -> ThreadPoolExecutor:
    """Something `far` (a store, reader or writer across a network) waits among its like."""
    return WAITING_POOL if getattr(thing, "far", False) else THREAD_POOL


def in_thread(call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> asyncio.Future[T]:
    return in_pool(pool_of(getattr(call, "__self__", None)), call, *args, **kw)


async def writer_to(store: BlobStore, key: str, expected_bytes: int | None = None) -> Writer:
    """Raises StoreFull, StoreAway."""
    return await begun(pool_of(store), partial(store.create, key, expected_bytes))


async def discard(core: Core, gone: Iterable[tuple[str, str]]) -> None:
    """Remove blobs, told as (store, key), that no row names any more. What can't be removed now is found by
    loops/orphans.py later."""
    for name, key in gone:
        try:
            await in_thread(stores_of(core).get(name).delete, key)
        except Exception as error:
            log.warning("image bytes could not be removed yet", store=name, blob=key, why=str(error))


def discard_soon(core: Core, gone: list[tuple[str, str]]) -> None:
    """The same from `tx.after_commit`."""
    if gone:
        task = asyncio.get_running_loop().create_task(discard(core, gone))
        DISCARDING.add(task)
        task.add_done_callback(DISCARDING.discard)
