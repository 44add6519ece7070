# SPDX-License-Identifier: Apache-2.0
"""What a real cloud survives: a killed agent, a flushed ruleset, a control plane killed in mid-boot.

The everyday use is test_walkthrough.py. Everything here goes on with the same cloud, and needs a
guest that answers SSH before and after.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skyhold.cmd.client import Client
from skyhold.network.drivers.native.names import CloudNames
from tests.e2e.conftest import CLIENT, Real, ssh
from tests.e2e.test_walkthrough import TAP
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def guest(real: Real) -> tuple[Path, str]:
    """A running server with a floating IP: the key and the address."""
    up(real)
    address = real.json("server", "show", "first")["addresses"]["private"][-1]
    return real.home / "first.pem", address


def test_a_restarted_agent_finds_its_running_guests(real: Real, guest: tuple[Path, str]) -> None:
    boot = ssh(*guest, "cat /proc/sys/kernel/random/boot_id")
    kill(real, "host")
    assert ssh(*guest, "cat /proc/sys/kernel/random/boot_id") == boot, "guests outlive the agent"
    up(real)
    assert real.json("server", "show", "first")["status"] == "ACTIVE"
    assert ssh(*guest, "cat /proc/sys/kernel/random/boot_id") == boot
    real.openstack("server", "pause", "first")
    real.until("first", "PAUSED")
    real.openstack("server", "unpause", "first")
    real.until("first", "ACTIVE")


def test_a_dead_agent_shows_its_service_down(real: Real) -> None:
    kill(real, "host")
    end = time.monotonic() + PATIENCE_S
    while real.json("compute", "service", "list", cloud="skyhold-admin")[0]["State"] != "down":
        assert time.monotonic() < end
        time.sleep(0.5)
    up(real)
    assert real.json("compute", "service", "list", cloud="skyhold-admin")[0]["State"] == "up"


def test_a_flushed_ruleset_is_repaired(real: Real, guest: tuple[Path, str]) -> None:
    space = CloudNames((real.home / "cloud-id").read_text().strip()).plane
    subprocess.run(["ip", "netns", "exec", space, "nft", "flush", "ruleset"], check=True)
    end = time.monotonic() + PATIENCE_S
    while not TAP.search(rules(space)):
        assert time.monotonic() < end, "nobody repaired the ruleset"
        time.sleep(0.2)
    assert ssh(*guest, "hostname") == "first"


def test_a_control_plane_killed_in_mid_boot_ends_in_active_or_a_clean_error(real: Real) -> None:
    for delay_s in (0.0, 0.05, 0.15):
        name = f"survivor-{int(delay_s * 1000)}"
        create = subprocess.Popen(
            openstack_words(real, "server", "create", "--flavor", "m1.nano", "--image", "tiny",
                            "--network", "private", name),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"OS_CLIENT_CONFIG_FILE": str(real.home / "clouds.yaml")},
        )
        wait_for_row(real, name)
        time.sleep(delay_s)
        kill(real, "serve")
        create.wait(60)
        up(real)
        real.until(name, "ACTIVE", 60)
        real.openstack("server", "delete", "--wait", name)


def up(real: Real) -> None:
    """`skyhold up` starts whichever of the processes is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "skyhold", "up", "--home", str(real.home)], capture_output=True, text=True,
        timeout=120, env=os.environ | {"HOME": str(real.home.parent / "user")},
    )
    assert done.returncode == 0, done.stderr


def kill(real: Real, name: str) -> None:
    os.kill(int((real.home / "run" / f"{name}.pid").read_text()), signal.SIGKILL)
    time.sleep(0.1)


def rules(space: str) -> str:
    words = ["ip", "netns", "exec", space, "nft", "list", "ruleset"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def openstack_words(real: Real, *words: str) -> list[str]:
    return [str(CLIENT), "--os-cloud", "skyhold", *words]


def wait_for_row(real: Real, name: str) -> None:
    """Until the server was accepted, asked straight from the API: the client would be too slow."""
    demo = Client(real.url, "demo", (real.home / "demo-password").read_text().strip(), "demo")
    end = time.monotonic() + PATIENCE_S
    while not demo.get(f"/compute/v2.1/servers?name={name}")["servers"]:
        assert time.monotonic() < end
        time.sleep(0.005)
