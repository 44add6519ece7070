# SPDX-License-Identifier: Apache-2.0
"""The engine's memory on disk: the desired objects, their numbers, and what the kernel held.

What it is used for is in engine.py. It is a copy for quick adoption after a restart, not the truth:
without it, or with an old one, a reconcile builds the same data plane anew.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

import msgspec

from skyhold.network.drivers.base import Desired

_WRITERS_OF_RULES = ("rules_ports.py", "rules_routers.py", "plan.py", "nft.py", "names.py")


class Memory(msgspec.Struct, kw_only=True):
    """`generations` are the nftables generations by namespace, `forwarding_was` the machine's
    settings before we changed them, to be put back by destroy, `refused` the keys of objects that the
    kernel didn't take."""

    edition: str = ""
    objects: list[Desired] = []
    marks: dict[str, int] = {}
    zones: dict[str, int] = {}
    generations: dict[str, int] = {}
    forwarding_was: dict[str, str] = {}
    refused: list[tuple[str, str]] = []


def load(path: Path) -> Memory:
    """What was saved; nothing at all if the file isn't there or can't be read as ours."""
    try:
        memory = msgspec.json.decode(path.read_bytes(), type=Memory)
    except (FileNotFoundError, msgspec.DecodeError):
        return Memory()
    if memory.edition != edition():
        memory.generations = {}  # other code wrote those rules: write them anew
    return memory


def save(path: Path, memory: Memory) -> None:
    memory.edition = edition()
    scratch = path.with_suffix(".new")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(memory))
    scratch.replace(path)


@functools.cache
def edition() -> str:
    """A fingerprint of the code that writes the rules."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _WRITERS_OF_RULES)).hexdigest()[:16]
