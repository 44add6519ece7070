# SPDX-License-Identifier: Apache-2.0
"""All settings of one cloud, and where its state lives on disk.

The settings themselves are sections.py's, and where values come from is load.py's. A part of the program is handed a
`Settings` and reads it there: never the environment.
"""

from __future__ import annotations

import os
import secrets
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from skyhold.core.settings.sections import (
    Compute,
    Database,
    Host,
    Http,
    Identity,
    Image,
    Journal,
    Keys,
    Log,
    Network,
    Object,
    Outbound,
    SecurityCompliance,
    Volume,
)

SQLITE = "sqlite:///"


class SettingsError(Exception):
    """A setting that can't be used; the text names it, where it was found, and what would do."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, and the paths that follow from `home`.

    `load` makes one; a test may make one directly: `Settings(home=tmp_path)`.
    """

    home: Path
    region: Annotated[str, Meta(min_length=1, max_length=255, description="Name of this region.")] = (
        "RegionOne"
    )
    http: Http = field(default_factory=Http)
    database: Database = field(default_factory=Database)
    host: Host = field(default_factory=Host)
    identity: Identity = field(default_factory=Identity)
    keys: Keys = field(default_factory=Keys)
    security_compliance: SecurityCompliance = field(default_factory=SecurityCompliance)
    image: Image = field(default_factory=Image)
    object: Object = field(default_factory=Object)
    network: Network = field(default_factory=Network)
    volume: Volume = field(default_factory=Volume)
    compute: Compute = field(default_factory=Compute)
    log: Log = field(default_factory=Log)
    journal: Journal = field(default_factory=Journal)
    outbound: Outbound = field(default_factory=Outbound)

    @property
    def public_url(self) -> str:
        """Where clients reach the API, without a slash at the end."""
        scheme = "http" if self.http.tls == "off" else "https"
        return self.http.public_url.rstrip("/") or f"{scheme}://{_reachable(self.http.host)}:{self.http.port}"

    @property
    def database_url(self) -> str:
        return self.database.url or f"{SQLITE}{self.home / 'skyhold.db'}"

    @property
    def bus_socket(self) -> Path:
        return self.run_dir / "bus.sock"

    @property
    def run_dir(self) -> Path:
        """Sockets and process ids: nothing that must survive a start."""
        return self.home / "run"

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def images_dir(self) -> Path:
        return Path(self.image.store_dir) if self.image.store_dir else self.home / "images"

    @property
    def objects_dir(self) -> Path:
        return Path(self.object.store_dir) if self.object.store_dir else self.home / "objects"

    @property
    def image_staging_dir(self) -> Path:
        """Content that waits for its import; on the disk of the images, so that it can become one without a copy."""
        return self.images_dir / ".staging"

    @property
    def image_workshop_dir(self) -> Path:
        """Where tools that convert images see them, and nothing else."""
        return self.images_dir / ".workshop"

    @property
    def image_cache_dir(self) -> Path:
        """Copies of images whose stores are slow."""
        return Path(self.image.cache_dir) if self.image.cache_dir else self.home / "image-cache"

    @property
    def keys_dir(self) -> Path:
        """The master key and what it seals."""
        return self.home / "keys"

    @property
    def tls_dir(self) -> Path:
        return self.keys_dir / "tls"

    @property
    def tls_authority(self) -> Path:
        """What clients of a cloud with `http.tls = "auto"` trust."""
        return self.tls_dir / "ca.crt"

    @property
    def fernet_keys_dir(self) -> Path:
        chosen = self.identity.fernet_keys_dir
        return Path(chosen) if chosen else self.keys_dir / "fernet"

    @property
    def receipt_keys_dir(self) -> Path:
        return self.keys_dir / "receipts"

    @property
    def guests_dir(self) -> Path:
        """Disks, sockets and logs of guests, one directory each."""
        return self.home / "guests"

    @property
    def hosts_dir(self) -> Path:
        """What each host agent of this machine keeps for itself."""
        return self.home / "hosts"

    @property
    def cloud_id(self) -> str:
        """32 hex digits that name this cloud, made at the first look and never changed."""
        return _kept(self.home / "cloud-id", lambda: uuid.uuid4().hex)

    @property
    def host_name(self) -> str:
        return self.host.name or socket.gethostname()

    @property
    def host_uuid(self) -> str:
        """This host's identity, made at the first look and never changed."""
        return self.host.uuid or _kept(self.home / "host-id", lambda: str(uuid.uuid4()))

    def prepare(self) -> None:
        """Make the state directories, closed to everybody else."""
        places = (self.home, self.run_dir, self.log_dir, self.images_dir, self.keys_dir)
        for path in (*places, self.fernet_keys_dir, self.guests_dir, self.hosts_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prepare_database(self) -> None:
        """Make its file, where it is one, for this user alone: left to itself SQLite would let everybody read it, and
        what it makes beside the file has the file's mode."""
        if self.database_url.startswith(SQLITE):
            path = Path(self.database_url.removeprefix(SQLITE))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)


def _reachable(host: str) -> str:
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104
    if host in wildcard:
        return wildcard[host]
    return f"[{host}]" if ":" in host else host


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The line in `path`; made once, by whoever comes first, readable by the owner alone."""
    try:
        if kept := path.read_text().strip():
            return kept
        # Torn by a power cut: nothing is left of it.
        path.unlink()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(make() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # A link, unlike a rename, never replaces what another process put there meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
