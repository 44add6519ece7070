# SPDX-License-Identifier: Apache-2.0
"""Images in a Ceph pool: an RBD image a blob, with a protected snapshot when it is complete.

The interface is drivers/base.py. librbd's Python bindings come with Ceph's own packages, not with ours, and are loaded
with the first image. The snapshot is named `snap`, as upstream's, so that a hypervisor can clone a disk from it; an RBD
image without one is unfinished, and can be seen by nobody.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from skyhold.image.drivers.base import NoSuchBlob, Piece, StoreAway, StoreFull

MIB: Final = 1024 * 1024
SNAPSHOT: Final = "snap"
ORDER: Final = 23
"""Objects of 8 MiB, as upstream."""
GROW_BYTES: Final = 512 * MIB
DISTRIBUTION: Final = "/usr/lib/python3/dist-packages"
TIMEOUT_S: Final = "20"
SEPARATOR: Final = "."
"""RBD names have no slashes."""


def binding(name: str) -> Any:
    """librados' or librbd's Python module: ours, or the distribution's. Raises StoreAway."""
    try:
        return importlib.import_module(name)
    except ImportError:
        sys.path.append(DISTRIBUTION)
    try:
        return importlib.import_module(name)
    except ImportError:
        raise StoreAway("Ceph's Python bindings are missing: install python3-rbd and python3-rados.") from None
    finally:
        sys.path.remove(DISTRIBUTION)


class RbdStore:
    kind = "rbd"
    read_only = False
    far = False

    def __init__(self, *, pool: str, user: str = "admin", conf: str = "/etc/ceph/ceph.conf", name: str = "rbd") -> None:
        self.name, self._pool, self._user, self._conf = name, pool, user, conf
        self._cluster: Any = None
        self._lock = threading.Lock()

    def create(self, key: str, expected_bytes: int | None = None) -> RbdWriter:
        free = self.free_bytes()
        if expected_bytes is not None and free is not None and expected_bytes > free:
            raise StoreFull(f"The image store has {free} bytes free; this needs {expected_bytes}.")
        with self.asked() as (rbd, pool):
            try:
                rbd.RBD().create(pool, named(key), expected_bytes or 0, order=ORDER, old_format=False, features=1)
            except rbd.ImageExists:
                raise FileExistsError(key) from None
        return RbdWriter(self, key, expected_bytes or 0)

    def open(self, key: str) -> RbdReader:
        return RbdReader(self, key)

    def delete(self, key: str) -> None:
        with suppress(NoSuchBlob), self.asked() as (rbd, pool):
            with rbd.Image(pool, named(key)) as image:
                for each in list(image.list_snaps()):
                    if image.is_protected_snap(each["name"]):
                        image.unprotect_snap(each["name"])
                    image.remove_snap(each["name"])
            rbd.RBD().remove(pool, named(key))

    def path(self, key: str) -> Path | None:
        return None

    def url(self, key: str) -> str:
        with self.asked() as (_, pool):
            return f"rbd://{self._cluster.get_fsid()}/{pool.get_pool_name()}/{named(key)}/{SNAPSHOT}"

    def keys(self) -> Iterator[str]:
        with self.asked() as (rbd, pool):
            names = rbd.RBD().list(pool)
        yield from sorted(name.replace(SEPARATOR, "/", 1) for name in names if SEPARATOR in name)

    def free_bytes(self) -> int | None:
        with self.asked():
            told = self._cluster.get_cluster_stats()
        # A cluster without a manager doesn't count.
        return int(told["kb_avail"]) * 1024 if told["kb"] else None

    def properties(self) -> dict[str, Any]:
        return {"pool": self._pool, "chunk_size": 2**ORDER // MIB}

    @contextmanager
    def asked(self) -> Iterator[tuple[Any, Any]]:
        """librbd and the open pool. Its errors come out as NoSuchBlob, StoreFull and StoreAway."""
        rados, rbd = binding("rados"), binding("rbd")
        try:
            with self._connected(rados).open_ioctx(self._pool) as pool:
                yield rbd, pool
        except rbd.ImageNotFound:
            raise NoSuchBlob(f"The store {self.name} has nothing of that name.") from None
        except (rados.NoSpace, rbd.DiskQuotaExceeded) as full:
            raise StoreFull(f"The store {self.name} is full: {full}") from None
        except (rados.Error, rbd.Error) as error:
            raise StoreAway(f"The store {self.name} can't be asked: {error}") from None

    def _connected(self, rados: Any) -> Any:
        with self._lock:
            if self._cluster is None:
                cluster = rados.Rados(conffile=self._conf, rados_id=self._user)
                for option in ("rados_mon_op_timeout", "rados_osd_op_timeout", "client_mount_timeout"):
                    cluster.conf_set(option, TIMEOUT_S)
                cluster.connect(timeout=int(TIMEOUT_S))
                self._cluster = cluster
            return self._cluster


def named(key: str) -> str:
    return key.replace("/", SEPARATOR)


class RbdWriter:
    """Grows the RBD image ahead of what is written, and cuts it to size at the end."""

    far = False

    def __init__(self, store: RbdStore, key: str, size_bytes: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size_bytes, 0
        self._open = True

    def write(self, piece: Piece) -> None:
        with self._image() as image:
            if self._at + len(piece) > self._size:
                self._size = self._at + len(piece) + GROW_BYTES
                image.resize(self._size)
            image.write(bytes(piece), self._at)
        self._at += len(piece)

    def commit(self) -> None:
        with self._image() as image:
            if self._size != self._at:
                image.resize(self._at)
            image.flush()
            image.create_snap(SNAPSHOT)
            image.protect_snap(SNAPSHOT)
        self._open = False

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._store.delete(self._key)

    @contextmanager
    def _image(self) -> Iterator[Any]:
        with self._store.asked() as (rbd, pool), rbd.Image(pool, named(self._key)) as image:
            yield image


class RbdReader:
    """Reads the snapshot, opened anew for each piece: what was deleted meanwhile is told, and not read as zeros."""

    far = False

    def __init__(self, store: RbdStore, key: str) -> None:
        self._store, self._key = store, key
        with self._image() as image:
            self.size_bytes = int(image.size())

    def ready(self, offset: int, length: int) -> bytes | None:
        return None

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return b""
        with self._image() as image:
            piece: bytes = image.read(offset, length)
            return piece

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _image(self) -> Iterator[Any]:
        with (
            self._store.asked() as (rbd, pool),
            rbd.Image(pool, named(self._key), snapshot=SNAPSHOT, read_only=True) as image,
        ):
            yield image
