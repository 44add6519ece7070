# SPDX-License-Identifier: Apache-2.0
"""The parts of the QEMU driver that need no guest: logs, headers, folders, fences, the probe.

Images have test_images.py and arguments test_command.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.compute.drivers.base import GuestFailed
from skyhold.compute.drivers.qemu import accelerator, console, host, process
from skyhold.compute.drivers.qemu.folder import GONE, Folder, Record, owner_of
from skyhold.core import qcow2


@given(st.binary(max_size=400), st.integers(0, 12), st.integers(1, 50))
def test_tail_is_the_last_lines_whatever_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, lines: int, step: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "serial.log"
    log.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "_STEP", step)
        got = console.tail(log, log.with_suffix(".1"), lines)
    whole = text.split(b"\n")
    ended = whole[-1:] == [b""]
    kept = (whole[:-1] if ended else whole)[-lines:] if lines else []
    wanted = b"\n".join(kept) + (b"\n" if ended and kept else b"")
    assert got == wanted.decode("utf-8", errors="replace")


def test_a_log_of_a_gigabyte_is_read_at_once(tmp_path: Path) -> None:
    log = tmp_path / "serial.log"
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe end\n")
    assert console.tail(log, tmp_path / "none", 1) == "the end\n"
    assert len(console.tail(log, tmp_path / "none", None)) <= 4 << 20


def test_a_long_log_moves_aside_and_reads_on_as_one(tmp_path: Path) -> None:
    log, before = tmp_path / "serial.log", tmp_path / "serial.log.1"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"".join(b"line %d\n" % n for n in range(600_000)))
    console.rotate(log, before)
    os.write(writer, b"after\n")
    os.close(writer)
    assert log.read_bytes() == b"after\n"
    assert console.tail(log, before, 3) == "line 599998\nline 599999\nafter\n"
    console.rotate(log, before)
    assert log.read_bytes() == b"after\n"


def test_no_log_yet_is_an_empty_console(tmp_path: Path) -> None:
    assert console.tail(tmp_path / "none", tmp_path / "none.1", 10) == ""


@pytest.mark.parametrize("size", [1, 65536, 1 << 20, 2 << 20])
def test_the_smallest_qcow2_is_valid(tmp_path: Path, size: int) -> None:
    path = tmp_path / "empty.qcow2"
    path.write_bytes(qcow2.empty(size))
    if size % 512 == 0:
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(path)], check=True)
    assert qcow2.read_header(path) == qcow2.Header(size, None, False)


def test_headers_tell_backing_and_data_files(tmp_path: Path) -> None:
    make = ["qemu-img", "create", "-q", "-u", "-f", "qcow2"]
    subprocess.run([*make, "-b", "x/y", "-F", "raw", str(tmp_path / "a"), "1M"], check=True)
    subprocess.run([*make, "-o", f"data_file={tmp_path / 'd'}", str(tmp_path / "b"), "1M"], check=True)
    assert qcow2.read_header(tmp_path / "a") == qcow2.Header(1 << 20, "x/y", False)
    assert qcow2.read_header(tmp_path / "b").data_file is True
    (tmp_path / "c").write_bytes(b"QFI")
    with pytest.raises(ValueError, match="not a qcow2"):
        qcow2.read_header(tmp_path / "c")


@pytest.mark.parametrize("guest_id", ["", ".", "..", "../x", "a/b", "-rf", ".gone-x", "a" * 65, "a\n"])
def test_an_id_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, guest_id: str) -> None:
    with pytest.raises(GuestFailed):
        Folder(tmp_path, guest_id)


def test_removal_leaves_a_telling_name_at_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path, "one")
    folder.create()
    folder.save_record(Record(power="running"))

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("skyhold.compute.drivers.qemu.folder.shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.remove()
    assert [p.name.startswith(f"{GONE}one-") for p in tmp_path.iterdir()] == [True]
    folder.remove()


def test_a_torn_record_is_as_good_as_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "one")
    folder.create()
    (folder.path / "state.json").write_text('{"power": "runn')
    assert folder.load_record() == Record()
    assert folder.load_spec() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give users away")
def test_guests_have_users_of_their_own() -> None:
    owners = {owner_of(f"guest-{n}") for n in range(50)}
    assert len(owners) == 50
    assert all(owner is not None and owner >= 65534 for owner in owners)


@pytest.mark.parametrize(
    ("measured", "name"), [(5.0, "kvm"), (99.9, "kvm"), (870.0, "tcg"), ("no KVM: gone", "tcg")]
)
def test_only_a_fast_loop_makes_kvm(measured: float | str, name: str) -> None:
    assert accelerator.judge(measured).name == name


async def test_the_measurement_is_kept_until_the_machine_boots_again(tmp_path: Path) -> None:
    kept = tmp_path / "accelerator.json"
    found = await accelerator.choose("auto", kept)
    assert found.reason
    kept.write_bytes(kept.read_bytes().replace(found.reason.encode(), b"as remembered"))
    assert (await accelerator.choose("auto", kept)).reason == "as remembered"
    kept.write_text('{"boot_id":"another","accelerator":{"name":"kvm","reason":"old"}}')
    assert (await accelerator.choose("auto", kept)).reason != "old"
    assert (await accelerator.choose("kvm", kept)).name == "kvm"


async def test_a_probe_that_hangs_means_no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = tmp_path / "loop.py"
    loop.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(accelerator, "_LOOP", loop)
    monkeypatch.setattr(accelerator, "_LIMIT_S", 0.3)
    found = await accelerator.choose("auto", tmp_path / "kept")
    assert (found.name, "did not end" in found.reason) == ("tcg", True)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", 7_002_022),
        ("QEMU emulator version 10.1.0", 10_001_000),
        ("QEMU emulator version 9.2", 9_002_000),
    ],
)
def test_versions_are_read_as_nova_prints_them(said: str, number: int) -> None:
    assert host.parse_version(said).number == number


def test_a_version_nobody_can_read_is_said_so() -> None:
    with pytest.raises(host.QemuMissing, match="nonsense"):
        host.parse_version("nonsense")


def test_a_zombie_is_no_process_of_a_guest() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process.lives(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process.lives(child.pid), "a zombie runs nothing"
    child.communicate()
    assert not process.lives(child.pid)
