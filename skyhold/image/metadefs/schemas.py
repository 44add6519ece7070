# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of metadata definitions, for clients that fetch them.

Requests are validated by shape.py; the schemas of images are image/schemas.py, whose words are used here.
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.image import policy
from skyhold.image.metadefs.shape import DESCRIPTION_CHARS, NAME_CHARS, TYPES, VISIBILITIES
from skyhold.image.schemas import Schema, collection, set_by_us, text

routes = Routes()

LINKS = [
    {"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"},
]
DEFINITIONS: Schema = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
    "stringArray": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
}
TYPE: Schema = {"type": "string", "enum": list(TYPES)}
PROPERTY_PROPERTIES: Schema = {
    "name": text("The key that a resource carries", maxLength=NAME_CHARS),
    "title": text("What people are shown for it"),
    "description": text("What it means"),
    "operators": {"type": "array", "items": {"type": "string"}},
    "type": TYPE,
    "required": {"$ref": "#/definitions/stringArray"},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": {"$ref": "#/definitions/positiveInteger"},
    "minLength": {"$ref": "#/definitions/positiveIntegerDefault0"},
    "pattern": text("A regular expression that a value matches", format="regex"),
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object", "properties": {"type": TYPE, "enum": {"type": "array"}}},
    "maxItems": {"$ref": "#/definitions/positiveInteger"},
    "minItems": {"$ref": "#/definitions/positiveIntegerDefault0"},
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}
ANY_PROPERTIES: Schema = {
    "type": "object",
    "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": PROPERTY_PROPERTIES},
}
TIMES: Schema = {
    "created_at": set_by_us(text("When it was made", format="date-time")),
    "updated_at": set_by_us(text("When it was last changed", format="date-time")),
}
PLACES: Schema = {"schema": set_by_us(text("The address of this schema")), "self": set_by_us(text("Its own address"))}
TAG_PROPERTIES: Schema = {"name": text("The tag", maxLength=NAME_CHARS), **TIMES}
ASSOCIATION_PROPERTIES: Schema = {
    "name": text("The type of resource that a namespace is meant for", maxLength=NAME_CHARS),
    "prefix": text("What names of properties begin with on such a resource", maxLength=NAME_CHARS),
    "properties_target": text("Which of its sets of keys carries them, where it has several", maxLength=NAME_CHARS),
    **TIMES,
}
OBJECT_PROPERTIES: Schema = {
    "name": text("What the properties make up together", maxLength=NAME_CHARS),
    "description": text("What that is"),
    "required": {"$ref": "#/definitions/stringArray"},
    "properties": ANY_PROPERTIES,
    **PLACES, **TIMES,
}
NAMESPACE_PROPERTIES: Schema = {
    "namespace": text("Its name, unique in the cloud", maxLength=NAME_CHARS),
    "display_name": text("What people are shown for it", maxLength=NAME_CHARS),
    "description": text("What it is about", maxLength=DESCRIPTION_CHARS),
    "visibility": text("Who sees it", enum=list(VISIBILITIES)),
    "protected": {"type": "boolean", "description": "Whether it is kept from being deleted"},
    "owner": text("The project it belongs to", maxLength=255),
    **TIMES, **PLACES,
    "resource_type_associations": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("name", "prefix", "properties_target")},
        },
    },
    "properties": ANY_PROPERTIES,
    "objects": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {name: OBJECT_PROPERTIES[name] for name in ("name", "description", "required", "properties")},
        },
    },
    "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
}


def closed(name: str, properties: Schema, *required: str) -> Schema:
    return {
        "name": name, "properties": properties, "additionalProperties": False, "required": list(required),
        "definitions": DEFINITIONS,
    }


NAMESPACE = closed("namespace", NAMESPACE_PROPERTIES, "namespace")
OBJECT = closed("object", OBJECT_PROPERTIES, "name")
PROPERTY = closed("property", PROPERTY_PROPERTIES, "type", "title")
TAG = closed("tag", TAG_PROPERTIES, "name")
ASSOCIATION = closed("resource_type_association", ASSOCIATION_PROPERTIES, "name")
PROPERTIES: Schema = {
    "name": "properties",
    "properties": {
        "properties": {"type": "object", "additionalProperties": {"type": "object", **PROPERTY}},
        "first": {"type": "string"}, "next": {"type": "string"}, "schema": {"type": "string"},
    },
    "links": LINKS, "definitions": DEFINITIONS,
}
BY_NAME: dict[str, Schema] = {
    "namespace": NAMESPACE, "namespaces": collection("namespaces", NAMESPACE, LINKS),
    "object": OBJECT, "objects": collection("objects", OBJECT, LINKS),
    "property": PROPERTY, "properties": PROPERTIES,
    "tag": TAG, "tags": collection("tags", TAG, LINKS),
    "resource_type": ASSOCIATION,
    "resource_types": collection("resource_type_associations", ASSOCIATION, LINKS),
}


def told(name: str, schema: Schema) -> None:
    @routes.get(f"/v2/schemas/metadefs/{name}", policy=policy.GET_SCHEMAS)
    async def show(ctx: Context) -> Schema:
        return schema

    show.__doc__ = f"The schema of {schema['name']}."


for each, document in BY_NAME.items():
    told(each, document)
