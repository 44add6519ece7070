# SPDX-License-Identifier: Apache-2.0
"""The wire form of an image; every key that isn't declared is a property of the image's owner.

How attributes may change is ops.py; the schemas that clients fetch are in schemas.py. The one
thing to know first: properties stand beside the attributes, so an attribute's name can never be
a property's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from skyhold.core.shapes import Absent, OpenShape, Shape, Time, field
from skyhold.image.drivers.base import BlobStore, StoreAway
from skyhold.image.logic.clock import seconds_z

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("community", "public", "private", "shared")
HASH_ALGORITHM = "sha512"
UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
INT32_MAX = 2**31 - 1

READ_ONLY = frozenset({
    "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "os_hash_algo",
    "os_hash_value", "direct_url", "self", "file", "schema", "stores",
})
RESERVED = frozenset({"location", "locations", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance_"


class ImageCreate(OpenShape):
    id: str | None = field(default=None, pattern=UUID)
    name: str | None = field(default=None, max=255)
    visibility: str = field(default="shared", enum=VISIBILITIES)
    protected: bool = False
    os_hidden: bool = False
    disk_format: str | None = field(default=None, enum=(None, *DISK_FORMATS))
    container_format: str | None = field(default=None, enum=(None, *CONTAINER_FORMATS))
    min_disk: int = field(default=0, min=0, max=INT32_MAX)
    min_ram: int = field(default=0, min=0, max=INT32_MAX)
    tags: list[str] = field(default_factory=list, max=255)
    owner: str | Absent | None = field(optional=True, max=64)


class Image(OpenShape):
    id: str
    name: str | None
    status: str
    visibility: str
    owner: str | None
    protected: bool
    os_hidden: bool
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    tags: list[str]
    stores: str | Absent = field(optional=True)
    created_at: Time
    updated_at: Time
    self: str
    file: str
    schema: str = "/v2/schemas/image"


class ImageQuery(OpenShape):
    """Attributes, `tag`, `size_min`, `size_max`, `member_status`, properties; `limit`, `marker`, `sort`,
    `sort_key`, `sort_dir`: all of them may be given several times (logic/listing.py reads them)."""

    extra: dict[str, list[str]] = field(default_factory=dict)


class ImageDeletion(Shape, extra="ignore"):
    if_unused: str = field(default="false", enum=("true", "false"))


class ImageList(Shape):
    images: list[Image]
    first: str
    next: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/images"


class View(NamedTuple):
    """What of the cloud an image's answer depends on: the order of stores, a store by its name, and whether users
    see all places where content is, or the one it is read from first."""

    ordered: Callable[[Iterable[str]], list[str]]
    store: Callable[[str], BlobStore]
    with_locations: bool
    with_direct_url: bool = False


def shown(row: Any, view: View) -> dict[str, Any]:
    """The image of a row, as `Image` declares it; a dict, because lists hold a thousand of them."""
    path = "/v2/images/" + row.id
    image = {
        **row.properties,
        "id": row.id, "name": row.name, "status": row.status, "visibility": row.visibility,
        "owner": row.project_id, "protected": row.protected, "os_hidden": row.hidden,
        "disk_format": row.disk_format, "container_format": row.container_format,
        "min_disk": row.min_disk_gb, "min_ram": row.min_ram_mb,
        "size": row.size_bytes, "virtual_size": row.virtual_size_bytes, "checksum": row.checksum,
        "os_hash_algo": HASH_ALGORITHM if row.sha512 else None, "os_hash_value": row.sha512,
        "tags": row.tags, "created_at": seconds_z(row.created_at), "updated_at": seconds_z(row.updated_at),
        "self": path, "file": path + "/file", "schema": "/v2/schemas/image",
    }
    if row.hash_algo:
        image["os_hash_algo"], image["os_hash_value"] = row.hash_algo, row.hash_value
    if row.locations:
        image["stores"] = ",".join(view.ordered(each["store"] for each in row.locations))
    if view.with_direct_url and row.locations:
        image["direct_url"] = url_of(first_of(row.locations, view), view)
    if view.with_locations:
        image["locations"] = [shown_location(each, view) for each in row.locations or ()]
    if row.importing:
        image["os_glance_importing_to_stores"] = ",".join(row.importing["stores"])
        image["os_glance_failed_import"] = ",".join(row.importing["failed"])
        if row.importing["task"]:
            image["os_glance_import_task"] = row.importing["task"]
    return image


def first_of(locations: list[dict[str, Any]], view: View) -> dict[str, Any]:
    first = view.ordered(each["store"] for each in locations)[0]
    return next(each for each in locations if each["store"] == first)


def shown_location(location: dict[str, Any], view: View) -> dict[str, Any]:
    told = {**location["metadata"], "store": location["store"]}
    return {"url": url_of(location, view), "metadata": told}


def url_of(location: dict[str, Any], view: View) -> str:
    if "url" in location:
        return str(location["url"])
    try:
        return view.store(location["store"]).url(location["blob"])
    except StoreAway:
        return f"{location['store']}://{location['blob']}"
