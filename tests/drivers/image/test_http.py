# SPDX-License-Identifier: Apache-2.0
"""The read-only store of the web, against servers of several manners (image/drivers/http.py).

What writable stores promise is test_stores.py; which addresses may be asked at all is tests/unit/core/test_outbound.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from skyhold.core.outbound import Outbound
from skyhold.core.settings.sections import Outbound as Allowed
from skyhold.core.settings.whole import Settings
from skyhold.image.drivers.base import NoSuchBlob, StoreAway
from skyhold.image.drivers.http import HttpStore

CONTENT = bytes(range(256)) * 10_000


class Manners(BaseHTTPRequestHandler):
    """The path says how to behave."""

    def do_HEAD(self) -> None:
        if "nohead" in self.path:
            self.answer(405, 0)
        else:
            self.answer(404 if "gone" in self.path else 200, len(CONTENT))

    def do_GET(self) -> None:
        if "gone" in self.path:
            self.answer(404, 0)
            return
        asked = self.headers.get("Range", "bytes=0-") if "norange" not in self.path else "bytes=0-"
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start:start + 5] if "short" in self.path else CONTENT[start:]
        self.answer(206 if start else 200, None if "nolength" in self.path else len(CONTENT) - start)
        self.wfile.write(body)

    def answer(self, status: int, length: int | None) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Manners)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> HttpStore:
    return HttpStore(Outbound(Settings(home=tmp_path, outbound=Allowed(allow=["127.0.0.1/32"]))), "web")


@pytest.mark.parametrize("path", ["/disk", "/nohead", "/nolength", "/disk#part"])
def test_content_is_read_from_any_place(store: HttpStore, base: str, path: str) -> None:
    reader = store.open(base + path)
    try:
        assert reader.size_bytes == len(CONTENT) and reader.ready(0, 5) is None
        for offset, length in ((0, 10), (10, 100_000), (2_000_000, 50), (5, 5), (len(CONTENT) - 3, 99)):
            assert reader.read(offset, length) == CONTENT[offset:offset + length]
        assert reader.read(len(CONTENT), 5) == b""
    finally:
        reader.close()
        reader.close()


def test_what_is_not_there_is_told(store: HttpStore, base: str) -> None:
    with pytest.raises(NoSuchBlob):
        store.open(base + "/gone")


@pytest.mark.parametrize("path", ["/nohead-nolength"])
def test_content_of_unknown_length_is_refused(store: HttpStore, base: str, path: str) -> None:
    with pytest.raises(StoreAway, match="how long"):
        store.open(base + path)


def test_a_server_without_ranges_is_read_from_its_beginning_alone(store: HttpStore, base: str) -> None:
    reader = store.open(base + "/norange")
    assert reader.read(0, 10) == CONTENT[:10]
    with pytest.raises(StoreAway):
        reader.read(1000, 10)
    reader.close()


def test_content_that_breaks_off_is_never_taken_for_whole(store: HttpStore, base: str) -> None:
    reader = store.open(base + "/short")
    with pytest.raises(StoreAway):
        reader.read(0, 100)
    reader.close()


def test_the_rules_for_addresses_hold_at_every_reading(tmp_path: Path, base: str) -> None:
    strict = HttpStore(Outbound(Settings(home=tmp_path)), "web")
    for url in (base + "/disk", "http://169.254.169.254/latest", "file:///etc/passwd"):
        with pytest.raises(StoreAway):
            strict.open(url)


def test_nothing_is_written_or_deleted(store: HttpStore, base: str) -> None:
    with pytest.raises(StoreAway, match="read-only"):
        store.create(base + "/disk")
    store.delete(base + "/disk")
    assert list(store.keys()) == [] and store.url(base + "/disk") == base + "/disk" and store.free_bytes() is None
