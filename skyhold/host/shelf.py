# SPDX-License-Identifier: Apache-2.0
"""What the metadata service says about each guest, and the password a guest posted, kept across restarts of the agent.

Serving it is skyhold/host/metadata/. Files are 0600, one a guest and one a password: user data may hold secrets.
"""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from skyhold.compute.drivers.base import InstanceMetadata

log = structlog.get_logger("host")


POSTED = ".posted"
FRESH = ".new"


class Server(Protocol):
    def set(self, server_id: str, metadata: InstanceMetadata, password: str | None = None) -> None: ...
    def forget(self, server_id: str) -> None: ...


class MetadataShelf:
    def __init__(self, directory: Path, server: Server) -> None:
        self._directory = directory
        self._server = server
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in directory.glob("*.msgpack"):
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            metadata = msgspec.msgpack.decode(path.read_bytes(), type=InstanceMetadata)
            self._server.set(path.stem, metadata, self._password(path))
        except msgspec.MsgspecError:
            # Torn by a power cut: the control plane tells it again when it hears of us.
            log.warning("metadata of a guest is unreadable until it is told again", server=path.stem)

    def _password(self, path: Path) -> str:
        try:
            return path.with_suffix(POSTED).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def keep_password(self, server_id: str, text: str) -> None:
        """A guest posted it, which it can do once: it is encrypted with its user's key."""
        write_private(self._path(server_id).with_suffix(POSTED), text.encode())

    def holds(self, server_id: str) -> bool:
        return self._path(server_id).exists()

    def put(self, metadata: InstanceMetadata) -> None:
        path = self._path(metadata.server_id)
        write_private(path, msgspec.msgpack.encode(metadata))
        self._server.set(metadata.server_id, metadata)

    def drop(self, server_id: str) -> None:
        self._path(server_id).unlink(missing_ok=True)
        self._path(server_id).with_suffix(POSTED).unlink(missing_ok=True)
        self._server.forget(server_id)

    def keep_only(self, server_ids: Set[str]) -> None:
        """Forget what was told of guests that were not made any more when an agent was killed, or was half-written."""
        for path in self._directory.glob(f"*{FRESH}"):
            path.unlink(missing_ok=True)
        for path in [*self._directory.glob("*.msgpack"), *self._directory.glob(f"*{POSTED}")]:
            if path.stem not in server_ids:
                self.drop(path.stem)

    def _path(self, server_id: str) -> Path:
        if "/" in server_id or server_id.startswith("."):
            raise ValueError("not the id of a server")
        return self._directory / f"{server_id}.msgpack"


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(path.name + FRESH)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    temporary.rename(path)
