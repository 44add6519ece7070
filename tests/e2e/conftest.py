# SPDX-License-Identifier: Apache-2.0
"""A real cloud for end-to-end tests: started with the command a newcomer runs, on real guests.

What the unmodified `openstack` client is told comes only from the clouds.yaml that the cloud
itself wrote. Everything lives in one temporary directory and on one free port.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]
CLIENT = REPO / ".venv-clients" / "bin" / "openstack"


@dataclass
class Real:
    """One running cloud."""

    home: Path
    url: str
    ssh_line: str

    def openstack(self, *words: str, cloud: str = "skyhold", fails: bool = False) -> Any:
        """Run the client; its JSON if it prints any, else its text."""
        done = subprocess.run(
            [str(CLIENT), "--os-cloud", cloud, *words], capture_output=True, text=True, timeout=180,
            env=os.environ | {"OS_CLIENT_CONFIG_FILE": str(self.home / "clouds.yaml")},
        )
        if fails:
            assert done.returncode != 0, done.stdout
            return done.stderr
        assert done.returncode == 0, f"openstack {' '.join(words)}:\n{done.stdout}{done.stderr}"
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.strip()

    def json(self, *words: str, cloud: str = "skyhold") -> Any:
        return self.openstack(*words, "-f", "json", cloud=cloud)

    def until(self, server: str, status: str, timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        while (now := self.json("server", "show", server)["status"]) != status:
            assert now != "ERROR", self.json("server", "show", server)
            assert time.monotonic() < end, f"{server} is {now}, not {status}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    home = tmp_path_factory.mktemp("real") / "sky"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    user = home.parent / "user"
    user.mkdir()
    command = [sys.executable, "-m", "skyhold"]
    env = os.environ | {"HOME": str(user), "PYTHONPATH": str(REPO)}
    image = os.environ.get("SKYHOLD_TEST_IMAGE") or built_image()
    up = [*command, "up", "--home", str(home), "--port", str(port), "--image", image]
    try:
        done = subprocess.run(up, capture_output=True, text=True, timeout=400, env=env)
        assert done.returncode == 0, done.stdout + done.stderr + logs(home)
        yield Real(home, f"http://127.0.0.1:{port}", done.stdout.strip())
    finally:
        subprocess.run(
            [*command, "down", "--home", str(home), "--destroy"], timeout=120, env=env, check=True,
            capture_output=True,
        )


def built_image() -> str:
    """The product's own small image; in seconds when it was built before."""
    script = [str(REPO / "script" / "guest-image")]
    return subprocess.run(script, capture_output=True, text=True, timeout=300, check=True).stdout.strip()


def logs(home: Path) -> str:
    texts = [path.read_text(errors="replace")[-4000:] for path in sorted((home / "log").glob("*.log"))]
    return "\n".join(texts)


def ssh(key: Path, address: str, command: str, *, timeout_s: float = 60, user: str = "tiny") -> str:
    """What a command prints on a guest, tried until the guest answers."""
    words = [
        "ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "ConnectTimeout=5", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", f"{user}@{address}", command,
    ]
    end = time.monotonic() + timeout_s
    while True:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return done.stdout.strip()
        assert time.monotonic() < end, f"ssh {address}: {done.stderr}"
        time.sleep(0.5)


def reachable(address: str, port: int = 22, timeout_s: float = 1.0) -> bool:
    try:
        with socket.create_connection((address, port), timeout=timeout_s):
            return True
    except OSError:
        return False
