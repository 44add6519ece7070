# SPDX-License-Identifier: Apache-2.0
"""How an annotation is understood: the kinds of values that can stand in a body.

Fields and bodies are fields.py; the schema of a kind is schema.py, its conversion code.py. The one
thing to know first: a Wire in Annotated[...] is how a Python type gets its own form on the wire
(times, references, loose booleans); services may define more.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from skyhold.core.wire.fields import Absent, FieldSpec, Shape
from skyhold.core.wire.formats import integer_text, microseconds

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, eq=False, slots=True)
class Wire:
    """The wire form of a Python type: its JSON Schema (fixed, or made from the field's constraints),
    how a valid JSON value becomes the Python value, and how that becomes JSON again."""

    schema: dict[str, Any] | Callable[[FieldSpec], dict[str, Any]]
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    type: str  # a JSON type: string, integer, number, boolean, null


@dataclass(frozen=True, slots=True)
class Anything:
    pass


@dataclass(frozen=True, slots=True)
class OneOf:
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Kind


@dataclass(frozen=True, slots=True)
class MapOf:
    value: Kind


@dataclass(frozen=True, slots=True)
class Nested:
    shape: type[Shape]


@dataclass(frozen=True, slots=True)
class Custom:
    wire: Wire


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Kind, ...] = field(default=())


Kind = Scalar | Anything | OneOf | ListOf | MapOf | Nested | Custom | Either

_SCALARS: dict[Any, Kind] = {
    str: Scalar("string"),
    int: Scalar("integer"),
    float: Scalar("number"),
    bool: Scalar("boolean"),
    None: Scalar("null"),
    type(None): Scalar("null"),
    Any: Anything(),
    object: Anything(),
    dict: MapOf(Anything()),
    list: ListOf(Anything()),
}


@cache
def kinds_of(shape: type[Shape]) -> dict[str, Kind]:
    """The kind of each attribute. Resolved on first use, so that Shapes may be declared in any order."""
    hints = get_type_hints(shape, include_extras=True)
    return {attr: kind_of(hints[attr]) for attr in shape.__shape_fields__}  # type: ignore[attr-defined]


def kind_of(hint: Any) -> Kind:
    """Understand one annotation; TypeError for what has no form in JSON."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        wires = [each for each in hint.__metadata__ if isinstance(each, Wire)]
        return Custom(wires[0]) if wires else kind_of(args[0])
    if origin in (Union, types.UnionType):
        parts = [kind_of(arg) for arg in args if arg is not Absent]
        return parts[0] if len(parts) == 1 else Either(tuple(parts))
    if origin is Literal:
        return OneOf(args)
    if origin is list:
        return ListOf(kind_of(args[0]))
    if origin is dict:
        return MapOf(kind_of(args[1]))
    if isinstance(hint, type) and issubclass(hint, Shape):
        return Nested(hint)
    try:
        return _SCALARS[hint]
    except (KeyError, TypeError):
        raise TypeError(f"{hint!r} has no form in JSON; annotate it with a Wire") from None


def whole(value: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; operations want an int."""
    return int(value) if value.__class__ is float else value


def _bounds(spec: FieldSpec) -> tuple[int, int]:
    low = INT64_MIN if spec.min is None else int(spec.min)
    high = INT64_MAX if spec.max is None else int(spec.max)
    return low, high


def _loose_int_schema(spec: FieldSpec) -> dict[str, Any]:
    low, high = _bounds(spec)
    return {
        "type": ["integer", "string"],
        "minimum": low,
        "maximum": high,
        "format": integer_text(low, high),
    }


_TRUE = ("true", "1", "t", "on", "y", "yes")
_FALSE = ("false", "0", "f", "off", "n", "no")
_TRUTH: dict[Any, bool] = {
    **{form: True for text in _TRUE for form in (text, text.upper(), text.capitalize())},
    **{form: False for text in _FALSE for form in (text, text.upper(), text.capitalize())},
    1: True,
    0: False,
}


def truth(value: Any) -> Any:
    """The boolean meant by one of OpenStack's spellings; the value itself when it is none."""
    return _TRUTH.get(value, value)


def _loose_bool_schema(spec: FieldSpec) -> dict[str, Any]:
    return {"enum": [True, False, *_TRUTH]}


def _ref_schema(spec: FieldSpec) -> dict[str, Any]:
    least = 1 if spec.min is None else int(spec.min)
    most = 255 if spec.max is None else int(spec.max)
    extra = {"format": spec.format} if spec.format else {}
    return {"type": ["string", "integer"], "minLength": least, "maxLength": most, "minimum": 0, **extra}


def _read_ref(value: Any) -> str:
    if value.__class__ is not str:
        return str(whole(value))
    return str(value).rstrip("/").rpartition("/")[2] if "://" in value else str(value)


def _name_schema(spec: FieldSpec) -> dict[str, Any]:
    least = 1 if spec.min is None else int(spec.min)
    most = 255 if spec.max is None else int(spec.max)
    return {"type": "string", "minLength": least, "maxLength": most, "format": "name"}


_TIME = {"type": "string", "format": "date-time"}


def _seconds_z(at_us: int) -> str:
    return _iso(at_us // 1_000_000) + "Z"


def _micros(at_us: int) -> str:
    seconds, rest_us = divmod(at_us, 1_000_000)
    return f"{_iso(seconds)}.{rest_us:06}"


def _micros_z(at_us: int) -> str:
    return _micros(at_us) + "Z"


# A list read again and again, as clients do while they wait, holds the same moments.
@lru_cache(maxsize=16384)
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


LooseInt = Annotated[int, Wire(_loose_int_schema, read=int)]
"""An integer, or its digits as a string."""
LooseBool = Annotated[bool, Wire(_loose_bool_schema, read=truth)]
"""A boolean in any spelling OpenStack accepts: true, "True", "on", "1", 1, …"""
Ref = Annotated[str, Wire(_ref_schema, read=_read_ref)]
"""The id of something else; its URL or a number are read as the id too."""
Name = Annotated[str, Wire(_name_schema)]
"""1 to 255 printable characters, no white space at either end."""
JsonObject = dict[str, Any]
Time = Annotated[int, Wire(_TIME, read=microseconds, write=_seconds_z)]
"""Microseconds since 1970 UTC; on the wire 2012-08-20T21:11:09Z."""
TimeMicros = Annotated[int, Wire(_TIME, read=microseconds, write=_micros)]
"""Microseconds since 1970 UTC; on the wire 2012-08-20T21:11:09.000000."""
TimeMicrosZ = Annotated[int, Wire(_TIME, read=microseconds, write=_micros_z)]
"""Microseconds since 1970 UTC; on the wire 2012-08-20T21:11:09.000000Z."""

DIGITS = re.compile(r"[+-]?[0-9]{1,19}")
