# SPDX-License-Identifier: Apache-2.0
"""What the fake driver does beyond the interface: it fails on demand, and holds very many guests.

What it shares with real drivers is in test_conformance.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from skyhold.compute.drivers.base import (
    ConsoleRequest,
    GuestFailed,
    GuestPower,
    ImageSource,
    NoRoom,
)
from skyhold.compute.drivers.fake import FakeDriver

from .conftest import next_event, port, power_of, spec

IMAGE = ImageSource(image_id="i", format="raw", size_bytes=1, virtual_size_bytes=1, sha512="0" * 128)


async def test_it_fails_as_often_as_told_and_changes_nothing() -> None:
    driver = FakeDriver()
    driver.fail_next("ensure", NoRoom("full"), times=2)
    wanted = spec(IMAGE)
    for _ in range(2):
        with pytest.raises(NoRoom, match="full"):
            await driver.ensure(wanted)
    assert (await driver.list()).guests == []
    assert (await driver.ensure(wanted)).power == "running"
    driver.fail_next("power", GuestFailed("broken"))
    with pytest.raises(GuestFailed):
        await driver.power(GuestPower(guest_id=wanted.guest_id, power="stopped"))
    assert await power_of(driver, wanted.guest_id) == "running"


async def test_it_is_as_slow_as_told() -> None:
    driver = FakeDriver()
    driver.delay("ensure", 0.1)
    started = time.monotonic()
    await driver.ensure(spec(IMAGE))
    assert time.monotonic() - started >= 0.1
    driver.delay("ensure", 0)


async def test_a_guest_can_switch_itself_off() -> None:
    driver, wanted = FakeDriver(), spec(IMAGE)
    await driver.ensure(wanted)
    driver.shut_down(wanted.guest_id)
    driver.crash(wanted.guest_id)
    events = driver.events()
    assert (await next_event(events)).power == "stopped"
    with pytest.raises(TimeoutError):
        await next_event(events, 0.1)


async def test_its_capacity_is_real_and_comes_back() -> None:
    driver = FakeDriver(ram_mb=256, disk_gb=4)
    first, second, third = spec(IMAGE), spec(IMAGE), spec(IMAGE)
    await driver.ensure(first)
    await driver.ensure(second)
    with pytest.raises(NoRoom, match="0 MiB of memory free"):
        await driver.ensure(third)
    await driver.power(GuestPower(guest_id=first.guest_id, power="stopped"))
    await driver.ensure(third)
    with pytest.raises(NoRoom):
        await driver.power(GuestPower(guest_id=first.guest_id, power="running"))
    await driver.absent(second.guest_id)
    await driver.power(GuestPower(guest_id=first.guest_id, power="running"))


async def test_the_console_reads_like_a_boot() -> None:
    driver, wanted = FakeDriver(), spec(IMAGE, ports=[port(1)])
    await driver.ensure(wanted)
    driver.say(wanted.guest_id, "cloud-init: done")
    text = (await driver.console(ConsoleRequest(guest_id=wanted.guest_id))).text
    assert "fa:16:3e:00:00:01" in text
    assert "web-1 login:" in text
    assert text.endswith("cloud-init: done\r\n")


async def test_a_file_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    driver = FakeDriver(state_dir=tmp_path)
    await driver.start()
    first, second = spec(IMAGE), spec(IMAGE)
    await driver.ensure(first)
    await driver.ensure(second)
    await driver.power(GuestPower(guest_id=first.guest_id, power="paused"))
    await driver.absent(second.guest_id)
    await driver.stop()
    book = tmp_path / "guests.jsonl"
    book.write_bytes(book.read_bytes() + b'{"id":"half')
    again = FakeDriver(state_dir=tmp_path)
    await again.start()
    assert [(g.guest_id, g.power) for g in (await again.list()).guests] == [(first.guest_id, "paused")]
    assert (await again.ensure(first)).power == "running"
    await again.stop()


async def test_ten_thousand_guests_are_found_again(tmp_path: Path) -> None:
    driver = FakeDriver(ram_mb=10_000 * 128, disk_gb=10_000, state_dir=tmp_path)
    await driver.start()
    for number in range(10_000):
        await driver.ensure(spec(IMAGE, guest_id=f"guest-{number}"))
    assert len((await driver.list()).guests) == 10_000
    await driver.stop()
    again = FakeDriver(ram_mb=10_000 * 128, disk_gb=10_000, state_dir=tmp_path)
    await again.start()
    assert len((await again.list()).guests) == 10_000
    await again.stop()
