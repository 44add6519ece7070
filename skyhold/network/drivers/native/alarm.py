# SPDX-License-Identifier: Apache-2.0
"""Hears at once when somebody deletes an nftables table of the dataplane namespace.

The check itself is in writer.py and also runs by the clock: the alarm only shortens the time in
which rules are missing from seconds to milliseconds. Our own replacements ring it too, harmlessly.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from skyhold.network.drivers.native import netns

_NETLINK_NETFILTER, _NFTABLES_GROUP = 12, 7
_TABLE_DELETED = 10 << 8 | 2
_HEADER = struct.Struct("=IHHII")
_SETTLE_S = 0.01


class Alarm:
    """Use from the event loop. Without arming it never rings."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self._bell = asyncio.Event()

    def arm(self, namespace: str) -> None:
        self.close()
        fd = netns.open_namespace(namespace)
        try:
            with netns.inside(fd):
                self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        finally:
            os.close(fd)
        self._sock.setblocking(False)
        self._sock.bind((0, 1 << (_NFTABLES_GROUP - 1)))
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._hear)

    async def rang(self) -> None:
        """Return once a table was deleted, shortly after, when whoever did it is done."""
        await self._bell.wait()
        await asyncio.sleep(_SETTLE_S)
        self._bell.clear()

    def close(self) -> None:
        """Disarm; it holds the namespace otherwise."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _hear(self) -> None:
        assert self._sock is not None
        try:
            packet = self._sock.recv(1 << 17)
        except BlockingIOError:
            return
        except OSError:
            # Too many messages to keep: one of them may have been the one.
            self._bell.set()
            return
        if _TABLE_DELETED in _kinds(packet):
            self._bell.set()


def _kinds(packet: bytes) -> set[int]:
    found, offset = set(), 0
    while offset + _HEADER.size <= len(packet):
        size, kind, *_ = _HEADER.unpack_from(packet, offset)
        found.add(kind)
        offset += max((size + 3) & ~3, _HEADER.size)
    return found
