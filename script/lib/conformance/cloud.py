# SPDX-License-Identifier: Apache-2.0
"""A throw-away cloud for the suite: started by `skyhold up`, furnished as its configuration expects.

The configuration is filled by suite.py with `values`. Everything is made through the public API; the
cloud's home, its user's home and its port are its own, and nothing is left when it is done.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from skyhold.cmd.client import Client
from skyhold.compute.drivers.qemu.qcow2 import empty

ROLES = ["admin", "manager", "member", "reader", "service", "ResellerAdmin", "heat_stack_owner"]
SHARED_RANGE = "10.99.0.0/20"
GUEST_USER = "tiny"


class Cloud:
    """Started when entered and destroyed when left; `image` is that of real guests, None fakes them."""

    def __init__(self, *, image: Path | None) -> None:
        self._real = image is not None
        self._directory = Path(tempfile.mkdtemp(prefix="skyhold-conformance-"))
        self._port = free_port()
        self._files = self._directory / "files"
        self._image = self._files / "tiny.qcow2"
        self._ending = contextlib.ExitStack()
        self._files.mkdir()
        if image is None:
            self._image.write_bytes(empty())
        else:
            shutil.copyfile(image, self._image)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Cloud:
        self._ending.callback(shutil.rmtree, self._directory, ignore_errors=True)
        self._ending.callback(self._skyhold, "down", "--destroy", check=False)
        try:
            start = [] if self._real else ["--fake"]
            self._skyhold("up", *start, "--no-demo", "--port", str(self._port), "--image", str(self._image))
            self._image_url = self._ending.enter_context(served(self._files)) + "/tiny.qcow2"
            self._admin = Client(self.url, "admin", self._password(), "admin")
            roles(self._admin)
            shared_network(self._admin)
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, *why: object) -> None:
        self._ending.close()

    def values(self) -> dict[str, str]:
        """What each placeholder of the configuration stands for here."""
        admin = self._admin
        flavors = {one["name"]: one["id"] for one in admin.get("/compute/v2.1/flavors")["flavors"]}
        public = admin.get("/network/v2.0/networks?name=public")["networks"][0]
        return {
            "ADMIN_PASSWORD": self._password(),
            "IDENTITY_URL": f"{self.url}/identity/v3",
            "DASHBOARD_URL": f"{self.url}/dashboard/",
            "IMAGE": admin.get("/image/v2/images?name=tiny")["images"][0]["id"],
            "IMAGE_ALT": second_image(admin, self._image),
            "IMAGE_URL": self._image_url,
            "IMAGE_FILE": str(self._image),
            "FLAVOR": flavors["m1.nano"],
            "FLAVOR_ALT": flavors["m1.tiny"],
            "PUBLIC_NET": public["id"],
            "SSH_USER": GUEST_USER,
        }

    def keep_logs(self, target: Path) -> None:
        """The cloud's own logs outlive it, for whoever looks into a failure."""
        target.mkdir(parents=True, exist_ok=True)
        for file in (self._directory / "cloud").rglob("*.log"):
            shutil.copyfile(file, target / file.name)

    def _password(self) -> str:
        return (self._directory / "cloud" / "admin-password").read_text().strip()

    def _skyhold(self, word: str, *more: str, check: bool = True) -> None:
        command = [sys.executable, "-m", "skyhold", word, "--home", str(self._directory / "cloud"), *more]
        env = {**os.environ, "HOME": str(self._directory / "user")}
        env.pop("SKYHOLD_HOME", None)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if check and done.returncode:
            sys.exit(f"`skyhold {word}` failed:\n{done.stdout}{done.stderr}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def served(folder: Path) -> Any:
    """The folder over HTTP, for imports from the web; yields the address without a slash at the end."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def roles(admin: Client) -> None:
    have = {role["name"] for role in admin.get("/identity/v3/roles")["roles"]}
    for name in ROLES:
        if name not in have:
            admin.post("/identity/v3/roles", {"role": {"name": name}})


def shared_network(admin: Client) -> None:
    """The network that servers join which name none."""
    network = admin.post("/network/v2.0/networks", {"network": {"name": "shared", "shared": True}})["network"]
    subnet = {"name": "shared", "network_id": network["id"], "ip_version": 4, "cidr": SHARED_RANGE}
    admin.post("/network/v2.0/subnets", {"subnet": subnet})


def second_image(admin: Client, file: Path) -> str:
    wish = {"name": "tiny-alt", "disk_format": "qcow2", "container_format": "bare", "visibility": "public"}
    image = admin.post("/image/v2/images", wish)
    admin.upload(f"/image/v2/images/{image['id']}/file", file)
    return str(image["id"])
