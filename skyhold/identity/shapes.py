# SPDX-License-Identifier: Apache-2.0
"""Pieces of wire forms that several resources share.

Each resource's own forms stand in its file. Attributes that nobody declared are kept and given back,
as Keystone does: `extra` of a shape.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Shape, field

NAME = r"\S"
ID = r"^[a-zA-Z0-9_-]+$"
TAG = r"^[^,/]*$"

DEEPEST = 32
RESERVED = ("id", "links", "created_at", "password_expires_at")


class ResourceOptions(Shape):
    immutable: bool | Absent | None = field(optional=True)


def extra_of(want: Any) -> JsonObject:
    """The undeclared attributes that are kept: those that can't be confused with our own.

    Raises Invalid for one so deep that it couldn't be printed inside a list again.
    """
    kept = {name: value for name, value in want.extra.items() if name not in RESERVED}
    for name, value in kept.items():
        if is_deeper(value, DEEPEST):
            raise errors.Invalid(f"{name[:100]} is nested more than {DEEPEST} levels deep.")
    return kept


def is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(each, levels - 1) for each in inner)


def options_of(options: Any) -> dict[str, Any]:
    """The options that were given, null among them."""
    if options is ABSENT or options is None:
        return {}
    return {
        name: value for name in options.__struct_fields__ if (value := getattr(options, name)) is not ABSENT
    }


def given(**values: Any) -> dict[str, Any]:
    """The values that were in the body."""
    return {name: value for name, value in values.items() if value is not ABSENT}
