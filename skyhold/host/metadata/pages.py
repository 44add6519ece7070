# SPDX-License-Identifier: Apache-2.0
"""What the metadata service says: one server's tree, request by request, in both dialects.

The tree's content is made in skyhold.compute.drivers.instance_tree; who is asking is settled before, in
server.py, and nothing in the request can change it. Listings are one name per line, as Nova prints them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from skyhold.compute.drivers.base import InstanceMetadata
from skyhold.compute.drivers.instance_tree import (
    EC2_VERSIONS,
    OPENSTACK_VERSIONS,
    PASSWORD_SINCE,
    key_names,
    tree,
)
from skyhold.host.metadata.wire import JSON, TEXT, Page, Request, problem

MAX_PASSWORD_BYTES = 1020
"""Nova keeps four chunks of 255 bytes; tools size their key so that the password fits."""
_FILE_ORDER = (
    "meta_data.json",
    "user_data",
    "password",
    "vendor_data.json",
    "network_data.json",
    "vendor_data2.json",
)


class ServerPages:
    """One server's pages. `on_password` hears the password that the guest posted, once."""

    def __init__(self, metadata: InstanceMetadata, password: str, on_password: Callable[[str], None]) -> None:
        self.metadata, self.password, self._on_password = metadata, password, on_password

    def answer(self, request: Request) -> Page:
        path = _canonical(request.path)
        if _is_password(path):
            return self._password(request)
        if request.method not in ("GET", "HEAD"):
            return problem(405)._replace(more=(("Allow", "GET, HEAD"),))
        return self._find(path)

    def _find(self, path: str) -> Page:
        leaves = tree(self.metadata)
        if path in leaves:
            return Page(200, leaves[path], JSON if path.endswith(".json") else TEXT)
        names = self._names(path, leaves)
        return Page(200, "\n".join(names).encode()) if names else problem(404)

    def _names(self, path: str, leaves: dict[str, bytes]) -> list[str]:
        """A folder's listing; empty for what isn't a folder."""
        if path == "openstack":
            return [*OPENSTACK_VERSIONS, "latest"]
        if path == "ec2":
            return [*EC2_VERSIONS, "latest"]
        below = [leaf.removeprefix(f"{path}/") for leaf in leaves if leaf.startswith(f"{path}/")]
        if path.startswith("openstack/"):
            names = {*below, *(["password"] if _is_password(f"{path}/password") else [])}
            return [name for name in _FILE_ORDER if name in names]
        if path.endswith("/meta-data/public-keys"):
            return [f"{number}={name}" for number, name in key_names(self.metadata).items()]
        return sorted({_entry(name) for name in below})

    def _password(self, request: Request) -> Page:
        if request.method in ("GET", "HEAD"):
            return Page(200, self.password.encode())
        if request.method != "POST":
            return problem(405)._replace(more=(("Allow", "GET, HEAD, POST"),))
        if self.password:
            return problem(409)
        if len(request.body) > MAX_PASSWORD_BYTES:
            return problem(400)
        try:
            password = request.body.decode()
        except UnicodeDecodeError:
            return problem(400)
        if password:
            # Told first: if that fails, the guest may post again.
            self._on_password(password)
        self.password = password
        return Page(200)


def _canonical(path: str) -> str:
    """Without doubled or trailing slashes; EC2's tree is also the root of everything else."""
    clean = posixpath.normpath("/" + path).lstrip("/")
    if clean.partition("/")[0] in ("openstack", "ec2"):
        return clean
    return f"ec2/{clean}".rstrip("/")


def _is_password(path: str) -> bool:
    match path.split("/"):
        case ["openstack", version, "password"]:
            return version == "latest" or (version in OPENSTACK_VERSIONS and version >= PASSWORD_SINCE)
        case _:
            return False


def _entry(name: str) -> str:
    head, slash, _ = name.partition("/")
    return head + slash
