# SPDX-License-Identifier: Apache-2.0
"""Answers DHCPv4, DHCPv6 and router solicitations on one link, frame by frame.

What is answered is decided in dhcp4.py, dhcp6.py and ra.py; the engine opens the AF_PACKET socket inside
its namespace. A kernel filter wakes this process only for these three, whatever else crosses the link.
"""

from __future__ import annotations

import asyncio
import ctypes
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from skyhold.network.drivers.native import dhcp4, dhcp6, frames, ra
from skyhold.network.drivers.native.frames import ICMP6, UDP, Datagram
from skyhold.network.drivers.native.link_table import LinkTable

__all__ = ["LinkTable", "Responder", "Stats", "respond"]

_SO_ATTACH_FILTER = 26
_FRAMES_PER_WAKE = 64
_MAX_FRAME_BYTES = 65536
_BURST, _PER_SECOND = 40.0, 20.0


@dataclass
class Stats:
    """Counted since the responder was made."""

    frames: int = 0
    answers: int = 0
    leases: int = 0
    advertisements: int = 0
    limited: int = 0
    dropped: int = 0


class Responder:
    """`sock` is a raw AF_PACKET socket bound to the link; `mac` is the engine's own on that link, which
    also answers ARP and neighbour discovery for each `dhcp_ip`. The responder owns the socket. Make it
    inside a running event loop. `on_lease` hears the id of each port whose guest took its address."""

    def __init__(
        self, sock: socket.socket, mac: str, table: LinkTable, on_lease: Callable[[str], None] | None = None
    ) -> None:
        self.stats = Stats()
        self._sock, self._mac, self._table, self._on_lease = sock, mac.lower(), table, on_lease
        self._budgets: dict[str, tuple[float, float]] = {}
        self._advertised = ra.advertisements(table, self._mac)
        self._initial_left = ra.INITIAL
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_soon(self._advertise)
        sock.setblocking(False)
        attach_filter(sock)
        self._loop.add_reader(sock.fileno(), self._readable)

    def update(self, table: LinkTable) -> None:
        """Answer by `table` from now on. A change in what routers announce is announced at once."""
        self._table = table
        wanted = ra.advertisements(table, self._mac)
        if wanted == self._advertised:
            return
        still = {advertisement.source for advertisement in wanted}
        for gone in self._advertised:
            if gone.source not in still:
                self._announce(ra.withdrawal(gone))
        self._advertised, self._initial_left = wanted, ra.INITIAL
        self._timer.cancel()
        self._timer = self._loop.call_soon(self._advertise)

    def close(self) -> None:
        """Stop answering and close the socket; says nothing to guests, as the link may live on."""
        self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        for _ in range(_FRAMES_PER_WAKE):
            try:
                frame = self._sock.recv(_MAX_FRAME_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # The link went down or away; the engine closes us or brings it back.
                return
            self._take(frame)

    def _take(self, frame: bytes) -> None:
        self.stats.frames += 1
        datagram = frames.parse(frame)
        if datagram is None or not self._within_budget(datagram.source_mac):
            return
        replies, leased = respond(datagram, self._table, self._mac)
        for reply in replies:
            self.stats.answers += 1
            self._send(reply)
        if leased is not None:
            self.stats.leases += 1
            if self._on_lease is not None:
                self._on_lease(leased)

    def _within_budget(self, mac: str) -> bool:
        """A token bucket per known port, so that one guest's flood doesn't starve the others."""
        known = self._table.seats_by_mac
        if mac not in known:
            return False
        if len(self._budgets) > 2 * len(known):
            self._budgets = {one: left for one, left in self._budgets.items() if one in known}
        now = self._loop.time()
        left, since = self._budgets.get(mac, (_BURST, now))
        left = min(_BURST, left + (now - since) * _PER_SECOND)
        self._budgets[mac] = (max(left - 1, 0), now)
        self.stats.limited += left < 1
        return left >= 1

    def _advertise(self) -> None:
        for advertisement in self._advertised:
            self._announce(advertisement)
        self._initial_left = max(self._initial_left - 1, 0)
        wait_s = random.uniform(*ra.INTERVAL_S)  # noqa: S311 - spreads load, guards nothing
        if self._initial_left:
            wait_s = ra.INITIAL_INTERVAL_S
        self._timer = self._loop.call_later(wait_s, self._advertise)

    def _announce(self, advertisement: ra.Advertisement) -> None:
        self.stats.advertisements += 1
        macs = (self._mac, frames.multicast_mac(ra.ALL_NODES))
        self._send(_advertisement_frame(advertisement, macs, ra.ALL_NODES))

    def _send(self, frame: bytes) -> None:
        try:
            self._sock.send(frame)
        except OSError:
            # A full queue or a link that is down: guests ask again, so nothing is queued here.
            self.stats.dropped += 1


def respond(datagram: Datagram, table: LinkTable, mac: str) -> tuple[list[bytes], str | None]:
    """The frames that answer one datagram, and the id of the port that took its address, if one did."""
    if datagram.protocol == ICMP6:
        return _to_solicitation(datagram, table, mac), None
    if datagram.protocol == UDP and datagram.destination_port == 67:
        return _to_dhcp4(datagram, table, mac)
    if datagram.protocol == UDP and datagram.destination_port == dhcp6.SERVER_PORT:
        return _to_dhcp6(datagram, table, mac)
    return [], None


def attach_filter(sock: socket.socket) -> None:
    """Let the kernel drop every frame that none of our three protocols could have sent."""
    program = b"".join(struct.pack("=HBBI", *step) for step in _FILTER)
    memory = ctypes.create_string_buffer(program)
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_FILTER), ctypes.addressof(memory))
    )


def _to_dhcp4(datagram: Datagram, table: LinkTable, mac: str) -> tuple[list[bytes], str | None]:
    reply = dhcp4.answer(datagram.payload, table, datagram.source_mac)
    if reply is None:
        return [], None
    macs, ips = (mac, reply.destination_mac), (reply.source, reply.destination)
    return [frames.udp4(macs, ips, (67, 68), reply.payload)], reply.port_id if reply.bound else None


def _to_dhcp6(datagram: Datagram, table: LinkTable, mac: str) -> tuple[list[bytes], str | None]:
    reply = dhcp6.answer(datagram.payload, table, datagram.source_mac, mac)
    if reply is None or not datagram.source.startswith("fe80:"):
        return [], None
    macs, ips = (mac, datagram.source_mac), (frames.link_local(mac), datagram.source)
    ports = (dhcp6.SERVER_PORT, dhcp6.CLIENT_PORT)
    return [frames.udp6(macs, ips, ports, reply.payload)], reply.port_id if reply.bound else None


def _to_solicitation(datagram: Datagram, table: LinkTable, mac: str) -> list[bytes]:
    if not ra.is_solicitation(datagram.payload):
        return []
    # One that has no address yet is reached by its MAC all the same (RFC 6085).
    asker = datagram.source if datagram.source.startswith("fe80:") else ra.ALL_NODES
    offers = ra.advertisements(table, mac)
    return [_advertisement_frame(offer, (mac, datagram.source_mac), asker) for offer in offers]


def _advertisement_frame(advertisement: ra.Advertisement, macs: tuple[str, str], ip: str) -> bytes:
    # The frame is from our own MAC. From the router's, the bridge would learn that the router is here and
    # send us its traffic; guests take the router's MAC from the option inside.
    return frames.icmp6(macs, (advertisement.source, ip), advertisement.message)


_LDH, _LDB, _LDX_IP, _LDH_X, _JEQ, _JSET, _RET = 0x28, 0x30, 0xB1, 0x48, 0x15, 0x45, 0x06
_FILTER = [
    (_LDH, 0, 0, 12),  # EtherType
    (_JEQ, 0, 7, 0x0800),
    (_LDB, 0, 0, 23),  # IPv4 protocol
    (_JEQ, 0, 14, UDP),
    (_LDH, 0, 0, 20),
    (_JSET, 12, 0, 0x1FFF),  # later fragments have no UDP header
    (_LDX_IP, 0, 0, 14),
    (_LDH_X, 0, 0, 16),  # destination port
    (_JEQ, 8, 9, 67),
    (_JEQ, 0, 8, 0x86DD),
    (_LDB, 0, 0, 20),  # IPv6 next header
    (_JEQ, 0, 2, UDP),
    (_LDH, 0, 0, 56),
    (_JEQ, 3, 4, dhcp6.SERVER_PORT),
    (_JEQ, 0, 3, ICMP6),
    (_LDB, 0, 0, 54),
    (_JEQ, 0, 1, ra.ROUTER_SOLICITATION),
    (_RET, 0, 0, _MAX_FRAME_BYTES),
    (_RET, 0, 0, 0),
]
"""Classic BPF as (operation, skip if true, skip if false, operand)."""
