# SPDX-License-Identifier: Apache-2.0
"""What every store of images promises (image/drivers/base.py), held to by each of them.

What only files promise (modes, paths, hard links) is at the end.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from itertools import pairwise
from pathlib import Path

import pytest

from skyhold.core.blobs import file
from skyhold.core.blobs.file import FileStore, full, past_cache
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, StoreFull
from skyhold.image.drivers.fake import FakeStore
from tests.drivers.image.servers import rbd_store, s3_store

KEY, OTHER = "image-1/upload-1", "image-1/upload-2"


@pytest.fixture(params=["file", "fake", "s3", pytest.param("rbd", marks=pytest.mark.root)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    match request.param:
        case "file":
            return FileStore(tmp_path / "images")
        case "fake":
            return FakeStore()
        case "s3":
            return s3_store(request.getfixturevalue("s3_server"))
        case _:
            return rbd_store(request.getfixturevalue("ceph"))


def put(store: BlobStore, key: str, *pieces: bytes) -> None:
    writer = store.create(key)
    for piece in pieces:
        writer.write(piece)
    writer.commit()


def content(store: BlobStore, key: str) -> bytes:
    reader = store.open(key)
    try:
        return reader.read(0, reader.size_bytes + 10)
    finally:
        reader.close()


def test_what_was_written_is_read(store: BlobStore) -> None:
    put(store, KEY, b"one", b"", b"two")
    assert content(store, KEY) == b"onetwo" and list(store.keys()) == [KEY]
    reader = store.open(KEY)
    assert reader.size_bytes == 6 and reader.read(2, 2) == b"et" and reader.read(6, 5) == b""
    assert reader.ready(1, 3) in (None, b"net") and reader.ready(6, 1) is None
    reader.close()


def test_nothing_is_seen_before_the_commit(store: BlobStore) -> None:
    writer = store.create(KEY, 100)
    writer.write(b"half")
    with pytest.raises(NoSuchBlob):
        store.open(KEY)
    assert list(store.keys()) == [KEY] and store.path(KEY) is None
    writer.abort()
    writer.abort()
    assert list(store.keys()) == []


def test_abort_after_commit_keeps_the_blob(store: BlobStore) -> None:
    writer = store.create(KEY)
    writer.write(b"x")
    writer.commit()
    writer.abort()
    assert content(store, KEY) == b"x"


def test_large_blobs_are_read_from_any_place(store: BlobStore) -> None:
    content_of_it = os.urandom(1 << 20) * 20
    writer = store.create(KEY, None)
    for at in range(0, len(content_of_it), 1 << 20):
        writer.write(content_of_it[at:at + (1 << 20)])
    writer.commit()
    reader = store.open(KEY)
    assert reader.size_bytes == len(content_of_it)
    for offset, length in ((0, 10), (17_000_000, 3_000_000), (5, 1 << 20), (len(content_of_it) - 3, 99)):
        got = b""
        while len(got) < min(length, len(content_of_it) - offset):
            got += reader.read(offset + len(got), length - len(got))
        assert got == content_of_it[offset:offset + length]
    reader.close()
    assert store.url(KEY).startswith(("file://", "memory://", "s3://", "rbd://"))


def test_a_key_is_written_by_one(store: BlobStore) -> None:
    store.create(KEY)
    with pytest.raises(FileExistsError):
        store.create(KEY)


def test_deleting_is_idempotent_and_takes_unfinished_ones_too(store: BlobStore) -> None:
    put(store, KEY, b"x")
    unfinished = store.create(OTHER)
    for _ in range(2):
        store.delete(KEY)
        store.delete(OTHER)
    assert list(store.keys()) == []
    with pytest.raises(NoSuchBlob):
        unfinished.commit()
    assert list(store.keys()) == []


def test_an_open_blob_outlives_its_deletion_or_says_that_it_does_not(store: BlobStore) -> None:
    put(store, KEY, b"still here")
    reader = store.open(KEY)
    store.delete(KEY)
    if store.kind == "rbd":
        with pytest.raises(NoSuchBlob):
            reader.read(0, 100)
    else:
        assert reader.read(0, 100) == b"still here"
    reader.close()


def test_two_uploads_of_one_image_do_not_meet(store: BlobStore) -> None:
    first, second = store.create(KEY), store.create(OTHER)
    first.write(b"first")
    second.write(b"second")
    second.commit()
    first.abort()
    assert content(store, OTHER) == b"second" and list(store.keys()) == [OTHER]


def test_an_unknown_key_is_told(store: BlobStore) -> None:
    for key in ("nothing/here", "../../etc/passwd", "a/../../b", "a/.hidden", "a", "a/b.part"):
        with pytest.raises(NoSuchBlob):
            store.open(key)


def test_what_cannot_fit_is_refused_before_it_is_written(tmp_path: Path) -> None:
    for store in (FileStore(tmp_path / "images"), FakeStore(capacity_bytes=1000)):
        with pytest.raises(StoreFull, match="free"):
            store.create(KEY, 2**62)
        assert list(store.keys()) == []


def test_a_fake_store_fills_up() -> None:
    store = FakeStore(capacity_bytes=3)
    writer = store.create(KEY)
    writer.write(b"abc")
    with pytest.raises(StoreFull):
        writer.write(b"d")


def test_a_file_store_fills_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    writer = store.create(KEY)

    def no_space(fd: int, piece: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(StoreFull, match="No space left"):
        writer.write(b"x")
    writer.abort()
    assert list(tmp_path.rglob("*")) == []


def test_only_a_full_disk_is_called_full() -> None:
    broken = OSError(errno.EIO, "Input/output error")
    assert full(broken) is broken and isinstance(full(OSError(errno.EDQUOT, "")), StoreFull)


def test_files_are_closed_to_others_and_can_be_linked(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "images")
    put(store, KEY, b"disk")
    path = store.path(KEY)
    assert path is not None and path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    linked = tmp_path / "guest-disk"
    os.link(path, linked)
    store.delete(KEY)
    assert linked.read_bytes() == b"disk" and store.path(KEY) is None


@pytest.mark.parametrize("key", ["nothing", "..", ".", "", "a/b", "../secret", "image-1", "image-1/../../secret"])
def test_no_path_leads_out_of_the_store(tmp_path: Path, key: str) -> None:
    store = FileStore(tmp_path / "images")
    put(store, KEY, b"disk")
    (tmp_path / "secret").write_bytes(b"x")
    assert store.path(key) is None


MIB = 1024 * 1024
PAGES = memoryview(mmap.mmap(-1, MIB))
PAGES[:] = os.urandom(MIB)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each write went."""
    found: list[str] = []
    write = os.write

    def seen(fd: int, piece: bytes) -> int:
        found.append("straight" if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT else "cached")
        return write(fd, piece)

    monkeypatch.setattr(os, "write", seen)
    return found


@pytest.fixture
def direct(tmp_path: Path) -> bool:
    """Whether the tests' own disk can be written past the page cache; where not, all must go through it."""
    with open(tmp_path / "probe", "wb") as probe:
        return past_cache(probe.fileno(), True)


def written(store: FileStore, expected_bytes: int | None, *pieces: bytes | memoryview) -> None:
    writer = store.create(KEY, expected_bytes)
    for piece in pieces:
        writer.write(piece)
    writer.commit()
    assert content(store, KEY) == b"".join(pieces)


@pytest.mark.parametrize(
    ("declared", "pieces", "expected"),
    [
        pytest.param(True, [PAGES] * 66, ["straight"] * 66, id="large"),
        pytest.param(True, [PAGES] * 64, ["cached"] * 64, id="small enough to be kept in memory"),
        pytest.param(False, [PAGES] * 66, ["cached"] * 64 + ["straight"] * 2, id="large, as it turns out"),
        pytest.param(True, [PAGES] * 65 + [PAGES[:5000]], ["straight"] * 66 + ["cached"], id="half a block at the end"),
        pytest.param(
            True, [PAGES, PAGES[:100]] + [PAGES] * 64, ["straight"] + ["cached"] * 65, id="ragged pieces"
        ),
    ],
)
def test_large_images_pass_by_the_page_cache(
    tmp_path: Path, ways: list[str], direct: bool, declared: bool, pieces: list[memoryview], expected: list[str]
) -> None:
    written(FileStore(tmp_path), sum(map(len, pieces)) if declared else None, *pieces)
    assert ways == expected if direct else set(ways) == {"cached"}


def test_what_is_not_aligned_is_written_all_the_same(tmp_path: Path) -> None:
    piece = PAGES[1:-4095]
    written(FileStore(tmp_path), 128 * MIB, *[piece] * 128)


def test_where_the_page_cache_must_be_used_it_is_given_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, start, length, advice: told.append((start, start + length)))
    monkeypatch.setattr(file, "past_cache", lambda fd, wanted: False)
    written(FileStore(tmp_path), None, *[PAGES] * 64)
    assert not told
    FileStore(tmp_path).delete(KEY)
    written(FileStore(tmp_path), None, *[PAGES] * 160)
    assert told[0] == (0, 64 * MIB) and told[-1] == (80 * MIB, 144 * MIB)
    # Each byte is named several times: first it begins to be written, later it is on the disk and can go.
    assert all(later[0] < earlier[1] - 32 * MIB for earlier, later in pairwise(told))
    assert max(later[1] - earlier[1] for earlier, later in pairwise(told)) == 16 * MIB


def test_a_disk_that_fills_up_past_the_page_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    writer = store.create(KEY, 128 * MIB)
    writer.write(PAGES)

    def no_space(fd: int, piece: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(StoreFull, match="No space left"):
        writer.write(PAGES)
    writer.abort()
    assert list(tmp_path.rglob("*")) == []
