# SPDX-License-Identifier: Apache-2.0
"""What a host was told of guests goes with them, also when they never came to be: user data may hold secrets."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from skyhold.compute.drivers.base import GuestFailed, GuestSpec, InstanceMetadata
from skyhold.compute.drivers.fake import FakeDriver
from skyhold.core.settings.sections import Host
from skyhold.core.settings.whole import Settings
from skyhold.host.machine import Machine
from skyhold.host.metadata.server import MetadataServer
from skyhold.host.shelf import MetadataShelf
from skyhold.host.verbs import Guests
from tests.kit.patience import until


def about(guest_id: str) -> InstanceMetadata:
    return InstanceMetadata(
        server_id=guest_id, project_id="p", name=guest_id, hostname=guest_id, availability_zone="nova",
        admin_pass="correct horse",
    )


def spec(guest_id: str) -> GuestSpec:
    return GuestSpec(
        guest_id=guest_id, name=guest_id, vcpus=1, ram_mb=64, disks=[], ports=[], metadata=about(guest_id)
    )


async def test_a_guest_that_could_not_be_made_leaves_nothing_that_was_told_of_it(tmp_path: Path) -> None:
    """Nor need anybody say that it is to go: its host may be away by then."""
    driver, shelf = FakeDriver(), MetadataShelf(tmp_path, MetadataServer())
    guests = Guests(driver, shelf)
    driver.fail_next("ensure", GuestFailed("no such luck"))
    with pytest.raises(GuestFailed):
        await guests.ensure(spec("made"))
    assert os.listdir(tmp_path) == []


async def test_a_guest_that_is_there_keeps_it_when_it_can_not_be_changed(tmp_path: Path) -> None:
    driver, shelf = FakeDriver(), MetadataShelf(tmp_path, MetadataServer())
    guests = Guests(driver, shelf)
    shelf.put(about("made"))
    driver.fail_next("ensure", GuestFailed("no such luck"))
    with pytest.raises(GuestFailed):
        await guests.ensure(spec("made"))
    assert shelf.holds("made")


async def test_an_agent_that_starts_forgets_what_was_told_of_guests_that_are_not_there(tmp_path: Path) -> None:
    machine = Machine(Settings(home=tmp_path, host=Host(hypervisor="fake", network="fake")))
    told = machine.state_dir / "metadata"
    shelf = MetadataShelf(told, machine.metadata)
    shelf.put(about("never made"))
    shelf.keep_password("never made", "sealed")
    (told / "torn.msgpack.new").write_bytes(b"half of a sec")
    running = asyncio.create_task(machine.run())
    try:
        await until(lambda: not os.listdir(told), "an empty shelf")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
