# SPDX-License-Identifier: Apache-2.0
"""Every setting in words: for `skyhold settings`, a first skyhold.toml, and the names of variables.

What there is comes from sections.py alone, so nothing is ever described that doesn't exist.
Reading values is load.py's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from skyhold.core.settings.sections import SECTIONS
from skyhold.core.settings.whole import Settings


class Described(Struct, frozen=True, kw_only=True):
    """One setting as shown to a reader; `name` is dotted, `default` a TOML value."""

    name: str
    variable: str
    kind: str
    default: str
    meaning: str


def describe() -> list[Described]:
    """Every setting with its environment variable, kind, default and meaning, in file order."""
    rows = [_described(("region",), get_type_hints(Settings, include_extras=True)["region"], "RegionOne")]
    for section, kind in SECTIONS.items():
        defaults, hints = kind(), get_type_hints(kind, include_extras=True)
        rows += [_described((section, key), hints[key], getattr(defaults, key)) for key in hints]
    return rows


def default_file() -> str:
    """A skyhold.toml in which every setting stands, commented out, at its default."""
    lines = ["# Settings of one Skyhold cloud. Remove the '#' before a line to change it."]
    section = ""
    for row in describe():
        head, _, key = row.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines += [f"# {row.meaning} ({row.kind})", f"#{key or row.name} = {row.default}"]
    return "\n".join(lines) + "\n"


def _described(path: tuple[str, ...], hint: Any, default: object) -> Described:
    return Described(
        name=".".join(path),
        variable="SKYHOLD_" + "_".join(path).upper(),
        kind=_kind(hint),
        default=_toml(default),
        meaning=_meaning(hint),
    )


def _meaning(hint: Any) -> str:
    found = [meta.description for meta in get_args(hint)[1:] if meta.description]
    return str(found[0])


def _kind(hint: Any) -> str:
    kind = plain(hint)
    if get_origin(kind) is Literal:
        return " | ".join(get_args(kind))
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return words.get(kind) or {list: "list of texts", dict: "table of whole numbers"}[get_origin(kind)]


def plain(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # JSON's texts, numbers and booleans are TOML's too.
    return msgspec.json.encode(value).decode()
