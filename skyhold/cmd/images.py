# SPDX-License-Identifier: Apache-2.0
"""`skyhold image catalogue`: what well-known images there are, and importing one with its checksum verified.

The list and the reading of checksums are image/catalogue.py. Content is fetched into a file that nobody else can see,
compared with its publisher's digest, unpacked, and only then uploaded through the public API; so nothing unverified is
ever an image. What an unmoving address held at its first import is remembered, and may not change.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import msgspec

from skyhold.cmd.admin import ask
from skyhold.cmd.client import Client
from skyhold.core import errors
from skyhold.core.outbound import Outbound
from skyhold.core.settings.whole import Settings
from skyhold.image import catalogue
from skyhold.image.catalogue import Entry, NoDigest
from skyhold.image.logic import compression

MEMORY: Final = "image-catalogue.json"
MOST_REDIRECTS: Final = 5
STALL_S: Final = 60.0
PIECE_BYTES: Final = 1024 * 1024
IMAGES: Final = "/image/v2/images"
FINGERPRINT: Final = "catalogue_sha512"
SHA512: Final = re.compile(r"[0-9a-fA-F]{128}")


class Unusable(Exception):
    """The image can't be had, or isn't what its publisher says; the text is for the operator."""


class Fetched(msgspec.Struct, frozen=True):
    """`sha512` is of what was fetched, before it was unpacked."""

    path: Path
    sha512: str


def show() -> None:
    """Prints the catalogue."""
    found = catalogue.entries()
    width = max(map(len, found))
    for name, entry in found.items():
        print(f"{name:{width}}  {entry.title}, from {urlsplit(entry.url).hostname}")


def bring(
    settings: Settings, name: str, *, public: bool = True, accept_change: bool = False, pinned: str = ""
) -> str:
    """The id of the image, which may have been there already. Ends the program with a sentence when it can't be had."""
    entry = catalogue.entries().get(name)
    if entry is None:
        sys.exit(f"The catalogue has no image named {name}; `skyhold image catalogue list` shows all.")
    if pinned and not SHA512.fullmatch(pinned):
        sys.exit("--sha512 takes the 128 hexadecimal digits that `sha512sum` prints of the file as it is fetched.")
    # Before hundreds of megabytes are fetched for a cloud that isn't there.
    ask(settings, lambda client: client.get(f"{IMAGES}?limit=1"))
    try:
        return import_entry(settings, name, entry, public=public, accept_change=accept_change, pinned=pinned)
    except Unusable as why:
        sys.exit(str(why))


def import_entry(
    settings: Settings, name: str, entry: Entry, *, public: bool, accept_change: bool, pinned: str = ""
) -> str:
    """`pinned` is the SHA-512 of the one file that will do, whatever its publisher says. Raises Unusable."""
    with fetched(settings, entry) as found:
        check_pinned(entry, found.sha512, pinned)
        check_unchanged(settings, entry, found.sha512, accept_change)
        image_id: str = ask(settings, lambda client: uploaded(client, name, entry, found, public))
    remember(settings, entry, found.sha512)
    return image_id


# ---- fetching --------------------------------------------------------------------------------


@contextmanager
def fetched(settings: Settings, entry: Entry) -> Iterator[Fetched]:
    """Verified and unpacked content as a file, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".catalogue-", dir=settings.home) as folder:
        path = Path(folder) / entry.file
        try:
            sha512 = asyncio.run(fetch(settings, entry, path))
        except errors.Error as error:
            raise unreachable(entry, error) from None
        yield Fetched(unpacked(path, settings), sha512)


async def fetch(settings: Settings, entry: Entry, path: Path) -> str:
    """The SHA-512 of what came. Raises Unusable when it isn't what the publisher says, errors of core/outbound.py."""
    outbound = Outbound(settings)
    told = await outbound.request("GET", entry.checksums, redirects=MOST_REDIRECTS, timeout_s=STALL_S)
    if told.status != 200:
        raise Unusable(f"{entry.checksums} answered {told.status}; without a checksum nothing is imported.")
    try:
        wanted = catalogue.digest_in(told.body.decode(errors="replace"), entry)
    except NoDigest as missing:
        raise Unusable(str(missing)) from None
    digest, sha512 = hashlib.new(entry.algorithm, usedforsecurity=False), hashlib.sha512()
    limit = settings.image.size_limit_bytes
    async with outbound.stream(
        "GET", entry.url, redirects=MOST_REDIRECTS, limit_bytes=limit, stall_s=STALL_S
    ) as answer:
        if answer.status != 200:
            raise Unusable(f"{entry.url} answered {answer.status}.")
        with own_file(path) as target:
            async for chunk in answer.chunks:
                target.write(chunk)
                digest.update(chunk)
                sha512.update(chunk)
    if digest.hexdigest() != wanted:
        raise Unusable(
            f"What came from {entry.url} has the {entry.algorithm} {digest.hexdigest()}, but {entry.checksums} says "
            f"{wanted}. Nothing was imported."
        )
    return sha512.hexdigest()


def unreachable(entry: Entry, error: errors.Error) -> Unusable:
    return Unusable(
        f"{entry.title} can't be fetched: {error.message} This machine needs HTTPS to {urlsplit(entry.url).hostname}; "
        f"where that isn't allowed, fetch {entry.url} elsewhere, compare it with {entry.checksums}, and upload it with "
        "`openstack image create --file`."
    )


def unpacked(path: Path, settings: Settings) -> Path:
    """The file itself, or what was compressed in it."""
    with path.open("rb") as file:
        kind = compression.kind_of(file.read(8))
        if kind is None:
            return path
        file.seek(0)
        made = path.with_name(path.name + ".unpacked")
        with own_file(made) as target:
            try:
                write_bounded(target, compression.unpacked(kind, file, PIECE_BYTES), settings.image.size_limit_bytes)
            except compression.Damaged as damaged:
                raise Unusable(str(damaged)) from None
    return made


def write_bounded(target: IO[bytes], pieces: Iterable[bytes], limit_bytes: int) -> None:
    """A small file may unpack to more than any disk holds."""
    left = limit_bytes
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise Unusable(f"Unpacked, the image is larger than {limit_bytes} bytes.")
        target.write(piece)


def own_file(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


# ---- what was trusted ------------------------------------------------------------------------


def remembered(settings: Settings) -> dict[str, Any]:
    """By address: what was imported from there first, and when."""
    try:
        found: dict[str, Any] = json.loads((settings.home / MEMORY).read_text())
    except FileNotFoundError:
        return {}
    return found


def check_pinned(entry: Entry, sha512: str, pinned: str) -> None:
    if pinned and sha512 != pinned.lower():
        raise Unusable(
            f"{entry.url} is what its publisher says, but not what --sha512 says: its SHA-512 is {sha512}. Nothing was "
            "imported."
        )


def check_unchanged(settings: Settings, entry: Entry, sha512: str, accept_change: bool) -> None:
    """Raises Unusable when an address that never changes has other content than at its first import."""
    before = remembered(settings).get(entry.url)
    if entry.moving or accept_change or before is None or before["sha512"] == sha512:
        return
    raise Unusable(
        f"{entry.url} had other content when it was imported on {before['at']} (sha512 {before['sha512'][:16]}…, now "
        f"{sha512[:16]}…), and its publisher says that it never changes. Find out why; then import it with "
        "--accept-change."
    )


def remember(settings: Settings, entry: Entry, sha512: str) -> None:
    known = remembered(settings)
    known[entry.url] = {"sha512": sha512, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    draft = settings.home / f".{MEMORY}"
    draft.write_text(json.dumps(known, indent=1))
    draft.replace(settings.home / MEMORY)


# ---- uploading -------------------------------------------------------------------------------


def uploaded(client: Client, name: str, entry: Entry, found: Fetched, public: bool) -> str:
    """The same content is imported once."""
    there = client.get(f"{IMAGES}?{FINGERPRINT}={found.sha512}&status=active")["images"]
    if there:
        return str(there[0]["id"])
    image = client.post(IMAGES, {
        "name": name, "disk_format": entry.disk_format, "container_format": "bare", "min_disk": entry.min_disk_gb,
        "visibility": "public" if public else "private", "catalogue_source": entry.url, FINGERPRINT: found.sha512,
        "architecture": "x86_64", **entry.properties,
    })
    place = f"{IMAGES}/{image['id']}"
    try:
        client.upload(f"{place}/file", found.path)
    except BaseException:
        client.delete(place)
        raise
    return str(image["id"])
