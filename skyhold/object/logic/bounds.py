# SPDX-License-Identifier: Apache-2.0
"""What names, metadata and objects may be: Swift's constraints, which `/info` tells.

Whoever reads headers asks here (swift/heads.py). Lengths of names count bytes of UTF-8, as upstream does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from skyhold.core import errors

CONTAINER_NAME_BYTES: Final = 256
OBJECT_NAME_BYTES: Final = 1024
META_NAME_BYTES: Final = 128
META_VALUE_BYTES: Final = 256
META_COUNT: Final = 90
META_BYTES: Final = 4096
LISTING: Final = 10_000
ACCOUNT_NAME_BYTES: Final = 256


def check_container_name(name: str) -> None:
    """Raises Invalid."""
    if (length := len(name.encode())) > CONTAINER_NAME_BYTES:
        raise errors.Invalid(
            f"Container name length of {length} longer than {CONTAINER_NAME_BYTES}", reason="name_too_long"
        )


def check_object_name(name: str) -> None:
    """Raises Invalid."""
    if (length := len(name.encode())) > OBJECT_NAME_BYTES:
        raise errors.Invalid(f"Object name length of {length} longer than {OBJECT_NAME_BYTES}", reason="name_too_long")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """All that a thing would have. Raises Invalid."""
    for name, value in metadata.items():
        check_item(name, value)
    if len(metadata) > META_COUNT:
        raise errors.Invalid(f"Too many metadata items; max {META_COUNT}", reason="too_much_metadata")
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > META_BYTES:
        raise errors.Invalid(f"Total metadata too large; max {META_BYTES}", reason="too_much_metadata")


def check_item(name: str, value: str) -> None:
    if not name:
        raise errors.Invalid("Metadata name cannot be empty", reason="bad_metadata")
    if len(name.encode()) > META_NAME_BYTES:
        raise errors.Invalid(f"Metadata name too long: {name[:80]}", reason="bad_metadata")
    if len(value.encode()) > META_VALUE_BYTES:
        raise errors.Invalid(f"Metadata value longer than {META_VALUE_BYTES}: {name[:80]}", reason="bad_metadata")
