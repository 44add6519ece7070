# SPDX-License-Identifier: Apache-2.0
"""What the engine asks of the metadata service: to answer on sockets that the engine opened.

Serving the requests is the host agent's part; opening the sockets inside the right namespaces is
in services.py. Who is asking is told by the address the anti-spoofing rules guarantee, never by
a header.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol


class MetadataDoor(Protocol):
    """`key` names the door (`router:<id>` or `network:<id>`); opening it anew replaces the old one."""

    async def open(self, key: str, sock: socket.socket, who: Callable[[str], str | None]) -> None:
        """Serve HTTP on `sock`, bound and listening. `who` gives the server_id behind a peer's
        address, or None for a stranger, who must be refused. The door owns the socket."""

    async def close(self, key: str) -> None:
        """Stop serving and close the socket; unknown keys are ignored."""
