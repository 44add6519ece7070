# SPDX-License-Identifier: Apache-2.0
"""Pieces of wire forms that several resources share.

Each resource's own forms stand in its file. Attributes that nobody declared are kept and given back,
as Keystone does: `extra` of a shape.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.shapes import ABSENT, JsonObject, Shape, field

NAME = r"\S"
ID = r"^[a-zA-Z0-9_-]+$"
TAG = r"^[^,/]*$"

RESERVED = ("id", "links", "created_at")


class ResourceOptions(Shape):
    immutable: bool | None = field(optional=True)


def extra_of(want: Any) -> JsonObject:
    """The undeclared attributes that are kept: those that can't be confused with our own."""
    return {name: value for name, value in want.extra.items() if name not in RESERVED}


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
