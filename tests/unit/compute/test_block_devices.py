# SPDX-License-Identifier: Apache-2.0
"""What wishes for disks mean, by themselves: order, defaults, names. Whole requests are stories."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.compute.logic import block_devices
from skyhold.compute.logic.block_devices import Device
from skyhold.core import errors

FLAVOR = {"ephemeral_gb": 2, "swap_mb": 512}
PLAIN = {"ephemeral_gb": 0, "swap_mb": 0}


def disk(source: Any = "volume", **more: Any) -> Device:
    destination = more.pop("destination", "volume")
    return Device(source=source, destination=destination, **({"id": "v"} if source != "blank" else {}) | more)


def plan(*devices: Device, image: str | None = None, of_image: Any = (), flavor: Any = PLAIN) -> block_devices.Plan:
    return block_devices.plan(devices, image_id=image, of_image=of_image, flavor=flavor)


def test_an_image_alone_is_the_root_disk() -> None:
    found = plan(image="i")
    assert (found.root.source, found.root.destination, found.root.id) == ("image", "local", "i")
    assert found.volumes == []


def test_the_root_comes_first_whatever_the_order() -> None:
    data, root, other = disk(id="d"), disk(id="r", boot_index=0), disk(id="o", boot_index=1)
    found = plan(data, root, other)
    assert found.root == root
    assert [device.id for device in found.volumes] == ["r", "d", "o"]


def test_what_is_asked_takes_the_place_of_what_the_image_lists_under_its_name() -> None:
    listed = [disk("snapshot", id="s", boot_index=0, device="/dev/vda"), disk("snapshot", id="t", device="/dev/vdb")]
    assert [d.id for d in plan(image="i", of_image=listed).volumes] == ["s", "t"]
    mine = disk(id="mine", boot_index=0, device="vda")
    assert [d.id for d in plan(mine, image="i", of_image=listed).volumes] == ["mine", "t"]
    besides = disk(id="more")
    assert [d.id for d in plan(besides, image="i", of_image=listed).volumes] == ["s", "t", "more"]


@pytest.mark.parametrize("boots", [(), (None,), (1,), (0, 0), (0, 2), (-1,), (0, 1, 1)])
def test_boot_indexes_count_from_zero(boots: tuple[int | None, ...]) -> None:
    with pytest.raises(errors.Invalid, match=r"Boot sequence|imageRef"):
        plan(*(disk(id=str(n), boot_index=boot) for n, boot in enumerate(boots)))


def local(size: int | None = None, swap: bool = False, **more: Any) -> Device:
    return disk("blank", destination="local", size=size, guest_format="swap" if swap else None, **more)


def test_local_disks_may_repeat_what_the_flavor_has() -> None:
    root = disk(boot_index=0)
    plan(root, local(), local(swap=True), flavor=FLAVOR)
    plan(root, local(2), local(512, swap=True), flavor=FLAVOR)
    for wrong in ([local(1)], [local(3)], [local(2), local(2)], [local(256, swap=True)], [local(513, swap=True)],
                  [local(swap=True), local(swap=True)]):
        with pytest.raises(errors.Invalid):
            plan(root, *wrong, flavor=FLAVOR)
    for none_there in (local(), local(swap=True)):
        with pytest.raises(errors.Invalid):
            plan(root, none_there, flavor=PLAIN)


def test_the_elder_form_boots_from_vda_or_from_the_first() -> None:
    first, second = {"volume_id": "a", "device_name": "vdb"}, {"snapshot_id": "b", "device_name": "/dev/vda"}
    assert plan(*block_devices.elder([first, second], None)).root.id == "b"
    assert plan(*block_devices.elder([first], None)).root.id == "a"
    found = plan(*block_devices.elder([first], "i"), image="i")
    assert (found.root.id, [d.id for d in found.volumes]) == ("i", ["a"])


def test_names_go_on_after_those_that_are_taken() -> None:
    assert block_devices.local_devices(FLAVOR, root=True, bus="virtio") == ["/dev/vda", "/dev/vdb", "/dev/vdc"]
    assert block_devices.next_device(["/dev/vda", "/dev/vdc"], "virtio") == "/dev/vdb"
    assert block_devices.next_device(["/dev/sda"], "scsi") == "/dev/sdb"
    assert [block_devices.spelled(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "a", "z", "aa", "az", "ba", "zz", "aaa"
    ]


@given(st.integers(0, 60))
def test_names_never_clash(count: int) -> None:
    taken: list[str] = []
    for _ in range(count):
        taken.append(block_devices.next_device(taken, "virtio"))
    assert len(set(taken)) == count


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["source_type", "destination_type", "boot_index", "volume_size", "snapshot_id", "uuid",
                         "device_name", "no_device", "volume_id", "virtual_name", "x"]), inner, max_size=6
    ),
)


@given(anything, st.booleans())
def test_a_property_of_an_image_is_understood_or_refused(said: Any, new: bool) -> None:
    properties = {"block_device_mapping": json.dumps(said), "bdm_v2": str(new)}
    try:
        found = block_devices.of_image(properties)
        plan(image="i", of_image=found)
    except errors.Invalid:
        return
    assert all(isinstance(device, Device) for device in found)
