# SPDX-License-Identifier: Apache-2.0
"""What a wish for disks means: block_device_mapping_v2, its elder, and what an image brings along.

Whether the named volumes, snapshots and images are there is servers/volumes.py, which also has them made. Every list
comes out with exactly one disk to boot from, or is refused in Nova's words (its guide "Block Device Mapping").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from skyhold.core import errors

Source = Literal["image", "volume", "snapshot", "blank"]
Destination = Literal["local", "volume"]
TRUE = ("true", "1", "yes", "on", "t", "y")
INT_MAX = 2**31 - 1
TAG_CHARS = 60


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One disk as wished. Without a `boot_index` (or below zero) it isn't booted from; `size` is in GiB, of
    a swap disk in MiB."""

    source: Source
    destination: Destination
    boot_index: int | None = None
    id: str | None = None
    size: int | None = None
    delete_on_termination: bool = False
    device: str | None = None
    tag: str | None = None
    volume_type: str | None = None
    guest_format: str | None = None
    disk_bus: str | None = None
    device_type: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`root` is booted from; `volumes` are all that are volumes, root first if it is one."""

    root: Device
    volumes: list[Device]


def invalid(details: str) -> errors.Invalid:
    return errors.Invalid(f"Block Device Mapping is Invalid: {details}", reason="bad_block_device")


def plan(
    asked: Sequence[Device], *, image_id: str | None, of_image: Sequence[Device], flavor: Mapping[str, Any]
) -> Plan:
    """The disks of a server. `asked` is what the request lists, `of_image` what the image's own properties do.

    Raises Invalid. Not in the request, but understood: the image itself as root disk, when nothing is listed.
    """
    devices = merged(of_image, asked)
    if not devices and not image_id:
        raise errors.Invalid("Missing imageRef attribute", reason="no_boot_source")
    if not asked and not any(device.boot_index == 0 for device in devices):
        devices = [Device(source="image", destination="local", boot_index=0, id=image_id), *devices]
    for device in devices:
        check(device, image_id)
    check_boot_order(devices)
    check_local(devices, flavor)
    devices.sort(key=lambda device: device.boot_index is None or device.boot_index != 0)
    return Plan(root=devices[0], volumes=[device for device in devices if device.destination == "volume"])


def merged(of_image: Sequence[Device], asked: Sequence[Device]) -> list[Device]:
    """What is asked takes the place of what the image lists under the same device name."""
    names = {plain(device.device) for device in asked if device.device}
    return [*(d for d in of_image if not d.device or plain(d.device) not in names), *asked]


def plain(name: str | None) -> str:
    return (name or "").removeprefix("/dev/")


def check(device: Device, image_id: str | None) -> None:
    """One disk by itself."""
    if device.source == "blank":
        if device.id:
            raise invalid("Invalid device UUID.")
    elif not device.id:
        raise invalid("Missing device UUID.")
    if device.destination == "local":
        check_local_source(device, image_id)
    elif device.source == "image" and not device.size:
        raise invalid("Images with destination_type 'volume' need to have a non-zero size specified")
    elif device.source == "blank" and not device.size:
        raise invalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
    if device.device_type not in (None, "disk"):
        raise invalid(f"device_type {device.device_type} is not possible here: every device is a disk.")
    if len(device.tag or "") > TAG_CHARS:
        raise invalid(f"A tag has at most {TAG_CHARS} characters.")
    if device.volume_type and device.source == "volume":
        raise invalid("A volume that exists has its volume_type already; leave it out.")


def check_local_source(device: Device, image_id: str | None) -> None:
    if device.source in ("volume", "snapshot"):
        raise invalid(f"A disk from a {device.source} has destination_type 'volume'.")
    if device.source != "image":
        return
    if not image_id or device.boot_index != 0:
        raise invalid("Mapping image to local is not supported.")
    if device.id != image_id:
        raise invalid(f"The disk to boot from is image {device.id}, but imageRef is {image_id}: name one of them.")


def check_boot_order(devices: Sequence[Device]) -> None:
    order = sorted(d.boot_index for d in devices if d.boot_index is not None and d.boot_index >= 0)
    if not order or order != list(range(len(order))):
        raise invalid(
            "Boot sequence for the instance and image/block device mapping combination is not valid."
            " boot_index counts from 0, each once; the disk with 0 is booted from."
        )


def check_local(devices: Sequence[Device], flavor: Mapping[str, Any]) -> None:
    """A flavor's ephemeral and swap disks are made whole, listed or not: a list may only repeat them."""
    blank = [device for device in devices if device.source == "blank" and device.destination == "local"]
    swaps = [device for device in blank if device.guest_format == "swap"]
    ephemerals = [device for device in blank if device.guest_format != "swap"]
    if len(swaps) > 1:
        raise invalid("More than one swap drive requested.")
    if any((device.size or flavor["swap_mb"]) > flavor["swap_mb"] for device in swaps):
        raise invalid("Swap drive requested is larger than instance type allows.")
    if sum(device.size or flavor["ephemeral_gb"] for device in ephemerals) > flavor["ephemeral_gb"]:
        raise invalid(
            "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block"
            " device mapping, flavor ephemeral size will be used."
        )
    whole = all(device.size in (None, flavor["swap_mb"]) for device in swaps) and flavor["swap_mb"] >= len(swaps)
    whole = whole and all(device.size in (None, flavor["ephemeral_gb"]) for device in ephemerals)
    if not whole or (ephemerals and not flavor["ephemeral_gb"]):
        raise invalid("Local disks come from the flavor, one of each kind and whole: leave them out, or list them so.")
    if any(device.guest_format for device in ephemerals):
        raise invalid("guest_format can't be chosen: ephemeral disks come blank.")


# ---- the elder form, and images that bring disks along ----------------------------------------------


def elder(listed: Sequence[Mapping[str, Any]], image_id: str | None) -> list[Device]:
    """`block_device_mapping` of before version 2: a volume or snapshot each, the root by its name or, when there
    is no image, the first."""
    devices = [elder_device(each) for each in listed if not each.get("no_device")]
    disks = [device for device in devices if device.destination == "volume"]
    root = next((device for device in disks if plain(device.device) == "vda"), None)
    if root is None and not image_id:
        root = next(iter(disks), None)
    if root is None:
        first = [Device(source="image", destination="local", boot_index=0, id=image_id)] if image_id else []
        return [*first, *devices]
    return [msgspec.structs.replace(d, boot_index=0) if d is root else d for d in devices]


def elder_device(listed: Mapping[str, Any]) -> Device:
    virtual = str(listed.get("virtual_name") or "")
    size, name = number(listed.get("volume_size"), "volume_size"), text(listed.get("device_name"))
    if virtual == "swap" or virtual.startswith("ephemeral"):
        kind = "swap" if virtual == "swap" else None
        return Device(source="blank", destination="local", size=size, device=name, guest_format=kind)
    source: Source = "snapshot" if listed.get("snapshot_id") else "volume"
    return Device(
        source=source, destination="volume", id=text(listed.get(f"{source}_id")), size=size, device=name,
        delete_on_termination=truth(listed.get("delete_on_termination")),
    )


def of_image(properties: Mapping[str, Any]) -> list[Device]:
    """What an image made of a server on volumes says in `block_device_mapping`. Anybody may write anything into
    a property of their image: Invalid says what can't be meant."""
    written = properties.get("block_device_mapping")
    if not written:
        return []
    try:
        listed = json.loads(written) if isinstance(written, str) else written
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed) or len(listed) > 26:
        raise invalid("The image's property block_device_mapping is not a list of disks in JSON.")
    if str(properties.get("bdm_v2", "")).lower() not in TRUE:
        return elder(listed, None)
    return [image_device(each) for each in listed if not truth(each.get("no_device"))]


def image_device(listed: Mapping[str, Any]) -> Device:
    source = listed.get("source_type")
    destination = listed.get("destination_type") or default_destination(str(source))
    if source not in ("image", "volume", "snapshot", "blank") or destination not in ("local", "volume"):
        raise invalid("The image's property block_device_mapping has a disk of an unknown kind.")
    return Device(
        source=source, destination=destination, boot_index=number(listed.get("boot_index"), "boot_index"),
        id=text(listed.get(f"{source}_id") or listed.get("uuid")),
        size=number(listed.get("volume_size"), "volume_size"),
        delete_on_termination=truth(listed.get("delete_on_termination")), device=text(listed.get("device_name")),
        tag=text(listed.get("tag")), volume_type=text(listed.get("volume_type")),
        guest_format=text(listed.get("guest_format")), device_type=text(listed.get("device_type")),
    )


def default_destination(source: str) -> Destination:
    return "volume" if source in ("volume", "snapshot") else "local"


def number(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        found = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except ValueError:
        found = None
    if found is None or not -1 <= found <= INT_MAX:
        raise invalid(f"{name} is no number that could be meant.")
    return found


def text(value: Any) -> str | None:
    return value[:255] if isinstance(value, str) and value else None


def truth(value: Any) -> bool:
    return str(value).lower() in TRUE


# ---- names ------------------------------------------------------------------------------------------


def next_device(taken: Sequence[str], bus: str) -> str:
    """`/dev/vdb`, or the first after it that is free; `bus` as in `hw_disk_bus`."""
    prefix = "/dev/vd" if bus == "virtio" else "/dev/sd"
    used = {plain(name)[2:] for name in taken}
    return prefix + next(letters for n in range(len(used) + 1) if (letters := spelled(n)) not in used)


def spelled(number_: int) -> str:
    """0 is a, 25 z, 26 aa, as the kernel counts disks."""
    letters = ""
    number_ += 1
    while number_:
        number_, digit = divmod(number_ - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


def local_devices(flavor: Mapping[str, Any], *, root: bool, bus: str) -> list[str]:
    """Names of the disks that come with the flavor; `/dev/vda` is the root disk's, whatever that is."""
    count = 1 + bool(flavor["ephemeral_gb"]) + bool(flavor["swap_mb"])
    names: list[str] = []
    for _ in range(count):
        names.append(next_device(names, bus))
    return names if root else names[1:]
