# SPDX-License-Identifier: Apache-2.0
"""The argument list as a pure function: what is always there and what never is.

Whether QEMU takes it is seen in test_conformance.py.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest

from skyhold.compute.drivers.base import DiskSpec, GuestFailed, GuestSpec, ImageSource, InstanceMetadata
from skyhold.compute.drivers.qemu.command import PORT_SLOTS, Launch, command

from .conftest import port, spec

IMAGE = ImageSource(image_id="i", format="qcow2", size_bytes=1, virtual_size_bytes=1, sha512="ab" * 64)


def argv_of(wanted: GuestSpec, **changes: Any) -> list[str]:
    taps = {p.port_id: 20 + n for n, p in enumerate(wanted.ports)}
    slots = {p.port_id: n for n, p in enumerate(wanted.ports)}
    launch = Launch(accelerator="tcg", machine="pc-q35-7.2", qmp_fd=9, taps=taps, slots=slots, owner=1234)
    return command(wanted, msgspec.structs.replace(launch, **changes))


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(argv) if name == option]


def blockdevs(argv: list[str]) -> dict[str, dict[str, Any]]:
    return {node["node-name"]: node for node in map(json.loads, values(argv, "-blockdev"))}


def test_nothing_a_user_wrote_is_an_argument() -> None:
    hostile = "x,script=/bin/sh -monitor stdio"
    metadata = InstanceMetadata(
        server_id="g", project_id=hostile, name=hostile, hostname=hostile, availability_zone=hostile
    )
    properties = {"os_distro": hostile, "hw_rng_model": hostile}
    argv = argv_of(spec(IMAGE, name=hostile, metadata=metadata, properties=properties))
    assert not [word for word in argv if "script" in word or "monitor" in word]


def test_every_format_and_every_backing_file_is_said() -> None:
    disks = [DiskSpec(role="root", size_bytes=1, source=IMAGE), DiskSpec(role="ephemeral", size_bytes=1)]
    nodes = blockdevs(argv_of(spec(IMAGE, disks=disks, config_drive=True), config_drive=True))
    assert all("driver" in node for node in nodes.values())
    assert all("backing" in node for node in nodes.values() if node["driver"] == "qcow2")
    assert nodes["root"]["backing"] == "root-base"
    assert nodes["root-base"]["read-only"] is True
    assert nodes["root-base"]["backing"] is None
    assert nodes["ephemeral0"]["backing"] is None
    assert nodes["config"]["driver"] == "raw"


def test_files_are_named_relative_to_the_guests_own_folder() -> None:
    argv = argv_of(spec(IMAGE, config_drive=True), config_drive=True)
    names = [node["filename"] for node in blockdevs(argv).values() if "filename" in node]
    assert names == [f"../../../images/{'ab' * 24}.qcow2", "root.qcow2", "../config.iso"]


def test_the_guest_finds_out_where_it_is() -> None:
    wanted = spec(IMAGE)
    (smbios,) = values(argv_of(wanted), "-smbios")
    assert "manufacturer=OpenStack Foundation,product=OpenStack Nova" in smbios
    assert f"serial={wanted.guest_id},uuid={wanted.guest_id}" in smbios


def test_an_id_that_is_no_uuid_still_gets_one() -> None:
    first, second = (values(argv_of(spec(IMAGE, guest_id=name)), "-uuid") for name in ("one", "two"))
    assert len(first[0]) == 36
    assert first != second


def test_confinement_is_always_on() -> None:
    argv = argv_of(spec(IMAGE))
    assert values(argv, "-runas") == ["1234:1234"]
    assert values(argv, "-sandbox")[0].startswith("on,obsolete=deny")
    assert "spawn=deny" in values(argv, "-sandbox")[0]
    assert "elevateprivileges=deny" in values(argv_of(spec(IMAGE), owner=None), "-sandbox")[0]
    assert {"-nodefaults", "-no-user-config"} <= set(argv)


def test_interfaces_sit_on_root_ports_of_their_own() -> None:
    wanted = spec(IMAGE, ports=[port(1), port(2)])
    devices = [json.loads(d) for d in values(argv_of(wanted), "-device") if d.startswith("{")]
    nics = [d for d in devices if d["driver"] == "virtio-net-pci"]
    assert [(d["bus"], d["mac"], d["romfile"], d["host_mtu"]) for d in nics] == [
        ("rp0", "fa:16:3e:00:00:01", "", 1450),
        ("rp1", "fa:16:3e:00:00:02", "", 1450),
    ]
    root_ports = [d for d in values(argv_of(wanted), "-device") if d.startswith("pcie-root-port")]
    assert len(root_ports) == PORT_SLOTS


@pytest.mark.parametrize(("vcpus", "thread"), [(1, "single"), (4, "multi")])
def test_emulation_threads_follow_the_processors(vcpus: int, thread: str) -> None:
    assert values(argv_of(spec(IMAGE, vcpus=vcpus)), "-accel") == [f"tcg,thread={thread},tb-size=32"]
    assert values(argv_of(spec(IMAGE, vcpus=vcpus), accelerator="kvm"), "-accel") == ["kvm"]


def test_a_saved_state_is_awaited_halted() -> None:
    argv = argv_of(spec(IMAGE), incoming_fd=7)
    assert values(argv, "-incoming") == ["fd:7"]
    assert "-S" in argv
    assert "-S" not in argv_of(spec(IMAGE))


@pytest.mark.parametrize(
    "properties", [{"hw_disk_bus": "ide,x"}, {"hw_vif_model": "ne2k"}, {"hw_vif_model": ""}]
)
def test_unknown_models_are_refused_with_the_known_ones(properties: dict[str, str]) -> None:
    with pytest.raises(GuestFailed, match="virtio"):
        argv_of(spec(IMAGE, properties=properties, ports=[port()]))


@pytest.mark.parametrize(("bus", "most"), [("sata", 6), ("virtio", 11)])
def test_too_many_disks_are_refused(bus: str, most: int) -> None:
    disks = [DiskSpec(role="root", size_bytes=1, source=IMAGE)]
    disks += [DiskSpec(role="ephemeral", size_bytes=1)] * (most - 1)
    argv_of(spec(IMAGE, disks=disks, properties={"hw_disk_bus": bus}))
    with pytest.raises(GuestFailed, match="at most"):
        argv_of(spec(IMAGE, disks=[*disks, disks[-1]], properties={"hw_disk_bus": bus}))
