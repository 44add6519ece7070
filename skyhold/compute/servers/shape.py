# SPDX-License-Identifier: Apache-2.0
"""The wire forms of servers, for all microversions.

Routes are api.py, decisions ops.py; how a row becomes these forms is views.py. Field ranges follow
Nova's REST API version history.
"""

from __future__ import annotations

from typing import Any, Literal

from skyhold.core.shapes import (
    ABSENT,
    Absent,
    JsonObject,
    LooseBool,
    LooseInt,
    Name,
    Ref,
    Shape,
    Time,
    TimeMicros,
    collection,
    envelope,
    field,
)

HOST_ATTRIBUTES = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"
INT_MAX = 2**31 - 1
HOSTNAME = r"^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$"


class NetworkAsk(Shape):
    """One wished-for port: on a network, or one that exists already."""

    uuid: str | None = field(default=None, format="uuid")
    port: str | None = field(default=None, format="uuid")
    fixed_ip: str | None = field(default=None, format="ip")
    tag: str | None = field(since="2.42", default=None, min=1, max=60, pattern=r"^[^,/]*$")


class GroupName(Shape, extra="ignore"):
    name: str = field(min=1, max=255)


class BlockDevice(Shape):
    """A disk as `block_device_mapping_v2` lists it; what it means is logic/block_devices.py. The last ones are of
    the elder form, and mean nothing in this one, upstream neither."""

    source_type: str = field(enum=("image", "blank", "volume", "snapshot"))
    destination_type: str | None = field(enum=("local", "volume"), default=None)
    boot_index: LooseInt | None = field(default=None, min=-1, max=INT_MAX)
    uuid: str | None = field(default=None, min=1, max=255, pattern=r"^[a-zA-Z0-9._-]*$")
    delete_on_termination: LooseBool = field(default=False)
    volume_size: LooseInt | None = field(default=None, min=1, max=INT_MAX)
    device_name: str | None = field(default=None, min=1, max=255, pattern=r"^[a-zA-Z0-9._/-]*$")
    guest_format: str | None = field(default=None, max=255)
    device_type: str | None = field(default=None, max=255)
    disk_bus: str | None = field(default=None, max=255)
    no_device: Any = None
    volume_type: str | None = field(since="2.67", default=None, max=255)
    tag: str | None = field(since="2.42", default=None, min=1, max=60, pattern=r"^[^,/]*$")
    virtual_name: str | None = field(default=None, max=255)
    volume_id: str | None = field(default=None, format="uuid")
    snapshot_id: str | None = field(default=None, format="uuid")
    image_id: str | None = field(default=None, format="uuid")
    connection_info: str | None = field(default=None, max=16777215)


class ServerCreate(Shape):
    name: Name
    flavor: Ref = field("flavorRef")
    image: Ref | None = field("imageRef", default=None, min=0)
    networks: list[NetworkAsk] | None = field(until="2.36", default=None)
    # Required since 2.37, and absent before.
    wanted_networks: list[NetworkAsk] | Literal["auto", "none"] | Absent = field("networks", since="2.37")
    key_name: str | None = field(default=None, min=1, max=255)
    user_data: str | None = field(default=None, format="base64", max=65535, secret=True)
    metadata: dict[str, str] = field(default_factory=dict, max=255, keys=r"^[a-zA-Z0-9_:. -]{1,255}$")
    security_groups: list[GroupName] = field(default_factory=list)
    config_drive: LooseBool | None = field(default=None)
    min_count: LooseInt = field(default=1, min=1)
    max_count: LooseInt | None = field(default=None, min=1)
    availability_zone: str | None = field(default=None, min=1, max=255)
    disk_config: str = field("OS-DCF:diskConfig", enum=("AUTO", "MANUAL"), default="MANUAL")
    access_ip_v4: str | None = field("accessIPv4", default=None, format="ipv4")
    access_ip_v6: str | None = field("accessIPv6", default=None, format="ipv6")
    admin_pass: str | None = field("adminPass", default=None, min=1, max=255, secret=True)
    description: str | None = field(since="2.19", default=None, max=255)
    tags: list[str] = field(since="2.52", default_factory=list, min=1, max=60, max_items=50, pattern=r"^[^,/]*$")
    trusted_image_certificates: list[str] | None = field(
        since="2.63", default=None, min=1, max=255, min_items=1, max_items=50, unique_items=True
    )
    host: str | None = field(since="2.74", default=None, max=255)
    hypervisor_hostname: str | None = field(since="2.74", default=None, max=255)
    hostname: str | None = field(since="2.90", default=None, min=2, max=255, pattern=HOSTNAME)
    block_devices: list[BlockDevice] = field("block_device_mapping_v2", default_factory=list, max_items=26)
    elder_devices: list[JsonObject] = field("block_device_mapping", default_factory=list, max_items=26)
    personality: list[JsonObject] = field(until="2.56", default_factory=list)
    return_reservation_id: LooseBool = field(default=False)
    hints: JsonObject = field("os:scheduler_hints", default_factory=dict, sibling=True)
    old_hints: JsonObject = field("OS-SCH-HNT:scheduler_hints", default_factory=dict, sibling=True)


class ServerCreated(Shape):
    id: str | Absent = ABSENT
    links: list[Any] | Absent = ABSENT
    disk_config: str | Absent = field("OS-DCF:diskConfig", default=ABSENT)
    security_groups: list[Any] | Absent = ABSENT
    admin_pass: str | Absent = field("adminPass", default=ABSENT)


class ServerUpdate(Shape):
    name: Name | Absent = ABSENT
    access_ip_v4: str | Absent | None = field("accessIPv4", default=ABSENT, format="ipv4")
    access_ip_v6: str | Absent | None = field("accessIPv6", default=ABSENT, format="ipv6")
    disk_config: str | Absent = field("OS-DCF:diskConfig", default=ABSENT, enum=("AUTO", "MANUAL"))
    description: str | Absent | None = field(since="2.19", default=ABSENT, max=255)
    hostname: str | Absent = field(since="2.90", default=ABSENT, min=2, max=255, pattern=HOSTNAME)


class ServerBrief(Shape):
    id: str
    name: str
    links: list[Any]


class Fault(Shape):
    code: int
    message: str
    created: Time


class Server(Shape):
    """A server as show and detail print it."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    metadata: dict[str, str]
    host_hash: str = field("hostId")
    image: Any
    flavor: Any
    created: Time
    updated: Time
    addresses: Any
    access_ip_v4: str = field("accessIPv4")
    access_ip_v6: str = field("accessIPv6")
    links: list[Any]
    disk_config: str = field("OS-DCF:diskConfig")
    progress: int | Absent = field(default=ABSENT)
    fault: Fault | Absent = field(default=ABSENT)
    zone: str = field("OS-EXT-AZ:availability_zone")
    config_drive: str
    key_name: str | None
    launched_at: TimeMicros | None = field("OS-SRV-USG:launched_at")
    terminated_at: TimeMicros | None = field("OS-SRV-USG:terminated_at")
    security_groups: list[Any] | Absent = field(default=ABSENT)
    task: str | None = field("OS-EXT-STS:task_state")
    state: str = field("OS-EXT-STS:vm_state")
    power: int = field("OS-EXT-STS:power_state")
    volumes: list[Any] = field("os-extended-volumes:volumes_attached")
    host: str | None = field("OS-EXT-SRV-ATTR:host", policy=HOST_ATTRIBUTES)
    instance_name: str = field("OS-EXT-SRV-ATTR:instance_name", policy=HOST_ATTRIBUTES)
    hypervisor: str | None = field("OS-EXT-SRV-ATTR:hypervisor_hostname", policy=HOST_ATTRIBUTES)
    reservation_id: str = field("OS-EXT-SRV-ATTR:reservation_id", since="2.3", policy=HOST_ATTRIBUTES)
    launch_index: int = field("OS-EXT-SRV-ATTR:launch_index", since="2.3", policy=HOST_ATTRIBUTES)
    admin_hostname: str = field(
        "OS-EXT-SRV-ATTR:hostname", since="2.3", until="2.89", policy=HOST_ATTRIBUTES
    )
    hostname: str = field("OS-EXT-SRV-ATTR:hostname", since="2.90")
    kernel_id: str = field("OS-EXT-SRV-ATTR:kernel_id", since="2.3", policy=HOST_ATTRIBUTES)
    ramdisk_id: str = field("OS-EXT-SRV-ATTR:ramdisk_id", since="2.3", policy=HOST_ATTRIBUTES)
    root_device: str = field("OS-EXT-SRV-ATTR:root_device_name", since="2.3", policy=HOST_ATTRIBUTES)
    user_data: str | None = field("OS-EXT-SRV-ATTR:user_data", since="2.3", policy=HOST_ATTRIBUTES)
    locked: bool = field(since="2.9")
    host_status: str = field(since="2.16", policy=HOST_STATUS)
    description: str | None = field(since="2.19")
    tags: list[str] = field(since="2.26")
    trusted_image_certificates: list[str] | None = field(since="2.63", default=None)
    server_groups: list[str] | Absent = field(since="2.71", default=ABSENT)
    locked_reason: str | None = field(since="2.73")
    pinned_zone: str | None = field("pinned_availability_zone", since="2.96")


class ServerQuery(Shape, extra="ignore"):
    """Filters of both lists; those only an administrator may use are checked in ops."""

    name: str | None = None
    status: list[str] = field(default_factory=list)
    image: str | None = None
    flavor: str | None = None
    host: str | None = None
    uuid: str | None = None
    key_name: str | None = None
    ip: str | None = None
    ip6: str | None = None
    availability_zone: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    tenant_id: str | None = None
    reservation_id: str | None = None
    vm_state: str | None = None
    task_state: str | None = None
    power_state: str | None = None
    locked: LooseBool | None = field(since="2.73", default=None)
    config_drive: LooseBool | None = None
    description: str | None = None
    hostname: str | None = None
    deleted: LooseBool | None = None
    all_tenants: str | None = None
    changes_since: str | None = field("changes-since", default=None)
    changes_before: str | None = field("changes-before", since="2.66", default=None)
    tags: str | None = field(since="2.26", default=None)
    tags_any: str | None = field("tags-any", since="2.26", default=None)
    not_tags: str | None = field("not-tags", since="2.26", default=None)
    not_tags_any: str | None = field("not-tags-any", since="2.26", default=None)
    limit: LooseInt | None = field(default=None, min=0)
    marker: str | None = None
    sort_key: list[str] = field(default_factory=list)
    sort_dir: list[str] = field(default_factory=list)


class Lock(Shape):
    locked_reason: str | None = field(since="2.73", default=None, min=1, max=255)


class Reboot(Shape):
    type: str = field(enum=("SOFT", "HARD", "soft", "hard", "Soft", "Hard"))


class CreateImage(Shape):
    name: Name
    metadata: dict[str, str] = field(default_factory=dict, max=255, keys=r"^[a-zA-Z0-9_:. -]{1,255}$")


class ConsoleOutput(Shape):
    length: LooseInt | None = field(default=None, min=-1)


class GroupAction(Shape):
    name: str = field(min=1, max=255)


class ResetState(Shape):
    state: str = field(enum=("active", "error"))


CREATE = envelope("server", ServerCreate)
CREATED = envelope("server", ServerCreated)
UPDATE = envelope("server", ServerUpdate)
ONE = envelope("server", Server)
BRIEF = collection("servers", ServerBrief, links="servers_links")
DETAIL = collection("servers", Server, links="servers_links")
