# SPDX-License-Identifier: Apache-2.0
"""Readers and writers, generated per body and span of microversions on first use.

The schema they validate with is schema.py; query strings are query.py. The one thing to know
first: each Shape becomes one function with its field names written out, since looping over the
fields of every resource of every list would cost several times more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec
import orjson

from skyhold.core.versions import Version
from skyhold.core.wire.complaints import complaint, edge_complaint
from skyhold.core.wire.fields import (
    ABSENT,
    Bulk,
    CollectionOf,
    Envelope,
    FieldSpec,
    Page,
    Rendered,
    extra_of,
    fields_of,
)
from skyhold.core.wire.formats import FORMATS
from skyhold.core.wire.kinds import (
    Anything,
    Custom,
    Either,
    Kind,
    ListOf,
    MapOf,
    Nested,
    OneOf,
    Scalar,
    kind_of,
    kinds_of,
    whole,
)
from skyhold.core.wire.schema import json_schema, schema_of, span

Convert = Callable[..., Any]
May = Callable[[str], bool]

_known: dict[Any, Any] = {}


def reader(spec: Any, version: Version, place: str = "field/attribute") -> Callable[[Any], Any]:
    """A function from a parsed JSON body to the typed value; it raises Invalid.

    Made on first use and kept; versions in which the body has the same form share one.
    """
    key = ("read", spec, version, place)
    known = _known.get(key)
    if known is None:
        shared = ("read", spec, span(spec, version), place, "span")
        known = _known.get(shared) or _known.setdefault(shared, _make_reader(spec, version, place))
        _known[key] = known
    read: Callable[[Any], Any] = known
    return read


def writer(spec: Any, version: Version) -> Callable[..., Any]:
    """A function `(value, may=None)` from a Shape (or any object with its attributes), a list or a Page
    to plain dicts and lists for JSON; what was Rendered before stays as it is.

    Fields outside the version, ABSENT ones and those whose policy `may(rule)` denies are left out.
    """
    key = ("write", spec, version)
    known = _known.get(key)
    if known is None:
        shared = ("write", spec, span(spec, version), "span")
        known = _known.get(shared) or _known.setdefault(shared, _make_writer(spec, version))
        _known[key] = known
    write: Callable[..., Any] = known
    return write


def _make_reader(spec: Any, version: Version, place: str) -> Callable[[Any], Any]:
    schema = json_schema(spec, version)
    validate = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=FORMATS).validate
    build = _builder(spec, version)
    envelope = spec.key if isinstance(spec, Envelope) else None

    def read(body: Any) -> Any:
        _refuse_at_edge(body, place)
        try:
            validate(body)
        except jsonschema_rs.ValidationError as error:
            raise complaint(error, schema, envelope, place) from None
        return build(body)

    return read


def _refuse_at_edge(body: Any, place: str) -> None:
    """Serialising once in native code finds suspects far faster than a walk in Python; only then walk."""
    try:
        clean = b"\\u0000" not in orjson.dumps(body, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        clean = False
    if not clean and (problem := edge_complaint(body, place)):
        raise problem


def _builder(spec: Any, version: Version) -> Convert:
    match spec:
        case Envelope(key, inner, _):
            kind = kind_of(inner)
            if isinstance(kind, Nested):
                read = _shape_reader(kind.shape, version)
                return lambda body: read(body[key], body)
            convert = _read(kind, version) or _same
            return lambda body: convert(body[key])
        case CollectionOf(key, inner, _):
            item = _read(kind_of(inner), version) or _same
            return lambda body: [item(each) for each in body[key]]
        case Bulk(one, many, inner):
            single = _read(kind_of(inner), version) or _same
            return lambda body: (
                single(body[one]) if one in body else [single(each) for each in body[many]]
            )
        case _:
            return _read(kind_of(spec), version) or _same


def _same(value: Any) -> Any:
    return value


def _read(kind: Kind, version: Version) -> Convert | None:
    """How a valid JSON value of this kind becomes the Python value; None when it already is."""
    match kind:
        case Scalar(type_):
            return whole if type_ == "integer" else None
        case Anything() | OneOf():
            return None
        case Custom(wire):
            return wire.read
        case Nested(shape):
            return _shape_reader(shape, version)
        case ListOf(item):
            return _each_in_list(_read(item, version))
        case MapOf(value):
            return _each_in_map(_read(value, version))
        case Either(parts):
            return _read_either(parts, version)


def _each_in_list(convert: Convert | None) -> Convert | None:
    return convert and (lambda values: [convert(each) for each in values])


def _each_in_map(convert: Convert | None) -> Convert | None:
    return convert and (lambda values: {key: convert(each) for key, each in values.items()})


def _read_either(parts: tuple[Kind, ...], version: Version) -> Convert | None:
    """The first part that accepts the value converts it; parts that convert nothing need no test."""
    converts = [(part, _read(part, version)) for part in parts]
    busy = [(part, convert) for part, convert in converts if convert]
    if not busy:
        return None
    if len(busy) == 1 and len(parts) == 2 and Scalar("null") in parts:
        convert = busy[0][1]
        return lambda value: None if value is None else convert(value)
    tests = [(_accepts(part, version), convert or _same) for part, convert in converts]

    def pick(value: Any) -> Any:
        for accepts, convert in tests:
            if accepts(value):
                return convert(value)
        return value

    return pick


def _accepts(kind: Kind, version: Version) -> Callable[[Any], bool]:
    schema = schema_of(kind, version)
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=FORMATS).is_valid


class _Source:
    """Lines of a function under construction and the values it refers to by name."""

    def __init__(self, opening: str) -> None:
        self.lines = [opening]
        self.values: dict[str, Any] = {"ABSENT": ABSENT, "whole": whole}

    def keep(self, value: object) -> str:
        name = f"k{len(self.values)}"
        self.values[name] = value
        return name

    def build(self, name: str) -> Convert:
        exec(compile("\n".join(self.lines), "<shape>", "exec"), self.values)  # noqa: S102 - our own text
        made: Convert = self.values[name]
        return made


def _shape_reader(shape: Any, version: Version) -> Convert:
    """`read(b, o)`: b is the object itself, o the body around it, where siblings stand."""
    source = _Source("def read(b, o={}):")
    source.lines.append(" get = b.get")
    source.lines.append(f" return {source.keep(shape)}(")
    active = []
    for attr, spec in fields_of(shape).items():
        if spec.within(version):
            active.append(spec.wire)
            convert = _read(kinds_of(shape)[attr], version)
            source.lines.append(f"  {attr}={_read_field(source, spec, convert)},")
        elif spec.required:
            source.lines.append(f"  {attr}=ABSENT,")
    if extra_of(shape) == "keep":
        names = source.keep(frozenset(active))
        source.lines.append(f"  extra={{k: v for k, v in b.items() if k not in {names}}},")
    source.lines.append(" )")
    return source.build("read")


def _read_field(source: _Source, spec: FieldSpec, convert: Convert | None) -> str:
    body = "o" if spec.sibling else "b"
    item = f"{body}[{spec.wire!r}]"
    value = item
    if convert is whole:
        value = f"(v if (v := {item}).__class__ is int else whole(v))"
    elif convert:
        value = f"{source.keep(convert)}({item})"
    if spec.required and not spec.sibling:
        return value
    default = _default(source, spec)
    if convert or not default.isidentifier():
        return f"({value} if {spec.wire!r} in {body} else {default})"
    return f"{'o.get' if spec.sibling else 'get'}({spec.wire!r}, {default})"


def _default(source: _Source, spec: FieldSpec) -> str:
    if spec.required or spec.default is ABSENT:
        return "ABSENT"
    if spec.default_factory is not msgspec.NODEFAULT:
        return f"{source.keep(spec.default_factory)}()"
    if isinstance(spec.default, list | dict | set):
        return f"{source.keep(spec.default.copy)}()"
    return source.keep(spec.default)


def _make_writer(spec: Any, version: Version) -> Callable[..., Any]:
    match spec:
        case Envelope(key, inner, _):
            return _envelope_writer(key, kind_of(inner), version)
        case CollectionOf(key, inner, links):
            return _collection_writer(key, _write(kind_of(inner), version), links)
        case Bulk(one, many, inner):
            single = _write(kind_of(inner), version) or _same_may

            def write_bulk(value: Any, may: May | None = None) -> Any:
                if isinstance(value, list | tuple):
                    return {many: [single(each, may) for each in value]}
                return {one: single(value, may)}

            return write_bulk
        case _:
            write = _write(kind_of(spec), version) or _same_may
            return lambda value, may=None: write(value, may)


def _same_may(value: Any, may: May | None) -> Any:
    return value


def _envelope_writer(key: str, kind: Kind, version: Version) -> Callable[..., Any]:
    write = _write(kind, version) or _same_may
    if not (isinstance(kind, Nested) and any(spec.sibling for spec in fields_of(kind.shape).values())):
        return lambda value, may=None: {key: write(value, may)}
    beside = _shape_writer(kind.shape, version, siblings=True)
    return lambda value, may=None: {key: write(value, may), **beside(value, may)}


def _collection_writer(key: str, item: Convert | None, links: str | None) -> Callable[..., Any]:
    def written(items: Any, may: May | None) -> Any:
        if items.__class__ is Rendered:
            return orjson.Fragment(b"[" + b",".join(items) + b"]")
        return [item(each, may) for each in items] if item else list(items)

    def write(value: Any, may: May | None = None) -> Any:
        page = value if value.__class__ is Page else Page(value)
        body = {key: written(page.items, may)}
        if links and page.links:
            body[links] = page.links
        if page.beside:
            body.update(page.beside)
        return body

    return write


def _write(kind: Kind, version: Version) -> Convert | None:
    """How a Python value of this kind becomes JSON: `(value, may)`; None when it already is."""
    match kind:
        case Scalar() | Anything() | OneOf():
            return None
        case Custom(wire):
            return _write_custom(wire.write)
        case Nested(shape):
            return _shape_writer(shape, version)
        case ListOf(item):
            return _write_list(_write(item, version))
        case MapOf(value):
            return _write_map(_write(value, version))
        case Either(parts):
            return _write_either(parts, version)


def _write_custom(form: Callable[[Any], Any] | None) -> Convert | None:
    if form is None:
        return None

    def convert(value: Any, may: May | None) -> Any:
        return None if value is None else form(value)

    return convert


def _write_list(one: Convert | None) -> Convert | None:
    return one and (lambda values, may: [one(each, may) for each in values])


def _write_map(one: Convert | None) -> Convert | None:
    return one and (lambda values, may: {key: one(each, may) for key, each in values.items()})


def _write_either(parts: tuple[Kind, ...], version: Version) -> Convert | None:
    """None and plain JSON values go as they are; objects by their class, others by the one custom form."""
    writes = [(part, _write(part, version)) for part in parts]
    busy = [(part, write) for part, write in writes if write]
    if not busy:
        return None
    by_class = {part.shape: write for part, write in busy if isinstance(part, Nested)}
    rest = [(part, write) for part, write in busy if not isinstance(part, Nested)]
    if len(busy) == 1:
        return _write_unless_plain(busy[0][1], isinstance(busy[0][0], Nested))

    def pick(value: Any, may: May | None) -> Any:
        write = by_class.get(value.__class__)
        if write:
            return write(value, may)
        for part, each in rest:
            if isinstance(value, _python_type(part)):
                return each(value, may)
        return value

    return pick


def _write_unless_plain(write: Convert, is_object: bool) -> Convert:
    plain = (str, int, float, bool, list, dict) if is_object else ()

    def convert(value: Any, may: May | None) -> Any:
        return value if value is None or isinstance(value, plain) else write(value, may)

    return convert


def _python_type(kind: Kind) -> Any:
    return list if isinstance(kind, ListOf) else dict if isinstance(kind, MapOf) else object


def _shape_writer(shape: Any, version: Version, siblings: bool = False) -> Convert:
    source = _Source("def write(o, may=None):")
    keep = extra_of(shape) == "keep" and not siblings
    # Unknown keys come first, so that none of them can replace a declared one.
    source.lines.append(" d = dict(o.extra)" if keep else " d = {}")
    shown = {a: spec for a, spec in fields_of(shape).items() if spec.within(version) and spec.sibling == siblings}
    # Each rule is asked for once, however many fields it guards.
    rules = {rule: f"may_{i}" for i, rule in enumerate(sorted({s.policy for s in shown.values() if s.policy}))}
    source.lines += [f" {name} = may is None or may({rule!r})" for rule, name in rules.items()]
    for attr, spec in shown.items():
        convert = _write(kinds_of(shape)[attr], version)
        value = "v" if convert is None else f"{source.keep(convert)}(v, may)"
        allowed = f" and {rules[spec.policy]}" if spec.policy else ""
        source.lines.append(f" if (v := o.{attr}) is not ABSENT{allowed}: d[{spec.wire!r}] = {value}")
    source.lines.append(" return d")
    return source.build("write")
