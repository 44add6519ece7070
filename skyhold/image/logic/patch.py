# SPDX-License-Identifier: Apache-2.0
"""JSON patches of images, read and checked; applying them is images/ops.py.

Both media types are understood: v2.1 is RFC 6902 (`{"op": "add", "path": "/x", "value": 1}`), v2.0 its
first draft (`{"add": "/x", "value": 1}`). An image is flat, so a pointer has exactly one step; only its
locations are a list.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from skyhold.core import errors

OPERATIONS: Final = ("add", "remove", "replace")
BAD_ESCAPE: Final = re.compile(r"~(?![01])")
MOST_CHANGES: Final = 1000


class Change(msgspec.Struct, frozen=True):
    """`strict`: `add` must not find the attribute there already (the draft's meaning). `where` is the second step
    that only locations have: a position, or `-` for the end."""

    op: str
    name: str
    value: Any = None
    strict: bool = False
    where: str | None = None


def changes(body: Any) -> list[Change]:
    """Raises Invalid for what is no patch of an image."""
    if not isinstance(body, list):
        raise errors.Invalid("Request body must be a JSON array of operation objects.")
    if len(body) > MOST_CHANGES:
        raise errors.TooLarge(f"A patch may have {MOST_CHANGES} operations, not {len(body)}.")
    return [change(item) for item in body]


def change(item: Any) -> Change:
    if not isinstance(item, dict):
        raise errors.Invalid("Operations must be JSON objects.")
    op, pointer, strict = operation(item)
    name, where = steps(pointer)
    if op == "remove":
        return Change(op, name, where=where)
    if "value" not in item:
        raise errors.Invalid(f'Operation "{op}" requires a member named "value".')
    return Change(op, name, item["value"], strict, where)


def operation(item: dict[str, Any]) -> tuple[str, Any, bool]:
    if "op" in item:
        op = item["op"]
        if op not in OPERATIONS:
            raise errors.Invalid(
                f"Invalid operation: `{str(op)[:80]}`. It must be one of the following: {', '.join(OPERATIONS)}."
            )
        if "path" not in item:
            raise errors.Invalid('Unable to find "path" in the operation.')
        return op, item["path"], False
    found = [op for op in OPERATIONS if op in item]
    if len(found) != 1:
        raise errors.Invalid(f"Operation objects must contain exactly one of: {', '.join(OPERATIONS)}.")
    return found[0], item[found[0]], True


LOCATIONS: Final = "/locations/"


def steps(pointer: Any) -> tuple[str, str | None]:
    """The one step of an image's attribute, or the two of one of its locations."""
    if isinstance(pointer, str) and pointer.startswith(LOCATIONS):
        where = pointer.removeprefix(LOCATIONS)
        if where != "-" and not (where.isdecimal() and where.isascii() and len(where) < 4):
            raise errors.Invalid(f"Invalid JSON pointer for a location: '{pointer[:80]}', e.g. /locations/-")
        return "locations", where
    return step(pointer), None


def step(pointer: Any) -> str:
    """The one step of an RFC 6901 pointer."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise errors.Invalid(f'Pointer `{str(pointer)[:80]}` does not start with "/".')
    token = pointer[1:]
    if BAD_ESCAPE.search(token):
        raise errors.Invalid(f'Pointer `{pointer[:80]}` contains "~" not part of a recognized escape sequence.')
    if not token or "/" in token:
        raise errors.Invalid(f"Invalid JSON pointer for this resource: '{pointer[:80]}', e.g. /name")
    return token.replace("~1", "/").replace("~0", "~")
