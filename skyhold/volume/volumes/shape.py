# SPDX-License-Identifier: Apache-2.0
"""The wire forms of volumes, for all microversions.

Routes are api.py and actions.py, decisions ops.py. Field ranges follow Cinder's REST API version history.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.shapes import (
    Absent,
    JsonObject,
    LooseBool,
    LooseInt,
    Shape,
    TimeMicros,
    collection,
    envelope,
    field,
)
from skyhold.volume import policy
from skyhold.volume.paging import PageQuery

MOST_GIB = 2**31 - 1
KEY = r"^[a-zA-Z0-9-_:. /]{1,255}$"


class VolumeCreate(Shape):
    """What is known but not done (groups, backups, multi-attach) is refused in ops, with a reason."""

    name: str | None = field(max=255, default=None)
    display_name: str | None = field(max=255, default=None)
    description: str | None = field(max=255, default=None)
    display_description: str | None = field(max=255, default=None)
    size: LooseInt | None = field(min=1, max=MOST_GIB, default=None)
    volume_type: str | None = field(max=255, default=None)
    metadata: dict[str, str] | None = field(keys=KEY, max=255, default=None)
    availability_zone: str | None = field(min=1, max=255, default=None)
    snapshot_id: str | None = field(format="uuid", default=None)
    source_volid: str | None = field(format="uuid", default=None)
    image_id: str | None = field(max=255, default=None)
    image_ref: str | None = field("imageRef", max=255, default=None)
    multiattach: LooseBool | None = field(default=None)
    consistencygroup_id: str | None = field(format="uuid", default=None)
    group_id: str | None = field(since="3.13", max=255, default=None)
    backup_id: str | None = field(since="3.47", format="uuid", default=None)
    # What clients of old sent along, and Cinder never looked at.
    user_id: Any = field(until="3.52", default=None)
    project_id: Any = field(until="3.52", default=None)
    attach_status: Any = field(until="3.52", default=None)
    status: Any = field(until="3.52", default=None)
    hints: JsonObject | None = field("OS-SCH-HNT:scheduler_hints", sibling=True, default=None)


class VolumeUpdate(Shape):
    name: str | Absent | None = field(max=255, optional=True)
    display_name: str | Absent | None = field(max=255, optional=True)
    description: str | Absent | None = field(max=255, optional=True)
    display_description: str | Absent | None = field(max=255, optional=True)
    metadata: dict[str, str] | Absent = field(keys=KEY, max=255, optional=True)


class VolumeBrief(Shape):
    id: str
    name: str | None
    links: list[Any]


class Attached(Shape):
    id: str
    attachment_id: str
    volume_id: str
    server_id: str | None
    host_name: str | None
    device: str | None
    attached_at: TimeMicros | None


class VolumeSaid(Shape):
    """A volume as creating and changing it answer; what upstream adds elsewhere is in the next one."""

    id: str
    status: str
    size: int
    availability_zone: str
    created_at: TimeMicros
    updated_at: TimeMicros | None
    name: str | None
    description: str | None
    volume_type: str
    volume_type_id: str = field(since="3.63")
    snapshot_id: str | None
    source_volid: str | None
    metadata: dict[str, str]
    links: list[Any]
    user_id: str
    bootable: str
    encrypted: bool = False
    replication_status: str | None = None
    consistencygroup_id: str | None = None
    multiattach: bool = False
    attachments: list[Attached]
    migration_status: str | None = None
    group_id: str | None = field(since="3.13", default=None)
    provider_id: str | None = field(since="3.21", policy=policy.HOST_ATTRIBUTE.name, default=None)
    service_uuid: str | None = field(since="3.48")
    shared_targets: bool | None = field(since="3.48", default=False)
    cluster_name: str | None = field(since="3.61", policy=policy.HOST_ATTRIBUTE.name, default=None)
    consumes_quota: bool = field(since="3.65", default=True)


class Volume(VolumeSaid):
    """A volume as show and detail print it."""

    volume_image_metadata: dict[str, str] | Absent = field(optional=True)
    project_id: str = field("os-vol-tenant-attr:tenant_id")
    host: str | None = field("os-vol-host-attr:host", policy=policy.HOST_ATTRIBUTE.name)
    migration: str | None = field(
        "os-vol-mig-status-attr:migstat", policy=policy.MIGRATION_ATTRIBUTE.name, default=None
    )
    name_id: str | None = field(
        "os-vol-mig-status-attr:name_id", policy=policy.MIGRATION_ATTRIBUTE.name, default=None
    )


class VolumeQuery(PageQuery):
    name: str | None = None
    status: str | None = None
    bootable: str | None = None
    availability_zone: str | None = None
    metadata: str | None = None


class DeleteQuery(Shape, extra="ignore"):
    cascade: LooseBool = False
    force: LooseBool = False


CREATE = envelope("volume", VolumeCreate)
UPDATE = envelope("volume", VolumeUpdate)
SAID = envelope("volume", VolumeSaid)
ONE = envelope("volume", Volume)
BRIEFS = collection("volumes", VolumeBrief, links="volumes_links")
DETAILS = collection("volumes", Volume, links="volumes_links")

# ---- actions -------------------------------------------------------------------------------


class Extend(Shape):
    new_size: LooseInt = field(min=1, max=MOST_GIB)


class SetBootable(Shape):
    bootable: LooseBool


class ImageMetadata(Shape):
    metadata: dict[str, str] = field(keys=KEY, max=255)


class ImageMetadataKey(Shape):
    key: str = field(min=1, max=255)


class Upload(Shape):
    image_name: str = field(min=1, max=255)
    force: LooseBool = False
    disk_format: str = field(enum=("raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx", "ploop"), default="raw")
    container_format: str | None = field(max=255, default=None)
    visibility: str = field(since="3.1", enum=("community", "public", "private", "shared"), default="private")
    protected: LooseBool = field(since="3.1", default=False)


class Uploaded(Shape):
    id: str
    updated_at: TimeMicros | None
    status: str
    display_description: str | None
    size: int
    volume_type: JsonObject
    image_id: str
    image_name: str | None
    disk_format: str | None
    container_format: str | None
    visibility: str = field(since="3.1")
    protected: bool = field(since="3.1")


class Attach(Shape):
    instance_uuid: str | None = field(format="uuid", default=None)
    host_name: str | None = field(max=255, default=None)
    mountpoint: str = field(min=1, max=255)
    mode: str = field(enum=("rw", "ro"), default="rw")


class Detach(Shape):
    attachment_id: str | None = field(format="uuid", default=None)


class ResetStatus(Shape):
    status: str | None = field(default=None)
    attach_status: str | None = field(default=None)
    migration_status: str | None = field(default=None)
