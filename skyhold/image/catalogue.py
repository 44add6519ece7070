# SPDX-License-Identifier: Apache-2.0
"""The built-in catalogue: well-known cloud images by name, and how a publisher's list of checksums is read.

The images are data, in catalogue.toml; fetching, verifying and importing one is cmd/images.py. The one thing to know
first: no digest is made up here. It is what the publisher's own file says, fetched over TLS at the moment of import.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib.resources import files
from typing import Final, Literal

import msgspec

BSD: Final = re.compile(r"(?P<algorithm>[A-Z0-9-]+) ?\((?P<name>[^)]+)\) = (?P<digest>[0-9a-fA-F]+)")
GNU: Final = re.compile(r"(?P<digest>[0-9a-fA-F]{32,128})[ \t]+\*?(?P<name>\S+)")
ALONE: Final = re.compile(r"[0-9a-fA-F]{32,128}")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`checksums` is the publisher's file with the digest of what is at `url`, by `algorithm`. `moving`: the content
    is replaced under the same address."""

    title: str
    url: str
    checksums: str
    algorithm: Literal["sha512", "sha256", "md5"]
    moving: bool
    disk_format: str
    min_disk_gb: int
    properties: dict[str, str] = {}

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


class NoDigest(Exception):
    """The publisher's file says nothing about this image; the text is for the operator."""


def entries() -> dict[str, Entry]:
    """By name, as an operator types it."""
    text = files("skyhold.image").joinpath("catalogue.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, Entry])


def digest_in(text: str, entry: Entry) -> str:
    """The digest of the entry's file, from a list as `sha512sum` or BSD's `sha512` write it, signed or not, or from
    a file that holds one digest alone. Raises NoDigest, also when the list contradicts itself."""
    wanted = hashlib.new(entry.algorithm, usedforsecurity=False).digest_size * 2
    found = {digest.lower() for name, digest in lines_of(text) if name == entry.file and len(digest) == wanted}
    alone = text.split()
    if not found and alone and ALONE.fullmatch(alone[0]) and len(alone) == 1 and len(alone[0]) == wanted:
        found = {alone[0].lower()}
    if len(found) != 1:
        what = "no" if not found else "more than one"
        raise NoDigest(f"{entry.checksums} has {what} {entry.algorithm} digest of {entry.file}.")
    return found.pop()


def lines_of(text: str) -> list[tuple[str, str]]:
    """(file name, digest) of every line that tells one."""
    told = []
    for line in text.splitlines():
        match = BSD.fullmatch(line.strip()) or GNU.fullmatch(line.strip())
        if match:
            told.append((match["name"].removeprefix("./").rpartition("/")[2], match["digest"]))
    return told
