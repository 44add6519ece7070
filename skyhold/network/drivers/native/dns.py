# SPDX-License-Identifier: Apache-2.0
"""The name server guests are told: the network's own names from the table, the rest from resolvers.

The messages' form is in dns_message.py and DHCP, which tells guests of it, in dhcp4.py and dhcp6.py.
UDP only, nothing is cached, and what is under way at once is bounded, so that a flood costs little.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections import Counter, defaultdict
from dataclasses import dataclass

from skyhold.network.drivers.base import Subnet
from skyhold.network.drivers.native import dns_message as dns
from skyhold.network.drivers.native.link_table import LinkTable, hostname, is_ip

_DATAGRAMS_PER_WAKE = 64
_MAX_BYTES = 4096
_IN_FLIGHT, _IN_FLIGHT_PER_PEER = 128, 32
_TRY_S, _TOTAL_S = 2.0, 5.0
_RESOLVER_PORT = 53

Peer = tuple[str, int] | tuple[str, int, int, int]


@dataclass
class Stats:
    """Counted since the forwarder was made."""

    queries: int = 0
    own: int = 0
    forwarded: int = 0
    refused: int = 0
    limited: int = 0
    unanswered: int = 0


class DnsForwarder:
    """`sock` is a UDP socket bound to a `dhcp_ip`; the forwarder owns it. Resolvers are asked from where
    this process runs, not from the guests' namespace. Make it inside a running event loop."""

    def __init__(self, sock: socket.socket, table: LinkTable, *, resolver_port: int = _RESOLVER_PORT) -> None:
        self.stats = Stats()
        self._sock, self._resolver_port = sock, resolver_port
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_peer: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._table = table
        self._made: Names | None = None
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)

    def update(self, table: LinkTable) -> None:
        """Answer by `table` from now on."""
        # A table changes with every port of the network, mostly unread: its names are made when asked.
        self._table, self._made = table, None

    def close(self) -> None:
        """Stop answering, drop what is under way and close the socket."""
        for task in self._tasks:
            task.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    @property
    def _names(self) -> Names:
        if self._made is None:
            self._made = Names(self._table)
        return self._made

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_PER_WAKE):
            try:
                query, peer = self._sock.recvfrom(_MAX_BYTES)
            except OSError:
                # Nothing more, or word that an earlier reply found nobody: either way, wait for the next.
                return
            self._take(query, peer)

    def _take(self, query: bytes, peer: Peer) -> None:
        self.stats.queries += 1
        if not dns.is_query(query) or not self._names.is_ours(peer[0]):
            return
        try:
            question = dns.question(query)
        except dns.Unusable as unusable:
            self.stats.refused += 1
            self._reply(dns.failure(query, unusable.code), peer)
            return
        own = self._names.answer(question)
        if own is None:
            self._forward(query, question, peer)
            return
        self.stats.own += 1
        self._reply(dns.response(query, question, own), peer)

    def _forward(self, query: bytes, question: dns.Question, peer: Peer) -> None:
        if len(self._tasks) >= _IN_FLIGHT or self._per_peer[peer[0]] >= _IN_FLIGHT_PER_PEER:
            self.stats.limited += 1
            self._reply(dns.failure(query, dns.SERVFAIL), peer)
            return
        self._per_peer[peer[0]] += 1
        task = self._loop.create_task(self._resolve(query, question, peer))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, peer[0]))

    def _done(self, task: asyncio.Task[None], peer: str) -> None:
        self._tasks.discard(task)
        self._per_peer[peer] -= 1
        if not self._per_peer[peer]:
            del self._per_peer[peer]

    async def _resolve(self, query: bytes, question: dns.Question, peer: Peer) -> None:
        self.stats.forwarded += 1
        found = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOTAL_S):
                found = await self._ask_each(query, question, self._names.resolvers(peer[0]))
        if found is None:
            self.stats.unanswered += 1
            found = dns.failure(query, dns.SERVFAIL)
        self._reply(found, peer)

    async def _ask_each(self, query: bytes, question: dns.Question, resolvers: list[str]) -> bytes | None:
        for resolver in resolvers:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_TRY_S):
                    return await self._ask(query, question, resolver)
        return None

    async def _ask(self, query: bytes, question: dns.Question, resolver: str) -> bytes:
        """One resolver's answer. A fresh socket each time: its random port, with the random id, is what
        makes forging an answer hard."""
        family = socket.AF_INET if is_ip(resolver, 4) else socket.AF_INET6
        token = secrets.token_bytes(2)
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((resolver, self._resolver_port))
            await self._loop.sock_sendall(sock, token + query[2:])
            while True:
                answer = await self._loop.sock_recv(sock, _MAX_BYTES)
                if answer[:2] == token and dns.answers(answer, question):
                    return query[:2] + answer[2:]

    def _reply(self, content: bytes, peer: Peer) -> None:
        with contextlib.suppress(OSError):
            self._sock.sendto(content, peer)


class Names:
    """What the forwarder knows by itself, made once per table: forward and reverse names of the ports."""

    def __init__(self, table: LinkTable) -> None:
        self._table = table
        self._networks = [
            (ipaddress.ip_network(subnet.cidr, strict=False), subnet) for subnet in table.subnets
        ]
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_ip: dict[str, str] = {}
        for seats in table.seats_by_mac.values():
            for seat in seats:
                self._add(hostname(seat).lower().strip("."), str(ipaddress.ip_address(seat.ip)))

    def answer(self, question: dns.Question) -> dns.Records | None:
        """Records, or the word that there are none; None when it is for the resolvers to say."""
        ip = dns.reversed_ip(question.name)
        if ip is not None:
            return self._reverse(question, ip)
        if question.name in self._by_name:
            return dns.addresses(question.kind, self._by_name[question.name])
        # Bare names and our invented domain mean something here only; asking the world would leak them.
        local = "." not in question.name and question.name != ""
        made_up = not self._table.network.dns_domain and question.name.endswith(f".{self._table.domain}")
        return dns.NO_SUCH_NAME if local or made_up else None

    def is_ours(self, peer: str) -> bool:
        return self._subnet_of(peer) is not None

    def resolvers(self, peer: str) -> list[str]:
        """The subnet's own name servers, else the machine's. Of the subnet's only those on the Internet:
        a user may not aim this process at the machine's own networks."""
        found = self._subnet_of(peer)
        own = [server for server in found.dns if _is_global(server)] if found else []
        return own or [server for server in self._table.resolvers if is_ip(server)]

    def _add(self, name: str, ip: str) -> None:
        full = f"{name}.{self._table.domain}"
        self._by_name[name].append(ip)
        self._by_name[full].append(ip)
        self._by_ip[ip] = full

    def _reverse(self, question: dns.Question, ip: str) -> dns.Records | None:
        if ip in self._by_ip:
            return dns.pointer(question.kind, self._by_ip[ip])
        return dns.NO_SUCH_NAME if self.is_ours(ip) else None

    def _subnet_of(self, ip: str) -> Subnet | None:
        address = ipaddress.ip_address(ip.partition("%")[0])
        return next((subnet for net, subnet in self._networks if address in net), None)


def _is_global(server: str) -> bool:
    return is_ip(server) and ipaddress.ip_address(server).is_global
