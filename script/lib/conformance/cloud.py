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
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import formats

from skyhold.cmd.client import Client
from skyhold.core.qcow2 import empty

ROLES = ["admin", "manager", "member", "reader", "service", "ResellerAdmin", "heat_stack_owner"]
SHARED_RANGE = "10.99.0.0/20"
GUEST_USER = "tiny"
HOSTS_S = 30.0
COMPLIANCE = {
    "SKYHOLD_SECURITY_COMPLIANCE_LOCKOUT_FAILURE_ATTEMPTS": "2",
    "SKYHOLD_SECURITY_COMPLIANCE_LOCKOUT_DURATION_S": "5",
    "SKYHOLD_SECURITY_COMPLIANCE_UNIQUE_LAST_PASSWORD_COUNT": "2",
}
"""What the suite's configuration says of the cloud in [identity], as settings."""
IMAGES = {
    "SKYHOLD_IMAGE_SHOW_MULTIPLE_LOCATIONS": "true",
    "SKYHOLD_IMAGE_CACHE_SITES": "remote",
    "SKYHOLD_IMAGE_IMPORT_PLUGINS": "image_conversion",
}
"""The same of [image]; the site's endpoint is what it calls image_remote."""
STORES = """\
# The suite wants stores in the order of their weights and in that of their names at once.
[file]
type = "file"
weight = 20
default = true

[second]
type = "file"
weight = 10

[web]
type = "http"
"""


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
            self._stores()
            start = [] if self._real else ["--fake"]
            self._skyhold("up", *start, "--no-demo", "--port", str(self._port), "--image", str(self._image))
            if not self._real:
                self._ending.enter_context(self._second_host())
            self._image_url = self._ending.enter_context(served(self._files)) + "/tiny.qcow2"
            self._admin = Client(self.url, "admin", self._password(), "admin")
            roles(self._admin)
            shared_network(self._admin)
            self.formats = formats.make(self._directory / "formats")
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
        for home in ("cloud", "second"):
            for file in (self._directory / home).rglob("*.log"):
                shutil.copyfile(file, target / f"{home}-{file.name}")

    @contextlib.contextmanager
    def _second_host(self) -> Iterator[None]:
        """Another fake host on the same bus, with a state directory of its own: migrations need somewhere to go."""
        home = self._directory / "second"
        (home / "run").mkdir(parents=True, mode=0o700)
        main = self._directory / "cloud"
        shutil.copyfile(main / "skyhold.toml", home / "skyhold.toml")
        for socket_file in (main / "run").glob("*.sock"):
            (home / "run" / socket_file.name).symlink_to(socket_file)
        command = [sys.executable, "-m", "skyhold", "host", "--home", str(home)]
        env = {**self._env(), "SKYHOLD_HOST_NAME": "second"}
        with (home / "host.log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as agent:
            try:
                self._until_hosts(2)
                yield
            finally:
                agent.terminate()

    def _until_hosts(self, number: int) -> None:
        end = time.monotonic() + HOSTS_S
        wanted = f'skyhold_hosts_up{{process="1"}} {float(number)}'
        while True:
            with urllib.request.urlopen(self.url + "/metrics", timeout=10) as page:  # noqa: S310
                if wanted in page.read().decode():
                    return
            if time.monotonic() > end:
                sys.exit(f"The cloud has no {number} hosts after {HOSTS_S:g} s.")
            time.sleep(0.2)

    def _stores(self) -> None:
        home = self._directory / "cloud"
        home.mkdir(mode=0o700)
        (home / "image-stores.toml").write_text(STORES)

    def _password(self) -> str:
        return (self._directory / "cloud" / "admin-password").read_text().strip()

    def _skyhold(self, word: str, *more: str, check: bool = True) -> None:
        command = [sys.executable, "-m", "skyhold", word, "--home", str(self._directory / "cloud"), *more]
        done = subprocess.run(command, env=self._env(), capture_output=True, text=True, check=False)
        if check and done.returncode:
            sys.exit(f"`skyhold {word}` failed:\n{done.stdout}{done.stderr}")

    def _env(self) -> dict[str, str]:
        own = [f"{address}/32" for address in sorted({"127.0.0.1", outward_address()})]
        told = {"SKYHOLD_OUTBOUND_ALLOW": ",".join(own)}
        env = {**os.environ, **COMPLIANCE, **IMAGES, **told, "HOME": str(self._directory / "user")}
        env.pop("SKYHOLD_HOME", None)
        return env


def outward_address() -> str:
    """The address of this machine that the suite's own servers listen on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: a datagram socket only looks up the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
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
