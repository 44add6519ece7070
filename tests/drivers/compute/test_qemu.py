# SPDX-License-Identifier: Apache-2.0
"""What only real guests can show: booting, switching off, hot plug, outliving the agent.

What every driver does is in test_conformance.py, and the parts that need no guest are in
test_images.py, test_command.py and test_parts.py.
"""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240
from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
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
    GuestSpec,
    GuestUnplug,
)
from skyhold.compute.drivers.qemu import nics
from skyhold.core import qcow2
from tests.kit.patience import PATIENCE_S

from .conftest import (
    GIB,
    REPO,
    TOKEN,
    ImageService,
    QemuRig,
    next_event,
    port,
    power_of,
    source_of,
    spec,
    until,
)

pytestmark = pytest.mark.guest

LOGIN = "login:"
# With nobody to answer DHCP, the login prompt of a guest with a network comes 8 s after this.
KERNEL_IS_UP = "userland"


async def test_a_guest_boots_reads_its_config_drive_and_switches_off_when_asked(qemu: QemuRig) -> None:
    wanted = spec(qemu.image, config_drive=True, ports=[port()])
    events = qemu.driver.events()
    await qemu.driver.ensure(wanted)
    text = await qemu.until_text(wanted.guest_id, "metadata source=")
    assert f"metadata source=configdrive instance={wanted.guest_id}" in text
    await qemu.until_text(wanted.guest_id, "ssh-ready")
    one = await qemu.driver.console(ConsoleRequest(guest_id=wanted.guest_id, lines=1))
    assert 0 < len(one.text.splitlines()) <= 1
    # Without its own doing it would be cut off, but long after our patience is at its end.
    async with asyncio.timeout(2 * PATIENCE_S):
        await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="stopped", graceful_s=10 * PATIENCE_S))
    assert qemu.taps.open == set()
    with pytest.raises(TimeoutError):
        await next_event(events, 0.2)


async def test_a_guest_that_switches_itself_off_is_told_of(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, LOGIN)
    await qemu.restart()
    events = qemu.driver.events()
    await _qmp(qemu, wanted.guest_id, "system_powerdown")
    told = await next_event(events)
    assert (told.guest_id, told.power) == (wanted.guest_id, "stopped")
    assert qemu.leftovers() == [wanted.guest_id]
    text = await qemu.text(wanted.guest_id)
    assert (await qemu.driver.ensure(wanted)).power == "running"
    assert (await qemu.text(wanted.guest_id)).startswith(text), "an earlier boot's console was lost"


async def test_what_happened_while_the_agent_was_away_is_told_when_it_is_back(qemu: QemuRig) -> None:
    killed, off = spec(qemu.image), spec(qemu.image)
    await asyncio.gather(qemu.driver.ensure(killed), qemu.driver.ensure(off))
    await qemu.until_text(off.guest_id, LOGIN)
    process_of_off = qemu.pid(off.guest_id)
    await _qmp(qemu, off.guest_id, "system_powerdown")
    await qemu.driver.stop()
    qemu.crash(killed.guest_id)
    await asyncio.sleep(4)
    assert Path(f"/proc/{process_of_off}").exists(), "its shell must wait until somebody saw why"
    qemu.driver = qemu.make()
    await qemu.driver.start()
    events = qemu.driver.events()
    told = [await next_event(events), await next_event(events)]
    assert {(t.guest_id, t.power) for t in told} == {(killed.guest_id, "crashed"), (off.guest_id, "stopped")}
    assert not Path(f"/proc/{process_of_off}").exists()


async def test_soft_reboot_asks_and_hard_reboot_does_not(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, LOGIN)
    first = qemu.pid(wanted.guest_id)
    async with asyncio.timeout(2 * PATIENCE_S):
        await qemu.driver.reboot(GuestReboot(guest_id=wanted.guest_id, hard=False, graceful_s=10 * PATIENCE_S))
    second = qemu.pid(wanted.guest_id)
    assert second != first
    # It is still in its firmware and hears no button: the reset comes after the time is up.
    await qemu.driver.reboot(GuestReboot(guest_id=wanted.guest_id, hard=False, graceful_s=0.2))
    assert qemu.pid(wanted.guest_id) == second
    await qemu.until_text(wanted.guest_id, LOGIN, times=2)


async def test_interfaces_come_and_go_while_the_guest_runs(qemu: QemuRig) -> None:
    first, second = port(1), port(2)
    wanted = spec(qemu.image, ports=[first])
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, KERNEL_IS_UP)
    for _ in range(2):
        await qemu.driver.plug(GuestPlug(guest_id=wanted.guest_id, port=second))
    assert set(await _places(qemu, wanted)) == {first.port_id, second.port_id}
    await qemu.restart()
    for _ in range(2):
        await qemu.driver.unplug(GuestUnplug(guest_id=wanted.guest_id, port_id=first.port_id))
    assert await _places(qemu, wanted) == {second.port_id: 1}
    assert qemu.taps.open == {second.port_id}
    await qemu.driver.ensure(msgspec.structs.replace(wanted, ports=[first]))
    assert await _places(qemu, wanted) == {first.port_id: 0}


async def test_a_suspended_guest_goes_on_where_it_was(qemu: QemuRig) -> None:
    second = port(2)
    wanted = spec(qemu.image, ports=[port(1), second])
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, KERNEL_IS_UP)
    await qemu.driver.unplug(GuestUnplug(guest_id=wanted.guest_id, port_id=wanted.ports[0].port_id))
    await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="suspended"))
    assert qemu.leftovers() == [wanted.guest_id]
    await qemu.restart()
    await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="running"))
    assert await _places(qemu, wanted) == {second.port_id: 1}
    await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="stopped", graceful_s=50))
    text = await qemu.text(wanted.guest_id)
    assert text.count("tiny-init:") >= 3
    assert text.count("initramfs") == 1, "it booted again instead of going on"


async def test_an_agent_that_ends_while_suspending_leaves_a_suspended_guest(
    qemu: QemuRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)

    async def the_agent_ends(guest: object, **_: object) -> None:
        raise KeyError("the agent ends here")

    with monkeypatch.context() as patch:
        patch.setattr(qemu.driver._starter, "bury", the_agent_ends)
        with pytest.raises(KeyError):
            await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="suspended"))
        await qemu.driver.stop()
    assert len(qemu.leftovers()) == 2, "the process is still there"
    qemu.driver = qemu.make()
    await qemu.driver.start()
    assert await power_of(qemu.driver, wanted.guest_id) == "suspended"
    assert qemu.leftovers() == [wanted.guest_id]
    done = await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="running"))
    assert done.power == "running"
    assert not (qemu.folder / "guests" / wanted.guest_id / "suspended.state").exists()


async def test_the_snapshot_of_a_running_guest_boots(
    qemu: QemuRig, images: ImageService, tmp_path: Path
) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, LOGIN)
    target = images.target()
    await qemu.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=target))
    await qemu.driver.absent(wanted.guest_id)
    received = tmp_path / "received.qcow2"
    received.write_bytes(images.received[target.image_id])
    copy = spec(source_of(received, "qcow2", GIB))
    await qemu.driver.ensure(copy)
    await qemu.until_text(copy.guest_id, LOGIN)


async def test_a_raw_image_boots_and_a_raw_snapshot_is_raw(
    qemu: QemuRig, images: ImageService, tmp_path: Path
) -> None:
    raw = tmp_path / "image.raw"
    subprocess.run(
        ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(qemu.image.path), str(raw)], check=True
    )
    source = source_of(raw, "raw", qemu.image.virtual_size_bytes)
    wanted = spec(source, disks=[DiskSpec(role="root", size_bytes=128 << 20, source=source)])
    await qemu.driver.ensure(wanted)
    await qemu.until_text(wanted.guest_id, "initramfs")
    for power in ("paused", "stopped"):
        await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power=power, graceful_s=0))
        target = images.target("raw")
        await qemu.driver.snapshot(GuestSnapshot(guest_id=wanted.guest_id, target=target))
        assert len(images.received[target.image_id]) == 128 << 20
        assert images.received[target.image_id][510:512] == b"\x55\xaa"


async def test_scsi_and_sata_disks_and_other_network_cards(qemu: QemuRig) -> None:
    for properties in (
        {"hw_disk_bus": "scsi", "hw_vif_model": "e1000e"},
        {"hw_disk_bus": "sata", "hw_vif_model": "rtl8139"},
    ):
        wanted = spec(qemu.image, properties=properties, ports=[port()], config_drive=True)
        assert (await qemu.driver.ensure(wanted)).power == "running"
    with pytest.raises(GuestFailed, match="hw_disk_bus=floppy"):
        await qemu.driver.ensure(spec(qemu.image, properties={"hw_disk_bus": "floppy"}))
    assert qemu.taps.open == {p for g in qemu.driver._guests.values() for p in g.record.slots}


async def test_a_port_without_a_tap_fails_and_leaves_no_other_tap_open(qemu: QemuRig) -> None:
    good, bad = port(1), port(2)
    qemu.taps.unknown.add(bad.port_id)
    with pytest.raises(GuestFailed, match=bad.port_id):
        await qemu.driver.ensure(spec(qemu.image, ports=[good, bad]))
    assert qemu.taps.open == set()
    assert qemu.leftovers() == []


async def test_a_guest_process_has_no_privileges(qemu: QemuRig) -> None:
    first, second = spec(qemu.image), spec(qemu.image)
    await qemu.driver.ensure(first)
    await qemu.driver.ensure(second)
    owners = set()
    for wanted in (first, second):
        lines = Path(f"/proc/{qemu.pid(wanted.guest_id)}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        owners.add(status["Uid"].split()[0])
    assert len(owners) == 2
    assert "0" not in owners
    assert os.stat(qemu.folder / "guests" / first.guest_id).st_mode & 0o777 == 0o700


async def test_secrets_are_not_kept_beside_the_disks(qemu: QemuRig) -> None:
    wanted = spec(msgspec.structs.replace(qemu.image, token=TOKEN), config_drive=True)
    await qemu.driver.ensure(wanted)
    kept = (qemu.folder / "guests" / wanted.guest_id / "spec.json").read_text()
    assert TOKEN not in kept
    assert "correct horse" not in kept


async def test_a_larger_disk_is_grown_at_the_next_start(qemu: QemuRig) -> None:
    wanted = spec(qemu.image, power="stopped")
    await qemu.driver.ensure(wanted)
    disk = qemu.run(wanted.guest_id) / "root.qcow2"
    assert qcow2.read_header(disk).virtual_size_bytes == GIB
    bigger = [DiskSpec(role="root", size_bytes=2 * GIB, source=qemu.image)]
    await qemu.driver.ensure(msgspec.structs.replace(wanted, disks=bigger, power="running"))
    assert qcow2.read_header(disk).virtual_size_bytes == 2 * GIB


async def test_another_image_rebuilds_the_guest(qemu: QemuRig, tmp_path: Path) -> None:
    raw = tmp_path / "other.raw"
    raw.write_bytes(bytes(1 << 20))
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    first = qemu.pid(wanted.guest_id)
    other = DiskSpec(role="root", size_bytes=GIB, source=source_of(raw, "raw", 1 << 20))
    assert (await qemu.driver.ensure(msgspec.structs.replace(wanted, disks=[other]))).power == "running"
    assert qemu.pid(wanted.guest_id) != first
    backing = qcow2.read_header(qemu.run(wanted.guest_id) / "root.qcow2").backing
    assert backing is not None
    assert backing.endswith(".raw")


async def test_an_overlay_altered_from_inside_is_not_opened(qemu: QemuRig) -> None:
    wanted = spec(qemu.image, power="stopped")
    await qemu.driver.ensure(wanted)
    with (qemu.run(wanted.guest_id) / "root.qcow2").open("r+b") as file:
        file.seek(72)
        features = struct.unpack(">Q", file.read(8))[0]
        file.seek(72)
        file.write(struct.pack(">Q", features | 4))
    with pytest.raises(GuestFailed, match="altered"):
        await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="running"))


async def test_unused_base_files_go_and_used_ones_stay(qemu: QemuRig) -> None:
    await qemu.restart(image_unused_s=0)
    first, second = spec(qemu.image), spec(qemu.image)
    await qemu.driver.ensure(first)
    await qemu.driver.ensure(second)
    await qemu.driver.absent(first.guest_id)
    assert len(list((qemu.folder / "images").iterdir())) == 1
    await qemu.driver.absent(second.guest_id)
    assert list((qemu.folder / "images").iterdir()) == []


async def test_removal_does_not_wait_for_a_download(qemu: QemuRig, images: ImageService) -> None:
    images.hold = asyncio.Event()
    images.served["slow"] = b"x"
    source = msgspec.structs.replace(qemu.image, path=None, url=f"{images.url}/slow", token=TOKEN)
    wanted = spec(source)
    making = asyncio.create_task(qemu.driver.ensure(wanted))
    await until(lambda: images.gets, PATIENCE_S)
    # The download goes on until it is let go, below.
    async with asyncio.timeout(PATIENCE_S):
        await qemu.driver.absent(wanted.guest_id)
    with pytest.raises(GuestFailed, match="removed"):
        await making
    assert qemu.leftovers() == []
    images.hold.set()


async def test_removal_interrupts_a_long_stop(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    stopping = asyncio.create_task(
        qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="stopped", graceful_s=10 * PATIENCE_S))
    )
    await asyncio.sleep(0.1)
    async with asyncio.timeout(PATIENCE_S):
        await qemu.driver.absent(wanted.guest_id)
    with pytest.raises(GuestFailed, match="removed"):
        await stopping
    assert qemu.leftovers() == []


async def test_a_guest_halted_or_moved_on_by_another_hand_is_told_of(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    events = qemu.driver.events()
    await qemu.driver.ensure(wanted)
    await _qmp(qemu, wanted.guest_id, "stop")
    assert (await next_event(events)).power == "paused"
    await _qmp(qemu, wanted.guest_id, "cont")
    assert (await next_event(events)).power == "running"


async def test_a_conversation_that_breaks_off_is_begun_again(
    qemu: QemuRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyhold.compute.drivers.qemu.driver._HOUSEKEEPING_S", 0.1)
    await qemu.restart()
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    guest = qemu.driver._guests[wanted.guest_id]
    before = guest.monitor
    assert before is not None
    before._wire.shutdown(socket.SHUT_RDWR)
    await until(lambda: guest.monitor not in (None, before), PATIENCE_S)
    events = qemu.driver.events()
    await _qmp(qemu, wanted.guest_id, "stop")
    assert (await next_event(events)).power == "paused"


async def test_a_suspended_guest_keeps_its_hardware(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    await qemu.driver.power(GuestPower(guest_id=wanted.guest_id, power="suspended"))
    with pytest.raises(GuestFailed, match="resume it before"):
        await qemu.driver.ensure(msgspec.structs.replace(wanted, ram_mb=256))
    assert (await qemu.driver.ensure(wanted)).power == "running"


async def test_a_refused_guest_does_not_spoil_the_next_of_its_name(qemu: QemuRig) -> None:
    bad = spec(msgspec.structs.replace(qemu.image, sha512="0" * 128))
    good = msgspec.structs.replace(spec(qemu.image, guest_id=bad.guest_id))
    answers = await asyncio.gather(qemu.driver.ensure(bad), qemu.driver.ensure(good), return_exceptions=True)
    assert isinstance(answers[0], GuestFailed)
    assert getattr(answers[1], "power", answers[1]) == "running"
    await asyncio.sleep(0.1)
    await qemu.restart()
    assert await power_of(qemu.driver, bad.guest_id) == "running", "its socket was taken away"


async def test_removal_and_making_at_once_end_with_the_last_wish(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    _, again = await asyncio.gather(qemu.driver.absent(wanted.guest_id), qemu.driver.ensure(wanted))
    assert again.power == "running"
    assert len(qemu.leftovers()) == 2
    assert qemu.driver.console_socket(wanted.guest_id, "vnc").is_socket()
    assert qemu.driver.console_socket(wanted.guest_id, "serial").is_socket()


async def test_a_removal_called_off_before_its_turn_leaves_the_guest_to_who_wants_it(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    guest = qemu.driver._guests[wanted.guest_id]
    async with guest.lock:
        removal = asyncio.create_task(qemu.driver.absent(wanted.guest_id))
        await asyncio.sleep(0)
        removal.cancel()
        await asyncio.gather(removal, return_exceptions=True)
    assert removal.cancelled()
    assert (await qemu.driver.ensure(wanted)).guest_id == wanted.guest_id
    await qemu.driver.absent(wanted.guest_id)
    assert wanted.guest_id not in qemu.driver._guests


async def test_a_removal_called_off_does_not_call_off_another(qemu: QemuRig) -> None:
    """Who waits for the guest meanwhile makes a new one, and nothing of the old."""
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    guest = qemu.driver._guests[wanted.guest_id]
    async with guest.lock:
        removals = [asyncio.create_task(qemu.driver.absent(wanted.guest_id)) for _ in range(2)]
        await asyncio.sleep(0)
        again = asyncio.create_task(qemu.driver.ensure(wanted))
        await asyncio.sleep(0)
    removals[1].cancel()
    await asyncio.gather(*removals, return_exceptions=True)
    assert (await again).power == "running"
    assert qemu.driver._guests[wanted.guest_id] is not guest


async def test_what_belongs_to_no_guest_is_listed(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    stray = qemu.folder / "guests" / "stray.txt"
    stray.write_text("")
    twin = subprocess.Popen(
        ["qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-m", "16"],
        cwd=qemu.run(wanted.guest_id),
    )
    try:
        found = (await qemu.driver.list()).leftovers
    finally:
        twin.kill()
        twin.wait()
    assert sorted(found) == sorted([str(stray), f"process {twin.pid}"])


async def test_removal_takes_a_second_process_with_it(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.ensure(wanted)
    argv = ["qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-m", "16"]
    twin = subprocess.Popen(argv, cwd=qemu.run(wanted.guest_id))
    await qemu.driver.absent(wanted.guest_id)
    assert twin.wait(5) == -9


AGENT = """
import asyncio, sys
import msgspec
from pathlib import Path
from skyhold.compute.drivers.base import GuestSpec
from skyhold.compute.drivers.qemu.driver import QemuDriver

class NoTaps:
    async def open_tap(self, port_id): raise KeyError(port_id)
    async def close_tap(self, port_id): pass

async def main():
    driver = QemuDriver(Path(sys.argv[1]), NoTaps(), virt_type="tcg")
    await driver.start()
    print("go", flush=True)
    spec = msgspec.json.decode(sys.argv[2], type=GuestSpec)
    await driver.ensure(spec)
    print("done", flush=True)
    if sys.argv[3] == "stay":
        await asyncio.sleep(3600)
    while True:
        await driver.absent(spec.guest_id)
        await driver.ensure(spec)

asyncio.run(main())
"""


@pytest.mark.parametrize("after_ms", [1, 8, 15, 30, 50, 70, 120])
async def test_an_agent_killed_at_any_moment_is_taken_over(qemu: QemuRig, after_ms: int) -> None:
    wanted = spec(qemu.image, config_drive=True)
    await qemu.driver.stop()
    agent = await _kill_an_agent(qemu, wanted, after_ms / 1000)
    assert agent.returncode == -9
    qemu.driver = qemu.make()
    await qemu.driver.start()
    assert (await qemu.driver.list()).leftovers == []
    assert (await qemu.driver.ensure(wanted)).power == "running"
    assert len(qemu.leftovers()) == 2, "one folder and one process"
    await qemu.driver.absent(wanted.guest_id)
    assert qemu.leftovers() == []


async def test_removal_works_from_half_made(qemu: QemuRig) -> None:
    for after_s in (0.01, 0.03, 0.06):
        wanted = spec(qemu.image, config_drive=True)
        await qemu.driver.stop()
        await _kill_an_agent(qemu, wanted, after_s)
        qemu.driver = qemu.make()
        await qemu.driver.start()
        await qemu.driver.absent(wanted.guest_id)
        assert qemu.leftovers() == []


async def test_a_running_guest_is_not_a_child_that_dies_with_its_agent(qemu: QemuRig) -> None:
    wanted = spec(qemu.image)
    await qemu.driver.stop()
    await _kill_an_agent(qemu, wanted, None)
    pid = qemu.pid(wanted.guest_id)
    qemu.driver = qemu.make()
    await qemu.driver.start()
    assert await power_of(qemu.driver, wanted.guest_id) == "running"
    assert qemu.pid(wanted.guest_id) == pid
    events = qemu.driver.events()
    qemu.crash(wanted.guest_id)
    assert (await next_event(events)).power == "crashed"


async def test_no_zombies_stay(qemu: QemuRig) -> None:
    for _ in range(3):
        wanted = spec(qemu.image)
        await qemu.driver.ensure(wanted)
        await qemu.driver.absent(wanted.guest_id)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = [Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] for child in children]
    assert "Z" not in states


async def _kill_an_agent(qemu: QemuRig, wanted: GuestSpec, after_s: float | None) -> Any:
    """Kills it and its group `after_s` after it began to work; None: after its first guest runs."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AGENT,
        str(qemu.folder),
        msgspec.json.encode(wanted).decode(),
        "stay" if after_s is None else "go on",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        start_new_session=True,
    )
    assert agent.stdout is not None
    assert await agent.stdout.readline() == b"go\n"
    if after_s is None:
        assert await agent.stdout.readline() == b"done\n"
    else:
        await asyncio.sleep(after_s)
    os.killpg(agent.pid, signal.SIGKILL)
    await agent.wait()
    return agent


async def _qmp(qemu: QemuRig, guest_id: str, verb: str) -> None:
    await (await qemu.driver._guests[guest_id].talk()).run(verb)


async def _places(qemu: QemuRig, wanted: GuestSpec) -> dict[str, int]:
    return await nics.places(await qemu.driver._guests[wanted.guest_id].talk())
