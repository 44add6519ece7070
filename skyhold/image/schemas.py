# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas that glanceclient fetches to know an image's attributes from its properties.

They are documents for clients, in the draft that clients understand; requests are validated by the
Shapes of images/shape.py and members.py. A property is whatever the image schema doesn't name.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.image import policy, states
from skyhold.image.images.shape import CONTAINER_FORMATS, DISK_FORMATS, INT32_MAX, UUID, VISIBILITIES

routes = Routes()

Schema = dict[str, Any]


def text(words: str, **more: Any) -> Schema:
    return {"type": "string", "description": words, **more}


def maybe(kind: str, words: str, **more: Any) -> Schema:
    return {"type": ["null", kind], "description": words, **more}


def set_by_us(schema: Schema) -> Schema:
    return {**schema, "readOnly": True}


IMAGE_PROPERTIES: Schema = {
    "id": text("An identifier for the image", pattern=UUID),
    "name": maybe("string", "Descriptive name for the image", maxLength=255),
    "status": set_by_us(text("Status of the image", enum=list(states.KNOWN))),
    "visibility": text("Scope of image accessibility", enum=list(VISIBILITIES)),
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list response."},
    "checksum": set_by_us(maybe("string", "md5 hash of image contents.", maxLength=32)),
    "os_hash_algo": set_by_us(maybe("string", "Algorithm to calculate the os_hash_value", maxLength=64)),
    "os_hash_value": set_by_us(maybe(
        "string", "Hexdigest of the image contents using the algorithm specified by the os_hash_algo", maxLength=128
    )),
    "owner": maybe("string", "Owner of the image", maxLength=255),
    "size": set_by_us(maybe("integer", "Size of image file in bytes")),
    "virtual_size": set_by_us(maybe("integer", "Virtual size of image in bytes")),
    "container_format": maybe("string", "Format of the container", enum=[None, *CONTAINER_FORMATS]),
    "disk_format": maybe("string", "Format of the disk", enum=[None, *DISK_FORMATS]),
    "created_at": set_by_us(text("Date and time of image registration")),
    "updated_at": set_by_us(text("Date and time of the last image modification")),
    "tags": {
        "type": "array", "items": {"type": "string", "maxLength": 255},
        "description": "List of strings related to the image",
    },
    "min_ram": {
        "type": "integer", "maximum": INT32_MAX, "description": "Amount of ram (in MB) required to boot image."
    },
    "min_disk": {
        "type": "integer", "maximum": INT32_MAX,
        "description": "Amount of disk space (in GB) required to boot image.",
    },
    "self": set_by_us(text("An image self url")),
    "file": set_by_us(text("An image file url")),
    "schema": set_by_us(text("An image schema url")),
    "stores": set_by_us(text("Store in which image data resides.")),
    "direct_url": set_by_us(text("URL to access the image file kept in external store")),
    "locations": {
        "type": "array", "description": "A set of URLs to access the image file kept in external store",
        "items": {
            "type": "object", "required": ["url", "metadata"],
            "properties": {
                "url": {"type": "string"}, "metadata": {"type": "object"}, "validation_data": {"type": "object"},
            },
        },
    },
    # What is worth knowing of any image; these are its owner's properties, not attributes.
    "architecture": {**text("Operating system architecture"), "is_base": False},
    "os_distro": {**text("Common name of operating system distribution"), "is_base": False},
    "os_version": {**text("Operating system version as specified by the distributor"), "is_base": False},
    "kernel_id": {**maybe("string", "ID of the image of the kernel to boot with", pattern=UUID), "is_base": False},
    "ramdisk_id": {**maybe("string", "ID of the image of the ramdisk to boot with", pattern=UUID), "is_base": False},
    "instance_uuid": {**text("ID of the server that the image was made of"), "is_base": False},
}
MEMBER_PROPERTIES: Schema = {
    "member_id": text("An identifier for the image member (tenantId)"),
    "image_id": text("An identifier for the image", pattern=UUID),
    "status": text("The status of this image member", enum=list(states.MEMBER)),
    "created_at": text("Date and time of image member creation"),
    "updated_at": text("Date and time of last modification of image member"),
    "schema": set_by_us(text("An image member schema url")),
}
IMAGE: Schema = {
    "name": "image",
    "properties": IMAGE_PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
MEMBER: Schema = {"name": "member", "properties": MEMBER_PROPERTIES}


def collection(name: str, item: Schema, links: list[Schema]) -> Schema:
    pages = {link["rel"]: {"type": "string"} for link in links if link["rel"] in ("first", "next")}
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, "schema": {"type": "string"}, **pages},
        "links": links,
    }


TASK_PROPERTIES: Schema = {
    "id": set_by_us(text("An identifier for the task", pattern=UUID)),
    "type": text("The kind of task", enum=list(states.TASK_TYPES)),
    "status": set_by_us(text("How far it is", enum=["pending", "processing", "success", "failure"])),
    "input": {"type": ["null", "object"], "description": "What the task was given"},
    "result": {"type": ["null", "object"], "description": "What came of it"},
    "owner": text("The project it works for"),
    "message": set_by_us(text("What it is doing, or why it failed")),
    "image_id": set_by_us(maybe("string", "The image it works on")),
    "request_id": set_by_us(maybe("string", "The request that asked for it")),
    "user_id": set_by_us(maybe("string", "The user who asked for it")),
    "expires_at": set_by_us(maybe("string", "When its record goes", format="date-time")),
    "created_at": set_by_us(text("When it was asked for", format="date-time")),
    "updated_at": set_by_us(text("When it last changed", format="date-time")),
    "self": set_by_us(text("A task self url")),
    "schema": set_by_us(text("A task schema url")),
}
TASK: Schema = {"name": "task", "properties": TASK_PROPERTIES}
TASKS = collection("tasks", TASK, [
    {"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
    {"rel": "describedby", "href": "{schema}"},
])
IMAGES = collection("images", IMAGE, [
    {"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
    {"rel": "describedby", "href": "{schema}"},
])
MEMBERS = collection("members", MEMBER, [{"rel": "describedby", "href": "{schema}"}])


@routes.get("/v2/schemas/image", policy=policy.GET_SCHEMAS)
async def image(ctx: Context) -> Schema:
    """The schema of an image."""
    return IMAGE


@routes.get("/v2/schemas/images", policy=policy.GET_SCHEMAS)
async def images(ctx: Context) -> Schema:
    """The schema of a list of images."""
    return IMAGES


@routes.get("/v2/schemas/member", policy=policy.GET_SCHEMAS)
async def member(ctx: Context) -> Schema:
    """The schema of a member."""
    return MEMBER


@routes.get("/v2/schemas/members", policy=policy.GET_SCHEMAS)
async def members(ctx: Context) -> Schema:
    """The schema of a list of members."""
    return MEMBERS


@routes.get("/v2/schemas/task", policy=policy.GET_SCHEMAS)
async def task(ctx: Context) -> Schema:
    """The schema of a task."""
    return TASK


@routes.get("/v2/schemas/tasks", policy=policy.GET_SCHEMAS)
async def tasks(ctx: Context) -> Schema:
    """The schema of a list of tasks."""
    return TASKS
