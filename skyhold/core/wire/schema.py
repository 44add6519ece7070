# SPDX-License-Identifier: Apache-2.0
"""JSON Schema 2020-12 of a body in one microversion, and in which spans of versions it stays equal.

Kinds come from kinds.py; validating with the schema is code.py. The one thing to know first:
schemas of different JSON types are merged into one (a keyword applies only to its own type), since
an error from `anyOf` would tell the user nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from skyhold.core.versions import Version
from skyhold.core.wire.fields import (
    Bulk,
    CollectionOf,
    Envelope,
    FieldSpec,
    extra_of,
    fields_of,
    min_fields_of,
)
from skyhold.core.wire.kinds import (
    INT64_MAX,
    INT64_MIN,
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
)

Mode = Literal["read", "write"]
Schema = dict[str, Any]
_PLAIN = FieldSpec()


def json_schema(spec: Any, version: Version | str, mode: Mode = "read") -> Schema:
    """The schema of a Shape, an annotation, an envelope, a collection or a bulk body.

    Reading carries every constraint; writing says only what types a client will meet.
    """
    version = Version.parse(version)
    match spec:
        case Envelope(key, inner, outer):
            return _envelope(key, kind_of(inner), outer, version, mode)
        case CollectionOf(key, inner, links):
            beside: Schema = {links: {"type": ["array", "object"]}} if links and mode == "write" else {}
            return _object({key: _list(_of(kind_of(inner), _PLAIN, version, mode)), **beside}, [key], mode)
        case Bulk(one, many, inner):
            single = _of(kind_of(inner), _PLAIN, version, mode)
            return {
                **_object({one: single, many: {**_list(single), "minItems": 1}}, [], mode),
                "minProperties": 1,
                "maxProperties": 1,
            }
        case _:
            return _of(kind_of(spec), _PLAIN, version, mode)


def schema_of(kind: Kind, version: Version) -> Schema:
    """The schema for reading a value of one kind, without a field's constraints."""
    return _of(kind, _PLAIN, version, "read")


def span(spec: Any, version: Version) -> int:
    """The number of the span of versions `version` is in; within one the wire form does not change."""
    return bisect_right(_borders(spec), version)


@cache
def _borders(spec: Any) -> list[Version]:
    inner = spec.inner if isinstance(spec, Envelope | CollectionOf | Bulk) else spec
    return sorted(set(_versions_in(kind_of(inner), ())))


def _versions_in(kind: Kind, above: tuple[Any, ...]) -> Iterator[Version]:
    match kind:
        case Nested(shape):
            if shape in above:
                raise TypeError(f"{shape.__name__} contains itself; declare that part as JsonObject")
            for spec in fields_of(shape).values():
                if spec.since:
                    yield spec.since
                if spec.until:
                    yield Version(spec.until.major, spec.until.minor + 1)
            for part in kinds_of(shape).values():
                yield from _versions_in(part, (*above, shape))
        case ListOf(part) | MapOf(part):
            yield from _versions_in(part, above)
        case Either(parts):
            for part in parts:
                yield from _versions_in(part, above)


def _envelope(key: str, kind: Kind, outer: str, version: Version, mode: Mode) -> Schema:
    properties = {key: _of(kind, _PLAIN, version, mode)}
    required = [key]
    if isinstance(kind, Nested):
        for attr, spec in fields_of(kind.shape).items():
            if spec.sibling and spec.within(version):
                properties[spec.wire] = _field(kinds_of(kind.shape)[attr], spec, version, mode)
                required += [spec.wire] if spec.required else []
    body = _object(properties, required, mode)
    if outer == "ignore":
        body.pop("additionalProperties", None)
    return body


def _object(properties: Schema, required: list[str], mode: Mode) -> Schema:
    body: Schema = {"type": "object", "properties": properties}
    if required:
        body["required"] = required
    if mode == "read":
        body["additionalProperties"] = False
    return body


def _shape(shape: Any, version: Version, mode: Mode) -> Schema:
    kinds = kinds_of(shape)
    properties: Schema = {}
    required: list[str] = []
    for attr, spec in fields_of(shape).items():
        if spec.within(version) and not spec.sibling:
            properties[spec.wire] = _field(kinds[attr], spec, version, mode)
            # A reply leaves out an attribute the caller may not see.
            required += [spec.wire] if spec.required and (mode == "read" or not spec.policy) else []
    body = _object(properties, required, mode)
    if extra_of(shape) != "forbid":
        body.pop("additionalProperties", None)
    if mode == "read" and min_fields_of(shape):
        body["minProperties"] = min_fields_of(shape)
    return body


def _field(kind: Kind, spec: FieldSpec, version: Version, mode: Mode) -> Schema:
    asked = spec if mode == "read" else FieldSpec(enum=spec.enum, format=spec.format)
    schema = _of(kind, asked, version, mode)
    if spec.secret:
        schema = {**schema, "writeOnly": True}
    return {**schema, "description": spec.description} if spec.description else schema


def _of(kind: Kind, spec: FieldSpec, version: Version, mode: Mode) -> Schema:
    match kind:
        case Anything():
            return {}
        case Scalar(type_):
            return _scalar(type_, spec)
        case OneOf(values):
            return _one_of(values)
        case Custom(wire):
            return dict(wire.schema) if isinstance(wire.schema, dict) else wire.schema(spec)
        case Nested(shape):
            return _shape(shape, version, mode)
        case ListOf(item):
            return _sized(_list(_of(item, spec, version, mode)), spec, "Items")
        case MapOf(value):
            schema: Schema = {"type": "object"}
            inner = _of(value, spec, version, mode)
            if inner:
                schema["additionalProperties"] = inner
            if spec.keys:
                schema["propertyNames"] = {"pattern": spec.keys}
            return _sized(schema, spec, "Properties")
        case Either(parts):
            return _merged([_of(part, spec, version, mode) for part in parts])


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item} if item else {"type": "array"}


def _sized(schema: Schema, spec: FieldSpec, what: str) -> Schema:
    if spec.min_items is not None:
        schema[f"min{what}"] = spec.min_items
    if spec.max_items is not None:
        schema[f"max{what}"] = spec.max_items
    if spec.unique_items and what == "Items":
        schema["uniqueItems"] = True
    return schema


def _one_of(values: tuple[Any, ...]) -> Schema:
    names = {str: "string", bool: "boolean", int: "integer"}
    types = sorted({names[type(value)] for value in values if value is not None})
    types += ["null"] if None in values else []
    return {"type": types[0] if len(types) == 1 else types, "enum": list(values)}


def _scalar(type_: str, spec: FieldSpec) -> Schema:
    schema: Schema = {"type": type_}
    if spec.enum is not None and type_ != "null":
        schema["enum"] = list(spec.enum)
    if type_ == "string":
        named = {"minLength": spec.min, "maxLength": spec.max, "pattern": spec.pattern, "format": spec.format}
    elif type_ == "integer":
        low, high = spec.min, spec.max
        named = {"minimum": INT64_MIN if low is None else low, "maximum": INT64_MAX if high is None else high}
    elif type_ == "number":
        named = {"minimum": spec.min, "maximum": spec.max}
    else:
        named = {}
    schema.update({key: value for key, value in named.items() if value is not None})
    return schema


def _merged(parts: list[Schema]) -> Schema:
    """One schema that accepts what any of `parts` does; falls back to anyOf."""
    rest = [part for part in parts if part != {"type": "null"}]
    if any(not part for part in parts):
        return {}
    # An enum binds values of every type, so it can be merged with null only.
    if any("enum" in part for part in rest):
        return {"anyOf": parts} if len(rest) > 1 else rest[0] if len(parts) == 1 else _or_null(rest[0])
    types: list[str] = []
    merged: Schema = {}
    for part in parts:
        types += _types(part)
        for key, value in part.items():
            if key != "type" and merged.setdefault(key, value) != value:
                return {"anyOf": parts}
    if len(set(types)) < len(types) or not all("type" in part for part in parts):
        return {"anyOf": parts}
    return {"type": types, **merged}


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return list(types) if isinstance(types, list) else [types]


def _or_null(schema: Schema) -> Schema:
    nullable = {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        nullable["type"] = [*_types(schema), "null"]
    return nullable
