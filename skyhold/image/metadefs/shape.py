# SPDX-License-Identifier: Apache-2.0
"""The wire forms of metadata definitions: namespaces and what they define.

The schemas that clients fetch are metadefs/schemas.py, the routes are in the module of each resource.
The one thing to know first: a definition of a property is kept and shown as it was written, so its keys
are JSON Schema's.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.shapes import ABSENT, Absent, OpenShape, Shape, Time, field, writer
from skyhold.core.versions import Version

NAME_CHARS = 80
DESCRIPTION_CHARS = 500
TYPES = ("array", "boolean", "integer", "number", "object", "string")
VISIBILITIES = ("public", "private")
READ_ONLY = frozenset({"created_at", "updated_at", "self", "schema"})
INT64_MAX = 2**63 - 1


class Items(Shape, extra="ignore"):
    type: str | Absent = field(optional=True, enum=TYPES)
    enum: list[Any] | Absent = field(optional=True)


class Definition(Shape):
    """What a property's value may be."""

    name: str | Absent = field(optional=True, max=NAME_CHARS)
    title: str
    type: str = field(enum=TYPES)
    description: str | Absent = field(optional=True)
    operators: list[str] | Absent = field(optional=True)
    required: list[str] | Absent = field(optional=True, unique_items=True)
    minimum: float | Absent = field(optional=True)
    maximum: float | Absent = field(optional=True)
    max_length: int | Absent = field("maxLength", optional=True, min=0, max=INT64_MAX)
    min_length: int | Absent = field("minLength", optional=True, min=0, max=INT64_MAX)
    pattern: str | Absent = field(optional=True, format="regex")
    enum: list[Any] | Absent = field(optional=True)
    readonly: bool | Absent = field(optional=True)
    default: Any = field(optional=True)
    items: Items | Absent = field(optional=True)
    max_items: int | Absent = field("maxItems", optional=True, min=0, max=INT64_MAX)
    min_items: int | Absent = field("minItems", optional=True, min=0, max=INT64_MAX)
    unique_items: bool | Absent = field("uniqueItems", optional=True)
    additional_items: bool | Absent = field("additionalItems", optional=True)


class NamedDefinition(Definition):
    name: str = field(min=1, max=NAME_CHARS)


class ObjectWish(OpenShape):
    name: str = field(min=1, max=NAME_CHARS)
    description: str | None = None
    required: list[str] = field(default_factory=list, unique_items=True)
    properties: dict[str, Definition] = field(default_factory=dict)


class TagWish(OpenShape):
    name: str = field(min=1, max=NAME_CHARS)


class TagsWish(Shape, extra="ignore"):
    tags: list[TagWish]


class AssociationWish(OpenShape):
    name: str = field(min=1, max=NAME_CHARS)
    prefix: str | None = field(default=None, max=NAME_CHARS)
    properties_target: str | None = field(default=None, max=NAME_CHARS)


class NamespaceUpdate(OpenShape):
    """What isn't told gets its default, as upstream documents."""

    namespace: str = field(min=1, max=NAME_CHARS)
    display_name: str | None = field(default=None, max=NAME_CHARS)
    description: str | None = field(default=None, max=DESCRIPTION_CHARS)
    visibility: str = field(default="private", enum=VISIBILITIES)
    protected: bool = False
    owner: str | Absent = field(optional=True, max=64)


class NamespaceCreate(NamespaceUpdate):
    resource_type_associations: list[AssociationWish] = field(default_factory=list)
    properties: dict[str, Definition] = field(default_factory=dict)
    objects: list[ObjectWish] = field(default_factory=list)
    tags: list[TagWish] = field(default_factory=list)


class Tag(Shape):
    name: str
    created_at: Time
    updated_at: Time


class TagName(Shape):
    name: str


class Association(Shape):
    name: str
    prefix: str | Absent = field(optional=True)
    properties_target: str | Absent = field(optional=True)
    created_at: Time
    updated_at: Time


class Object(Shape):
    name: str
    description: str | Absent = field(optional=True)
    required: list[str]
    properties: dict[str, Any]
    created_at: Time
    updated_at: Time
    self: str
    schema: str = "/v2/schemas/metadefs/object"


class Namespace(Shape):
    """`properties`, `objects` and `tags` only where one namespace is shown."""

    namespace: str
    display_name: str | Absent = field(optional=True)
    description: str | Absent = field(optional=True)
    visibility: str
    protected: bool
    owner: str | Absent = field(optional=True)
    created_at: Time
    updated_at: Time
    resource_type_associations: list[Association] | Absent = field(optional=True)
    properties: dict[str, Any] | Absent = field(optional=True)
    objects: list[Object] | Absent = field(optional=True)
    tags: list[TagName] | Absent = field(optional=True)
    self: str
    schema: str = "/v2/schemas/metadefs/namespace"


write_definition = writer(Definition, Version(0, 0))


def definition(wish: Definition) -> dict[str, Any]:
    """As it is kept: without its name, which is a column or a key."""
    kept: dict[str, Any] = write_definition(wish)
    kept.pop("name", None)
    return kept


def definitions(wishes: dict[str, Definition]) -> dict[str, Any]:
    for name in wishes:
        check_name(name)
    return {name: definition(wish) for name, wish in wishes.items()}


def refuse_unknown(wish: Any) -> None:
    """Forbidden for what only we set, Invalid for what there isn't."""
    for name in wish.extra:
        if name in READ_ONLY:
            raise errors.Forbidden(f"Attribute '{name}' is read-only.")
        raise errors.Invalid(f"Additional properties are not allowed ('{name[:NAME_CHARS]}' was unexpected).")


def check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_CHARS:
        raise errors.Invalid(f"A name has 1 to {NAME_CHARS} characters: {name[:NAME_CHARS]!r}.")


def given(value: Any) -> Any:
    """Upstream leaves out what isn't set instead of showing null."""
    return ABSENT if value is None else value
