# SPDX-License-Identifier: Apache-2.0
"""What the doctor says about machines that lack something.

The machines are imagined, save in the last cases, which look at the one they run on. The first
machine lacks nothing: every other case takes one thing away and expects one finding.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from skyhold.cmd import doctor
from skyhold.core.settings.load import load
from skyhold.core.settings.whole import Settings

SLOW = ("tcg", "1034 ns per loop iteration")


class Imagined(doctor.Machine):
    """A machine in good order, except for what a case passes in."""

    def __init__(self, **changes):
        self.uid = os.geteuid()
        self.python = (3, 11)
        self.missing = ()
        self.tun = None
        self.refused = {}
        self.accel = ("kvm", "4 ns per loop iteration")
        self.disk_mb, self.ram_mb = 50_000, 8_000
        self.bind = None
        self.now = None
        self.known_routes = [(IPv4Network("192.168.1.0/24"), "eth0")]
        self.commands = []
        vars(self).update(changes)

    def user_id(self):
        return self.uid

    def python_version(self):
        return self.python

    def now_s(self):
        return self.now or super().now_s()

    def program(self, name):
        return None if name in self.missing else f"/usr/bin/{name}"

    def open_error(self, path):
        return OSError(self.tun, os.strerror(self.tun)) if self.tun else None

    def run_error(self, *command, stdin=""):
        self.commands.append(" ".join(command))
        return next((error for part, error in self.refused.items() if part in self.commands[-1]), None)

    def accelerator(self):
        return self.accel

    def free_disk_mb(self, path):
        return self.disk_mb

    def free_ram_mb(self):
        return self.ram_mb

    def bind_error(self, host, port):
        return self.bind

    def routes(self):
        return self.known_routes


def as_root(**changes):
    return Imagined(uid=0, **changes)


@pytest.fixture
def settings(tmp_path):
    return load(tmp_path / "state", {})


def wrong(settings: Settings, machine: Imagined) -> list[doctor.Check]:
    return [check for check in doctor.checks(settings, machine) if not check.ok]


def test_a_good_machine_has_nothing_to_mend(settings):
    found = doctor.checks(settings, as_root())
    assert [check for check in found if not check.ok] == []
    assert {"root", "nft", "bridge", "br_netfilter", "qemu-img", "port"} <= {check.name for check in found}
    assert doctor.table(found).endswith("This machine is ready.")


@pytest.mark.parametrize(
    ("machine", "name", "said", "remedy"),
    [
        (as_root(python=(3, 10)), "python", "3.10 is too old", "3.11"),
        (as_root(tun=errno.ENOENT), "/dev/net/tun", "No such file", "modprobe tun"),
        (as_root(tun=errno.EPERM), "/dev/net/tun", "not permitted", "10:200"),
        (as_root(tun=errno.EBUSY), "/dev/net/tun", "busy", "modprobe"),
        (as_root(missing=("conntrack",)), "conntrack", "missing", "apt-get install -y conntrack"),
        (as_root(missing=("qemu-img",)), "qemu-img", "missing", "apt-get install -y qemu-utils"),
        (as_root(refused={"netns add": "not permitted"}), "kernel", "not permitted", "container"),
        (as_root(refused={"type bridge": "Unknown device"}), "bridge", "Unknown device", "modprobe bridge"),
        (as_root(refused={"bridge-nf-call": "No such file"}), "br_netfilter", "No such", "modprobe br_net"),
        (as_root(refused={"nft -f": "Protocol error"}), "nf_tables", "Protocol error", "nf_tables"),
        (as_root(disk_mb=100), "disk", "Only 100 MiB", "Free 1948 MiB"),
        (as_root(ram_mb=500), "memory", "Only 500 MiB", "End other programs"),
        (as_root(bind=OSError(errno.EADDRNOTAVAIL, "no such address")), "port", "no such", "http.host"),
        (as_root(now=1_000_000_000.0), "clock", "behind", "timedatectl"),
    ],
)
def test_one_thing_missing_is_one_finding_with_its_remedy(settings, machine, name, said, remedy):
    (found,) = wrong(settings, machine)
    assert (found.name, found.needed) == (name, True)
    assert said in found.sentence
    assert remedy in found.remedy


def test_no_root_is_told_and_the_kernel_left_alone(settings):
    machine = Imagined(uid=1000)
    found = {check.name: check for check in wrong(settings, machine)}
    assert set(found) == {"root", "kernel"}
    assert "--fake" in found["root"].remedy
    assert not found["kernel"].needed
    assert machine.commands == []


def test_the_scratch_namespace_goes_away_even_after_failures(settings):
    machine = as_root(refused={"type veth": "no", "tuntap": "no"})
    assert [check.name for check in wrong(settings, machine)] == ["veth", "tap"]
    made = [command for command in machine.commands if "netns add" in command]
    assert machine.commands[-1] == made[0].replace("add", "del")


def test_a_fake_cloud_asks_for_little(tmp_path):
    settings = load(tmp_path, {"SKYHOLD_HOST_HYPERVISOR": "fake", "SKYHOLD_HOST_NETWORK": "fake"})
    machine = Imagined(uid=os.geteuid(), missing=("nft", "ip", "qemu-img"), tun=errno.ENOENT, ram_mb=400)
    tmp_path.chmod(0o700)
    assert wrong(settings, machine) == []


@pytest.mark.parametrize(
    ("wish", "measured", "ok", "said"),
    [
        ("auto", SLOW, True, "tcg: 1034"),
        ("kvm", SLOW, False, "guests would hang"),
        ("kvm", ("kvm", "4 ns"), True, "kvm: 4 ns"),
        ("tcg", ("kvm", "4 ns"), True, "set by the operator"),
    ],
)
def test_the_accelerator_that_was_asked_for_must_work(tmp_path, wish, measured, ok, said):
    settings = load(tmp_path / "state", {"SKYHOLD_HOST_VIRT_TYPE": wish})
    found = {check.name: check for check in doctor.checks(settings, as_root(accel=measured))}["accelerator"]
    assert found.ok is ok
    assert said in found.sentence


@pytest.mark.parametrize(
    ("cidr", "routes", "said"),
    [
        ("192.168.0.0/16", ["192.168.1.0/24"], "192.168.1.0/24 (device eth0)"),
        ("10.9.8.0/24", ["10.9.8.7/32", "10.0.0.0/8"], "10.0.0.0/8"),
        ("10.9.8.0/24", ["10.9.8.0/24"], "10.9.8.0/24"),
        ("10.9.8.1/24", [], "host bits"),
        ("fd00::/64", [], "can't be used"),
    ],
)
def test_an_external_range_in_use_is_refused(tmp_path, cidr, routes, said):
    settings = load(tmp_path / "state", {"SKYHOLD_NETWORK_EXTERNAL_CIDR": cidr})
    known = [(IPv4Network(route), "eth0") for route in routes]
    (found,) = wrong(settings, as_root(known_routes=known))
    assert found.name == "external range"
    assert said in found.sentence


def test_a_free_external_range_is_welcome(tmp_path):
    settings = load(tmp_path / "state", {"SKYHOLD_NETWORK_EXTERNAL_CIDR": "10.9.8.0/24"})
    assert wrong(settings, as_root()) == []


def test_a_route_to_the_range_is_our_own_while_the_cloud_runs(tmp_path):
    settings = load(tmp_path / "state", {"SKYHOLD_NETWORK_EXTERNAL_CIDR": "10.9.8.0/24"})
    settings.prepare()
    (settings.run_dir / "api.pid").write_text(f"{os.getpid()}\n")
    machine = Imagined(known_routes=[(IPv4Network("10.9.8.0/24"), "skyx")])
    assert "external range" not in [check.name for check in wrong(settings, machine)]


def test_a_state_directory_open_to_others_is_told(settings):
    settings.prepare()
    settings.home.chmod(0o755)
    machine = Imagined()
    found = {check.name: check for check in wrong(settings, machine)}
    assert found["state directory"].remedy == f"chmod 700 {settings.home}"
    settings.home.chmod(0o700)
    assert "state directory" not in [check.name for check in wrong(settings, machine)]


def test_a_state_directory_of_somebody_else_is_told(settings):
    settings.prepare()
    found = {check.name: check for check in wrong(settings, Imagined(uid=os.geteuid() + 1))}
    assert f"belongs to user {os.geteuid()}" in found["state directory"].sentence


def test_a_state_directory_that_is_a_file_is_told(settings):
    settings.home.write_text("")
    assert any("is no directory" in check.sentence for check in wrong(settings, as_root()))


def test_a_look_that_breaks_is_a_finding_and_hides_no_other(settings):
    class Broken(Imagined):
        def free_ram_mb(self):
            raise OSError(errno.EIO, "bad")

    found = wrong(settings, Broken(uid=0, disk_mb=1))
    assert [check.name for check in found] == ["disk", "memory"]
    assert "bad" in found[1].sentence


@pytest.fixture
def listener():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(1)
        yield door.getsockname()[1]


def test_a_port_taken_names_who_has_it(tmp_path, listener):
    settings = load(tmp_path / "state", {"SKYHOLD_HTTP_PORT": str(listener)})
    machine = as_root(bind=doctor.Machine().bind_error("127.0.0.1", listener))
    (found,) = wrong(settings, machine)
    assert f"Port {listener} is taken by process" in found.sentence
    assert f"--port {listener + 1}" in found.remedy


def test_a_port_taken_by_this_cloud_is_well(tmp_path, listener):
    settings = load(tmp_path / "state", {"SKYHOLD_HTTP_PORT": str(listener)})
    settings.prepare()
    (settings.run_dir / "api.pid").write_text(str(os.getpid()))
    machine = Imagined(bind=OSError(errno.EADDRINUSE, "taken"))
    found = {check.name: check for check in doctor.checks(settings, machine)}["port"]
    assert found.ok
    assert "This cloud is running" in found.sentence


def test_the_exit_status_and_the_table_follow_the_findings(settings, monkeypatch, capsys):
    machine = as_root(missing=("nft",))
    real = doctor.checks
    monkeypatch.setattr(doctor, "checks", lambda settings: real(settings, machine))
    assert doctor.run(settings) == 1
    out = capsys.readouterr().out
    assert "!!  nft" in out
    assert "-> apt-get install -y nftables" in out
    assert out.endswith("1 thing to mend: nft.\n")
    machine.missing = ()
    assert doctor.run(settings, as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {"name", "ok", "sentence", "remedy", "needed"}


def test_the_real_machine_answers(tmp_path):
    machine = doctor.Machine()
    assert machine.program("sh")
    assert machine.program("no-such-program") is None
    assert machine.free_disk_mb(tmp_path / "not" / "yet") > 0
    assert machine.free_ram_mb() > 0
    assert machine.open_error(str(tmp_path / "absent")).errno == errno.ENOENT
    assert machine.run_error("sh", "-c", "cat; echo two >&2; exit 3", stdin="one") == "two"
    assert machine.run_error("sh", "-c", "exit 3") == "exit status 3"
    assert machine.run_error("true") is None
    assert machine.bind_error("127.0.0.1", 0) is None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace takes root")
def test_the_kernel_is_tried_and_nothing_stays_behind(monkeypatch):
    monkeypatch.setattr(doctor.secrets, "token_hex", lambda _: f"test-{os.getpid()}")
    found = doctor._kernel(doctor.Machine())
    assert [check.name for check in found] == [
        "namespace",
        "bridge",
        "br_netfilter",
        "veth",
        "tap",
        "nf_tables",
    ]
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"skyhold-doctor-test-{os.getpid()}" not in left


@pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="there is no /dev/kvm to measure")
def test_the_accelerator_is_measured():
    assert stat.S_ISCHR(Path("/dev/kvm").stat().st_mode)
    name, reason = doctor.Machine().accelerator()
    assert name in ("kvm", "tcg")
    assert reason
