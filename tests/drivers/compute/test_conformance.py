# SPDX-License-Identifier: Apache-2.0
"""What every hypervisor driver must do, told as stories and run on each driver there is.

What only one driver can show is in test_qemu.py and test_fake.py. Guests here needn't finish
booting: a processor that runs its firmware is running.
"""

# ruff: noqa: ASYNC221
from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyhold.compute.drivers.base import (
    ConsoleRequest,
    DiskSpec,
    GuestFailed,
    GuestPlug,
    GuestPower,
    GuestReboot,
    GuestSnapshot,
    GuestUnplug,
    NoRoom,
)
from skyhold.image.drivers.hosts import CantSend

from .conftest import GIB, ImageService, Rig, next_event, port, power_of, spec


async def test_ensure_makes_a_running_guest_and_twice_is_once(rig: Rig) -> None:
    wanted = spec(rig.image)
    first = await rig.driver.ensure(wanted)
    assert (first.guest_id, first.power) == (wanted.guest_id, "running")
    assert first.since_us > 0
    assert await rig.driver.ensure(wanted) == first
    listed = await rig.driver.list()
    assert listed.guests == [first]
    assert listed.leftovers == []


async def test_the_same_ensure_many_times_at_once_makes_one_guest(rig: Rig) -> None:
    wanted = spec(rig.image)
    answers = await asyncio.gather(*(rig.driver.ensure(wanted) for _ in range(4)))
    assert {answer.power for answer in answers} == {"running"}
    assert len((await rig.driver.list()).guests) == 1
    assert (await rig.driver.list()).leftovers == []


async def test_ensure_stopped_makes_the_guest_without_running_it(rig: Rig) -> None:
    wanted = spec(rig.image, power="stopped")
    assert (await rig.driver.ensure(wanted)).power == "stopped"
    assert (await _power(rig, wanted, "running")) == "running"


async def test_absent_leaves_nothing_and_may_be_repeated(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.absent(wanted.guest_id)
    await rig.driver.ensure(wanted)
    await rig.driver.absent(wanted.guest_id)
    await rig.driver.absent(wanted.guest_id)
    assert (await rig.driver.list()).guests == []
    assert rig.leftovers() == []


async def test_a_guest_can_be_made_again_after_its_removal(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    await rig.driver.absent(wanted.guest_id)
    assert (await rig.driver.ensure(wanted)).power == "running"


async def test_stop_and_start(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    assert await _power(rig, wanted, "stopped") == "stopped"
    assert await power_of(rig.driver, wanted.guest_id) == "stopped"
    assert await _power(rig, wanted, "stopped") == "stopped"
    assert await _power(rig, wanted, "running") == "running"


async def test_pause_and_go_on(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    assert await _power(rig, wanted, "paused") == "paused"
    assert await power_of(rig.driver, wanted.guest_id) == "paused"
    assert await _power(rig, wanted, "running") == "running"


async def test_suspend_and_resume_even_after_a_restart(rig: Rig) -> None:
    wanted = spec(rig.image, ports=[port(1)])
    await rig.driver.ensure(wanted)
    assert await _power(rig, wanted, "suspended") == "suspended"
    await rig.restart()
    assert await power_of(rig.driver, wanted.guest_id) == "suspended"
    assert await _power(rig, wanted, "running") == "running"
    assert await power_of(rig.driver, wanted.guest_id) == "running"


async def test_a_suspended_guest_can_be_stopped_for_good(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    await _power(rig, wanted, "suspended")
    assert await _power(rig, wanted, "stopped") == "stopped"
    with pytest.raises(GuestFailed, match="running guest"):
        await _power(rig, wanted, "suspended")


async def test_a_suspended_guest_is_not_changed_underneath(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    await _power(rig, wanted, "suspended")
    with pytest.raises(GuestFailed, match="resume"):
        await _power(rig, wanted, "paused")
    with pytest.raises(GuestFailed, match="resume"):
        await rig.driver.plug(GuestPlug(guest_id=wanted.guest_id, port=port()))


async def test_hard_reboot_from_every_power(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    again = GuestReboot(guest_id=wanted.guest_id, hard=True)
    assert (await rig.driver.reboot(again)).power == "running"
    for power in ("paused", "stopped", "suspended"):
        if power == "suspended":
            await _power(rig, wanted, "running")
        await _power(rig, wanted, power)
        assert (await rig.driver.reboot(again)).power == "running"


async def test_an_unknown_guest_is_said_to_be_unknown(rig: Rig, images: ImageService) -> None:
    known = "3f7cbd6f-60f9-4fd8-a72e-1f32b7bd1d1a"
    for call in (
        lambda: rig.driver.power(GuestPower(guest_id=known, power="running")),
        lambda: rig.driver.reboot(GuestReboot(guest_id=known, hard=True)),
        lambda: rig.driver.plug(GuestPlug(guest_id=known, port=port())),
        lambda: rig.driver.unplug(GuestUnplug(guest_id=known, port_id="p")),
        lambda: rig.driver.snapshot(GuestSnapshot(guest_id=known, target=images.target())),
        lambda: rig.driver.console(ConsoleRequest(guest_id=known)),
    ):
        with pytest.raises(GuestFailed, match=known):
            await call()


async def test_a_disk_smaller_than_the_image_is_refused_and_nothing_stays(rig: Rig) -> None:
    small = [DiskSpec(role="root", size_bytes=rig.image.virtual_size_bytes - 1, source=rig.image)]
    with pytest.raises(GuestFailed, match="too small"):
        await rig.driver.ensure(spec(rig.image, disks=small))
    assert (await rig.driver.list()).guests == []
    assert rig.leftovers() == []


@pytest.mark.parametrize("too_much", [{"ram_mb": 1 << 30}, {"disks": [(1 << 60)]}], ids=["memory", "disk"])
async def test_a_guest_that_is_too_big_has_no_room(rig: Rig, too_much: dict[str, Any]) -> None:
    if "disks" in too_much:
        too_much = {"disks": [DiskSpec(role="root", size_bytes=1 << 60, source=rig.image)]}
    with pytest.raises(NoRoom, match="This host has"):
        await rig.driver.ensure(spec(rig.image, **too_much))
    assert (await rig.driver.list()).guests == []


async def test_a_guest_needs_exactly_one_root_disk(rig: Rig) -> None:
    with pytest.raises(GuestFailed, match="one root disk"):
        await rig.driver.ensure(spec(rig.image, disks=[]))


async def test_more_disks_and_processors(rig: Rig) -> None:
    disks = [
        DiskSpec(role="root", size_bytes=GIB, source=rig.image),
        DiskSpec(role="ephemeral", size_bytes=GIB),
        DiskSpec(role="ephemeral", size_bytes=GIB),
        DiskSpec(role="swap", size_bytes=64 << 20),
    ]
    wanted = spec(rig.image, disks=disks, vcpus=2, config_drive=True)
    assert (await rig.driver.ensure(wanted)).power == "running"
    assert await _power(rig, wanted, "stopped") == "stopped"
    assert await _power(rig, wanted, "running") == "running"


async def test_a_killed_guest_is_told_of_and_repaired(rig: Rig) -> None:
    wanted = spec(rig.image)
    events = rig.driver.events()
    await rig.driver.ensure(wanted)
    rig.crash(wanted.guest_id)
    told = await next_event(events)
    assert (told.guest_id, told.power) == (wanted.guest_id, "crashed")
    assert await power_of(rig.driver, wanted.guest_id) == "crashed"
    assert (await rig.driver.ensure(wanted)).power == "running"
    rig.crash(wanted.guest_id)
    await next_event(events)
    with pytest.raises(GuestFailed, match="running guest"):
        await _power(rig, wanted, "suspended")
    assert await _power(rig, wanted, "stopped") == "stopped"


async def test_what_was_asked_for_is_not_an_event(rig: Rig) -> None:
    wanted = spec(rig.image)
    events = rig.driver.events()
    await rig.driver.ensure(wanted)
    for power in ("paused", "running", "suspended", "running", "stopped", "running"):
        await _power(rig, wanted, power)
    await rig.driver.reboot(GuestReboot(guest_id=wanted.guest_id, hard=True))
    await rig.driver.absent(wanted.guest_id)
    with pytest.raises(TimeoutError):
        await next_event(events, 0.3)


async def test_a_restarted_agent_finds_its_guests_and_hears_of_them(rig: Rig) -> None:
    running, stopped = spec(rig.image), spec(rig.image, power="stopped")
    before = [await rig.driver.ensure(running), await rig.driver.ensure(stopped)]
    await rig.restart()
    after = (await rig.driver.list()).guests
    assert sorted(after, key=str) == sorted(before, key=str)
    events = rig.driver.events()
    rig.crash(running.guest_id)
    assert (await next_event(events)).power == "crashed"


async def test_interfaces_of_a_stopped_guest_come_with_its_start(rig: Rig) -> None:
    wanted, added, kept = spec(rig.image, power="stopped"), port(1), port(2)
    await rig.driver.ensure(wanted)
    for one in (added, kept, kept):
        await rig.driver.plug(GuestPlug(guest_id=wanted.guest_id, port=one))
    for _ in range(2):
        await rig.driver.unplug(GuestUnplug(guest_id=wanted.guest_id, port_id=added.port_id))
    assert await _power(rig, wanted, "running") == "running"


async def test_too_many_interfaces_are_refused(rig: Rig) -> None:
    with pytest.raises(GuestFailed, match="at most 16"):
        await rig.driver.ensure(spec(rig.image, ports=[port(n) for n in range(17)]))


async def test_console_gives_no_more_lines_than_asked(rig: Rig) -> None:
    wanted = spec(rig.image)
    await rig.driver.ensure(wanted)
    for lines in (0, 1, 3):
        text = (await rig.driver.console(ConsoleRequest(guest_id=wanted.guest_id, lines=lines))).text
        assert len(text.splitlines()) <= lines


@pytest.mark.parametrize("power", ["running", "paused", "stopped"])
async def test_a_snapshot_is_one_whole_image(
    rig: Rig, images: ImageService, power: str, tmp_path: Path
) -> None:
    wanted, target = spec(rig.image), images.target()
    await rig.driver.ensure(wanted)
    await _power(rig, wanted, power)
    await rig.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=target))
    received = tmp_path / "received"
    received.write_bytes(images.received[target.image_id])
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(received)], check=True)
    said = subprocess.run(
        ["qemu-img", "info", "-f", "qcow2", "--output=json", str(received)], check=True, capture_output=True
    )
    assert "backing-filename" not in msgspec.json.decode(said.stdout)
    assert await power_of(rig.driver, wanted.guest_id) == power
    assert (await rig.driver.list()).leftovers == []


async def test_a_snapshot_nobody_takes_fails_with_a_sentence(rig: Rig, images: ImageService) -> None:
    wanted = spec(rig.image, power="stopped")
    await rig.driver.ensure(wanted)
    images.refuse_with = 413
    with pytest.raises(GuestFailed, match="413"):
        await rig.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=images.target()))
    images.refuse_with = 503
    with pytest.raises(CantSend, match="503"):
        await rig.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=images.target()))
    nowhere = msgspec.structs.replace(images.target(), url="http://127.0.0.1:9/x")
    with pytest.raises(CantSend, match="could not be sent"):
        await rig.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=nowhere))


async def test_the_inventory_says_what_the_host_is(rig: Rig) -> None:
    offer = await rig.driver.inventory()
    assert offer.vcpus > 0
    assert offer.ram_mb > 0
    assert offer.disk_gb > 0
    assert offer.hypervisor_version >= 1_000_000
    assert offer.accelerator_reason


async def _power(rig: Rig, wanted: Any, power: Any) -> str:
    done = await rig.driver.power(GuestPower(guest_id=wanted.guest_id, power=power, graceful_s=0))
    return done.power
