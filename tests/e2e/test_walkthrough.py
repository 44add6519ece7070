# SPDX-License-Identifier: Apache-2.0
"""The everyday walkthrough with the unmodified client on real guests, and nothing left afterwards.

The cloud is started by `skyhold up` (conftest.py), which boots the server `first` itself. Ids of
the feature checklist stand in the names.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skyhold.cmd.client import Client
from skyhold.cmd.serve import admin_password
from skyhold.network.drivers.native.names import CloudNames
from tests.e2e.conftest import Real, reachable, ssh
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.guest

TAP = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")


def test_the_line_that_up_prints_logs_in(real: Real) -> None:
    words = real.ssh_line.split()
    done = subprocess.run([*words, "hostname"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "first", done.stderr


def test_up_again_changes_nothing(real: Real) -> None:
    before = real.json("server", "list")
    done = subprocess.run(
        [sys.executable, "-m", "skyhold", "up", "--home", str(real.home)], capture_output=True, text=True,
        timeout=60, env=os.environ | {"HOME": str(real.home.parent / "user")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == real.ssh_line
    assert real.json("server", "list") == before


def test_wlk_01_02_03_07_09_10_the_walkthrough(real: Real, tmp_path: Path) -> None:
    key = tmp_path / "test.pem"
    key.touch(mode=0o600)
    key.write_text(real.openstack("keypair", "create", "test") + "\n")

    assert "tiny" in {image["Name"] for image in real.json("image", "list")}
    assert "m1.nano" in {flavor["Name"] for flavor in real.json("flavor", "list")}
    assert "first" in {server["Name"] for server in real.json("server", "list")}

    create(real, "walker", "tiny")
    real.until("walker", "ACTIVE")
    address = real.json("floating", "ip", "create", "public")["floating_ip_address"]
    real.openstack("server", "add", "floating", "ip", "walker", address)
    assert not reachable(address), "the default security group is closed"

    real.openstack("security", "group", "create", "open")
    real.openstack("security", "group", "rule", "create", "--protocol", "icmp", "open")
    rule = real.json("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "open")["id"]
    real.openstack("server", "add", "security", "group", "walker", "open")
    assert ssh(key, address, "hostname") == "walker"
    assert ssh(key, address, "nproc") == "1"
    assert subprocess.run(["ping", "-c1", "-W5", address], capture_output=True).returncode == 0
    ssh(key, address, "echo here > /home/tiny/marker && sync")

    real.openstack("security", "group", "rule", "delete", rule)
    until_closed(address)
    real.openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "open")
    assert ssh(key, address, "hostname") == "walker"

    real.openstack("server", "stop", "walker")
    real.until("walker", "SHUTOFF", 90)
    real.openstack("server", "image", "create", "--name", "copy", "--wait", "walker")
    real.openstack("server", "start", "walker")
    real.until("walker", "ACTIVE")
    assert ssh(key, address, "cat /home/tiny/marker", timeout_s=90) == "here"

    create(real, "second", "copy", "--security-group", "open")
    real.until("second", "ACTIVE")
    other = real.json("floating", "ip", "create", "public")["floating_ip_address"]
    real.openstack("server", "add", "floating", "ip", "second", other)
    assert ssh(key, other, "cat /home/tiny/marker", timeout_s=90) == "here"
    log = real.openstack("console", "log", "show", "--lines", "50", "second")
    assert "tiny-init" in log or "login" in log

    real.openstack("server", "remove", "floating", "ip", "second", other)
    until_closed(other)


def test_the_audit_finds_nothing_on_real_hosts_and_networks(real: Real) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skyhold", "admin", "audit", "--home", str(real.home)], capture_output=True, text=True,
        timeout=60, env=os.environ | {"HOME": str(real.home.parent / "user")},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Everything fits together."), done.stdout + done.stderr


def test_reboot_pause_suspend_on_a_real_guest(real: Real) -> None:
    key = real.home / "first.pem"
    address = re.search(r"@(\S+)$", real.ssh_line)[1]  # type: ignore[index]
    real.openstack("server", "pause", "first")
    real.until("first", "PAUSED")
    real.openstack("server", "unpause", "first")
    real.until("first", "ACTIVE")
    boot = ssh(key, address, "cat /proc/sys/kernel/random/boot_id")
    real.openstack("server", "suspend", "first")
    real.until("first", "SUSPENDED")
    real.openstack("server", "resume", "first")
    real.until("first", "ACTIVE")
    assert ssh(key, address, "cat /proc/sys/kernel/random/boot_id") == boot, "resume is no boot"
    real.openstack("server", "reboot", "--hard", "first")
    real.until("first", "ACTIVE")
    assert ssh(key, address, "cat /proc/sys/kernel/random/boot_id", timeout_s=90) != boot


def test_a_killed_guest_shows_as_shutoff_and_starts_again(real: Real) -> None:
    server = real.json("server", "show", "first")["id"]
    (pid,) = guest_pids(real, server)
    os.kill(pid, 9)
    real.until("first", "SHUTOFF", 10)
    real.openstack("server", "start", "first")
    real.until("first", "ACTIVE")


def test_after_deleting_everything_nothing_is_left(real: Real) -> None:
    for name in ("walker", "second", "first"):
        if name in {server["Name"] for server in real.json("server", "list")}:
            real.openstack("server", "delete", "--wait", name)
    for ip in real.json("floating", "ip", "list"):
        real.openstack("floating", "ip", "delete", ip["ID"])
    if "copy" in {image["Name"] for image in real.json("image", "list")}:
        real.openstack("image", "delete", "copy")
    for group in ("open", "first"):
        if group in {found["Name"] for found in real.json("security", "group", "list")}:
            real.openstack("security", "group", "delete", group)
    real.openstack("router", "remove", "subnet", "router", "private")
    real.openstack("router", "delete", "router")
    real.openstack("network", "delete", "private")

    assert guest_pids(real, "") == []
    assert list((real.home / "guests" / "guests").glob("*")) == []
    names = CloudNames((real.home / "cloud-id").read_text().strip())
    space = names.plane
    assert f"{space}-r-" not in run("ip", "netns", "list")
    assert not TAP.findall(run("ip", "netns", "exec", space, "ip", "-o", "link"))
    assert not TAP.findall(run("ip", "netns", "exec", space, "nft", "list", "ruleset"))
    assert used_of_hosts(real) == {"VCPU": 0, "MEMORY_MB": 0, "DISK_GB": 0}
    ports = real.json("port", "list", cloud="skyhold-admin")
    assert [port for port in ports if port.get("Status") == "ACTIVE"] == []


def create(real: Real, name: str, image: str, *more: str) -> None:
    real.openstack(
        "server", "create", "--flavor", "m1.nano", "--image", image, "--key-name", "test",
        "--network", "private", *more, name,
    )


def until_closed(address: str, timeout_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + timeout_s
    while reachable(address):
        assert time.monotonic() < end, f"{address} can still be reached"


def guest_pids(real: Real, server_id: str) -> list[int]:
    """QEMU processes of this cloud: they work in their guest's directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            where = os.readlink(path)
        except OSError:
            continue
        if where.startswith(str(real.home)) and server_id in where:
            found.append(int(path.parent.name))
    return found


def used_of_hosts(real: Real) -> dict[str, int]:
    """What placement holds on the one host."""
    admin = Client(real.url, "admin", admin_password(real.home), "admin")
    (provider,) = admin.get("/placement/resource_providers")["resource_providers"]
    usages: dict[str, int] = admin.get(f"/placement/resource_providers/{provider['uuid']}/usages")["usages"]
    return usages


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
