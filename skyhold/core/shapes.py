# SPDX-License-Identifier: Apache-2.0
"""Wire forms, written once for all microversions: everything a service's shape.py imports.

The machinery is in core/wire/ (fields, kinds, schema, code, query); the routes that use a shape are
in each service's api.py. The one thing to know first: ABSENT (not in the body) differs from None
(null in the body), and a field without a default is required when reading.

    class ServerCreate(Shape):
        name: str = field(min=1, max=255)
        flavor: Ref = field("flavorRef")
        tags: list[str] | Absent = field(since="2.52", max_items=50, optional=True)
        hints: JsonObject | Absent = field("os:scheduler_hints", optional=True, sibling=True)

    want = reader(envelope("server", ServerCreate), Version(2, 96))(body)
"""

from __future__ import annotations

from skyhold.core.wire.code import reader, writer
from skyhold.core.wire.fields import (
    ABSENT,
    Absent,
    Bulk,
    CollectionOf,
    Envelope,
    FieldSpec,
    OpenShape,
    Page,
    Rendered,
    Shape,
    bulk,
    collection,
    envelope,
    field,
    guarded_fields,
    named,
    shape_in,
)
from skyhold.core.wire.kinds import (
    JsonObject,
    LooseBool,
    LooseInt,
    Name,
    Ref,
    Time,
    TimeMicros,
    TimeMicrosZ,
    Wire,
)
from skyhold.core.wire.query import query_reader
from skyhold.core.wire.schema import json_schema

__all__ = [
    "ABSENT",
    "Absent",
    "Bulk",
    "CollectionOf",
    "Envelope",
    "FieldSpec",
    "JsonObject",
    "LooseBool",
    "LooseInt",
    "Name",
    "OpenShape",
    "Page",
    "Ref",
    "Rendered",
    "Shape",
    "Time",
    "TimeMicros",
    "TimeMicrosZ",
    "Wire",
    "bulk",
    "collection",
    "envelope",
    "field",
    "guarded_fields",
    "json_schema",
    "named",
    "query_reader",
    "reader",
    "shape_in",
    "writer",
]
