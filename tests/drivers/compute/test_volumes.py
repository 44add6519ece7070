# SPDX-License-Identifier: Apache-2.0
"""Guests on volumes: what every hypervisor driver must do, then what only a real guest can show.

Making volumes is the volume service's driver and tested with it.
"""

from __future__ import annotations

import asyncio
import struct
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyhold.compute.drivers.base import (
    GuestAttach,
    GuestDetach,
    GuestFailed,
    GuestPower,
    GuestReboot,
    VolumeDisk,
)

from .conftest import GIB, QemuRig, Rig, port, spec

KNOWN_TO_THE_IMAGE = ("virtio", "scsi")
"""The tiny guest has no driver for SATA."""


def on_volume(root: VolumeDisk, **more: Any) -> Any:
    return spec(None, disks=[], volumes=[root, *more.pop("others", ())], **more)


async def attached(rig: Rig, guest_id: str) -> list[str] | None:
    return next(g.volumes for g in (await rig.driver.list()).guests if g.guest_id == guest_id)


async def test_a_guest_needs_no_local_disk_when_it_boots_from_a_volume(rig: Rig) -> None:
    root = rig.volumes.make(boot=True)
    wanted = on_volume(root)
    assert (await rig.driver.ensure(wanted)).power == "running"
    assert await attached(rig, wanted.guest_id) == [root.volume_id]
    await rig.driver.absent(wanted.guest_id)
    assert rig.leftovers() == []
    assert rig.volumes.path_of(root.volume_id).exists(), "a volume isn't the guest's to remove"


async def test_either_a_local_root_disk_or_a_volume_to_boot_from(rig: Rig) -> None:
    both = msgspec.structs.replace(spec(rig.image), volumes=[rig.volumes.make(boot=True)])
    neither = spec(None, disks=[], volumes=[rig.volumes.make()])
    for wanted in (both, neither):
        with pytest.raises(GuestFailed, match="one root disk"):
            await rig.driver.ensure(wanted)
    assert (await rig.driver.list()).guests == []


async def test_attach_and_detach_twice_are_once(rig: Rig) -> None:
    wanted, volume = spec(rig.image), rig.volumes.make()
    await rig.driver.ensure(wanted)
    want = GuestAttach(guest_id=wanted.guest_id, volume=volume)
    await rig.driver.attach(want)
    await rig.driver.attach(want)
    assert await attached(rig, wanted.guest_id) == [volume.volume_id]
    await detach_without_a_guest_system(rig, wanted.guest_id, volume)
    assert await attached(rig, wanted.guest_id) == []


async def test_volumes_of_a_stopped_guest_come_with_its_start(rig: Rig) -> None:
    wanted, volume = spec(rig.image, power="stopped"), rig.volumes.make("raw")
    await rig.driver.ensure(wanted)
    await rig.driver.attach(GuestAttach(guest_id=wanted.guest_id, volume=volume))
    await rig.driver.power(GuestPower(guest_id=wanted.guest_id, power="running"))
    await rig.restart()
    assert await attached(rig, wanted.guest_id) == [volume.volume_id]
    await rig.driver.reboot(GuestReboot(guest_id=wanted.guest_id, hard=True))
    assert await attached(rig, wanted.guest_id) == [volume.volume_id]


async def test_what_is_wished_anew_is_matched_while_the_guest_runs(rig: Rig) -> None:
    wanted, volume = spec(rig.image), rig.volumes.make()
    await rig.driver.ensure(wanted)
    await rig.driver.ensure(msgspec.structs.replace(wanted, volumes=[volume]))
    assert await attached(rig, wanted.guest_id) == [volume.volume_id]


async def test_the_volume_booted_from_stays(rig: Rig) -> None:
    root = rig.volumes.make(boot=True)
    wanted = on_volume(root)
    await rig.driver.ensure(wanted)
    with pytest.raises(GuestFailed, match="boots from"):
        await rig.driver.detach(GuestDetach(guest_id=wanted.guest_id, volume_id=root.volume_id))


async def test_a_volume_that_is_elsewhere_is_refused(rig: Rig) -> None:
    elsewhere = VolumeDisk(volume_id="elsewhere", format="qcow2", size_bytes=GIB)
    with pytest.raises(GuestFailed, match="not on this host"):
        await rig.driver.ensure(spec(rig.image, volumes=[elsewhere]))
    assert (await rig.driver.list()).guests == []
    for power in ("running", "stopped"):
        wanted = spec(rig.image, power=power)
        await rig.driver.ensure(wanted)
        with pytest.raises(GuestFailed, match="not on this host"):
            await rig.driver.attach(GuestAttach(guest_id=wanted.guest_id, volume=elsewhere))
        assert await attached(rig, wanted.guest_id) == []


async def test_a_suspended_guest_keeps_its_volumes(rig: Rig) -> None:
    volume = rig.volumes.make()
    wanted = spec(rig.image, volumes=[volume], ports=[port()])
    await rig.driver.ensure(wanted)
    await rig.driver.power(GuestPower(guest_id=wanted.guest_id, power="suspended"))
    with pytest.raises(GuestFailed, match="resume"):
        await rig.driver.detach(GuestDetach(guest_id=wanted.guest_id, volume_id=volume.volume_id))
    await rig.restart()
    await rig.driver.power(GuestPower(guest_id=wanted.guest_id, power="running"))
    assert await attached(rig, wanted.guest_id) == [volume.volume_id]


async def test_interfaces_and_volumes_share_sixteen_places(rig: Rig) -> None:
    volumes = [rig.volumes.make(size_bytes=1 << 20) for _ in range(15)]
    wanted = spec(rig.image, volumes=volumes, ports=[port()])
    await rig.driver.ensure(wanted)
    with pytest.raises(GuestFailed, match="at most 16"):
        one_more = rig.volumes.make(size_bytes=1 << 20)
        await rig.driver.attach(GuestAttach(guest_id=wanted.guest_id, volume=one_more))
    with pytest.raises(GuestFailed, match="at most 16"):
        await rig.driver.ensure(spec(rig.image, volumes=volumes, ports=[port(n) for n in range(2)]))


@pytest.mark.guest
@pytest.mark.parametrize("bus", KNOWN_TO_THE_IMAGE)
async def test_a_guest_boots_from_a_volume_and_finds_another(qemu: QemuRig, bus: str) -> None:
    root = qemu.volumes.make("qcow2", source=qemu.image, boot=True)
    other = qemu.volumes.make("raw", size_bytes=3 << 20)
    wanted = on_volume(root, others=[other], properties={"hw_disk_bus": bus})
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, "login:")
    assert not list(qemu.run(wanted.guest_id).glob("*.qcow2")), "no disk of its own was made"


@pytest.mark.guest
@pytest.mark.parametrize("bus", KNOWN_TO_THE_IMAGE)
async def test_volumes_come_and_go_while_a_guest_runs(qemu: QemuRig, bus: str) -> None:
    wanted = spec(qemu.image, properties={"hw_disk_bus": bus}, ports=[port()])
    volumes = [qemu.volumes.make("qcow2"), qemu.volumes.make("raw")]
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, "userland")
    for volume in volumes:
        await qemu.driver.attach(GuestAttach(guest_id=wanted.guest_id, volume=volume))
        assert is_locked(qemu.volumes.path_of(volume.volume_id)), "a second guest could write to it"
    await qemu.restart()
    for volume in volumes:
        await qemu.driver.detach(GuestDetach(guest_id=wanted.guest_id, volume_id=volume.volume_id))
        assert not is_locked(qemu.volumes.path_of(volume.volume_id)), "QEMU still holds it"
    again = GuestAttach(guest_id=wanted.guest_id, volume=volumes[0])
    await qemu.driver.attach(again)
    assert await attached(qemu, wanted.guest_id) == [volumes[0].volume_id]


@pytest.mark.guest
async def test_a_guest_with_sata_disks_takes_volumes_too(qemu: QemuRig) -> None:
    wanted = on_volume(qemu.volumes.make(boot=True), others=[qemu.volumes.make()], properties={"hw_disk_bus": "sata"})
    assert (await qemu.driver.ensure(wanted)).power == "running"
    one_more = qemu.volumes.make("raw")
    await qemu.driver.attach(GuestAttach(guest_id=wanted.guest_id, volume=one_more))
    assert is_locked(qemu.volumes.path_of(one_more.volume_id))


@pytest.mark.guest
async def test_one_volume_is_not_written_to_by_two_guests(qemu: QemuRig) -> None:
    volume = qemu.volumes.make()
    first, second = spec(qemu.image, volumes=[volume]), spec(qemu.image)
    await asyncio.gather(qemu.driver.ensure(first), qemu.driver.ensure(second))
    with pytest.raises(GuestFailed, match="lock"):
        await qemu.driver.attach(GuestAttach(guest_id=second.guest_id, volume=volume))
    assert await attached(qemu, second.guest_id) == []
    with pytest.raises(GuestFailed, match="another process using"):
        await qemu.driver.ensure(spec(qemu.image, volumes=[volume]))


@pytest.mark.guest
async def test_a_volume_whose_header_names_another_file_stays_closed(qemu: QemuRig) -> None:
    volume = qemu.volumes.make()
    path = qemu.volumes.path_of(volume.volume_id)
    with path.open("r+b") as file:
        file.seek(72)
        file.write(struct.pack(">Q", 1 << 2))
    with pytest.raises(GuestFailed, match="altered to name another file"):
        await qemu.driver.ensure(spec(qemu.image, volumes=[volume]))


def is_locked(path: Path) -> bool:
    """Whether QEMU's own tool finds the file in use."""
    with path.open("rb") as file:
        kind = "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
    tried = subprocess.run(["qemu-io", "-f", kind, "-c", "read 0 512", str(path)], capture_output=True, check=False)
    return b"lock" in tried.stderr + tried.stdout


async def detach_without_a_guest_system(rig: Rig, guest_id: str, volume: VolumeDisk) -> None:
    """A guest in its firmware never lets go; one that is off has nothing to let go of."""
    if rig.name == "qemu":
        await rig.driver.power(GuestPower(guest_id=guest_id, power="stopped", graceful_s=0))
    want = GuestDetach(guest_id=guest_id, volume_id=volume.volume_id)
    await rig.driver.detach(want)
    await rig.driver.detach(want)


async def test_a_volume_nobody_runs_with_is_not_copied_by_a_guest(rig: Rig, tmp_path: Path) -> None:
    wanted, volume = spec(rig.image, power="stopped"), rig.volumes.make()
    await rig.driver.ensure(msgspec.structs.replace(wanted, volumes=[volume]))
    assert not await rig.driver.copy_volume(volume.volume_id, tmp_path / "copy")


@pytest.mark.guest
async def test_a_volume_is_copied_while_its_guest_runs(qemu: QemuRig) -> None:
    root = qemu.volumes.make("qcow2", source=qemu.image, boot=True)
    wanted = on_volume(root)
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, "userland")
    for _ in range(2):
        copied = qemu.volumes.make("qcow2", boot=True)
        target = qemu.volumes.path_of(copied.volume_id)
        assert await qemu.driver.copy_volume(root.volume_id, target)
        assert not is_locked(target), "QEMU still holds the copy"
    assert (await qemu.driver.list()).guests[0].power == "running"
    second = on_volume(copied)
    await qemu.driver.ensure(second)
    await qemu.until_text(second.guest_id, "login:")
