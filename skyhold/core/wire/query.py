# SPDX-License-Identifier: Apache-2.0
"""Query strings read into a Shape, like bodies, although all their values arrive as text.

Validation and messages are shared with bodies (code.py, complaints.py). The one thing to know
first: text becomes a number or a boolean only when it spells one; otherwise it is left as it is
and validation says what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from skyhold.core import errors
from skyhold.core.versions import Version
from skyhold.core.wire.code import reader
from skyhold.core.wire.complaints import shown
from skyhold.core.wire.fields import Shape, extra_of, fields_of
from skyhold.core.wire.kinds import DIGITS, Either, Kind, ListOf, Scalar, kinds_of, truth

_PLACE = "query parameters"
Pairs = Iterable[tuple[str, str]]


def query_reader(shape: type[Shape], version: Version, strict: bool) -> Callable[[Pairs], Any]:
    """A function from (name, text) pairs to the Shape; it raises Invalid.

    A parameter given several times fills a list field. Unknown ones are refused when `strict`, else
    ignored; a Shape with `extra="keep"` collects them as name to list of texts. A repeated scalar is
    refused when `strict`; otherwise the last one counts.
    """
    key = (shape, version, strict)
    known = _known.get(key)
    if known is None:
        known = _known[key] = _make(shape, version, strict)
    return known


_known: dict[Any, Callable[[Pairs], Any]] = {}


def _make(shape: type[Shape], version: Version, strict: bool) -> Callable[[Pairs], Any]:
    convert = {
        spec.wire: _of_text(kinds_of(shape)[attr])
        for attr, spec in fields_of(shape).items()
        if spec.within(version)
    }
    lists = {
        spec.wire
        for attr, spec in fields_of(shape).items()
        if spec.within(version) and _is_list(kinds_of(shape)[attr])
    }
    keep = extra_of(shape) == "keep"
    read = reader(shape, version, _PLACE)

    def parse(pairs: Pairs) -> Any:
        body: dict[str, Any] = {}
        for name, text in pairs:
            if name in lists:
                body.setdefault(name, []).append(convert[name](text))
            elif name in convert:
                if strict and name in body:
                    raise _refused(f"{name}. Value: {shown(text)}. It is given more than once")
                body[name] = convert[name](text)
            elif keep:
                body.setdefault(name, []).append(text)
            elif strict:
                raise _refused(f"{name[:200]}. Additional properties are not allowed")
        return read(body)

    return parse


def _refused(what: str) -> errors.Invalid:
    return errors.Invalid(f"Invalid input for {_PLACE} {what}")


def _is_list(kind: Kind) -> bool:
    if isinstance(kind, Either):
        return any(_is_list(part) for part in kind.parts)
    return isinstance(kind, ListOf)


def _of_text(kind: Kind) -> Callable[[str], Any]:
    """What the text of one parameter means for a field of this kind."""
    match kind:
        case ListOf(item):
            return _of_text(item)
        case Either(parts):
            told = [part for part in parts if part != Scalar("null")]
            return _of_text(told[0]) if len(told) == 1 else _verbatim
        case Scalar("integer"):
            return lambda text: int(text) if DIGITS.fullmatch(text) else text
        case Scalar("number"):
            return _number
        case Scalar("boolean"):
            return truth
        case _:
            return _verbatim


def _verbatim(text: str) -> Any:
    return text


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
