# SPDX-License-Identifier: Apache-2.0
"""The network's name server, over real UDP sockets with a resolver played by the test.

The loopback network stands for a tenant's: every peer on 127.0.0.0/8 is a guest. Queries are written out
by hand, so the parser is never tested against its own idea of a query.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers.base import FixedIp, Network, Port, Subnet
from skyhold.network.drivers.native import dns_message
from skyhold.network.drivers.native.dns import DnsForwarder, Names
from skyhold.network.drivers.native.link_table import LinkTable
from tests.kit.patience import PATIENCE_S

A, PTR, AAAA, TXT = 1, 12, 28, 16


def _table(
    *, domain: str = "example.org.", dns: list[str] | None = None, cidr: str = "127.0.0.0/8"
) -> LinkTable:
    common = {"revision": 1, "network_id": "n", "dhcp": True}
    subnets = [
        Subnet(
            id="s4", cidr=cidr, ip_version=4, gateway_ip=None, dhcp_ip="127.0.0.2", dns=dns or [], **common
        ),
        Subnet(id="s6", cidr="fd77::/64", ip_version=6, gateway_ip=None, **common),
    ]
    fixed = [FixedIp(subnet_id="s4", ip="127.0.0.5"), FixedIp(subnet_id="s6", ip="fd77::5")]
    ports = [
        Port(id="a", revision=1, network_id="n", mac="fa:16:3e:00:00:05", fixed_ips=fixed, hostname="Web"),
        Port(id="b", revision=1, network_id="n", mac="fa:16:3e:00:00:06",
             fixed_ips=[FixedIp(subnet_id="s4", ip="127.0.0.6")]),
    ]  # fmt: skip
    network = Network(id="n", revision=1, segment=7, mtu=1450, dns_domain=domain)
    return LinkTable(network, subnets, ports, ["127.0.0.1"], {})


def _query(name: str, kind: int = A, token: bytes = b"\x12\x34") -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return token + bytes.fromhex("0100 0001 0000 0000 0000") + labels + b"\0" + struct.pack("!HH", kind, 1)


def _read(message: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """(rcode, records) of a response to a single question whose answers use compression."""
    flags, questions, count = struct.unpack_from("!HHH", message, 2)
    assert flags & 0x8000
    at, records = 12, []
    for _ in range(questions):
        while message[at]:
            at += message[at] + 1
        at += 5
    for _ in range(count):
        pointer, kind, _, _, length = struct.unpack_from("!HHHIH", message, at)
        assert pointer == 0xC00C
        records.append((kind, message[at + 12 : at + 12 + length]))
        at += 12 + length
    return flags & 0xF, records


class Lab:
    """A forwarder, and the resolver it asks: `replies` is what the resolver says to each question."""

    def __init__(self, table: LinkTable, *, resolves: bool = True) -> None:
        self.resolver, self.server = self._udp(), self._udp()
        self.asked: list[bytes] = []
        self.resolves = resolves
        self.forge: list[bytes] = []
        asyncio.get_running_loop().add_reader(self.resolver, self._resolve)
        port = self.resolver.getsockname()[1]
        self.forwarder = DnsForwarder(self.server, table, resolver_port=port)
        self.address = self.server.getsockname()

    @staticmethod
    def _udp() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        return sock

    def _resolve(self) -> None:
        query, peer = self.resolver.recvfrom(4096)
        self.asked.append(query)
        for forged in self.forge:
            self.resolver.sendto(forged, peer)
        if self.resolves:
            answer = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:]
            record = struct.pack("!HHHIH", 0xC00C, A, 1, 60, 4) + bytes([192, 0, 2, 1])
            self.resolver.sendto(answer + record, peer)

    async def ask(self, query: bytes, wait_s: float = 3.0) -> bytes:
        loop = asyncio.get_running_loop()
        with self._udp() as sock:
            sock.connect(self.address)
            await loop.sock_sendall(sock, query)
            return await asyncio.wait_for(loop.sock_recv(sock, 4096), wait_s)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.resolver)
        self.resolver.close()
        self.forwarder.close()


@pytest.fixture
async def lab():
    lab = Lab(_table())
    yield lab
    lab.close()


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.example.org", A, [(A, bytes([127, 0, 0, 5]))]),
        ("WEB.Example.ORG.", A, [(A, bytes([127, 0, 0, 5]))]),
        ("web", A, [(A, bytes([127, 0, 0, 5]))]),
        ("web.example.org", AAAA, [(AAAA, socket.inet_pton(socket.AF_INET6, "fd77::5"))]),
        ("web.example.org", TXT, []),
        ("host-127-0-0-6.example.org", A, [(A, bytes([127, 0, 0, 6]))]),
        ("5.0.0.127.in-addr.arpa", PTR, [(PTR, b"\x03web\x07example\x03org\0")]),
        ("5.0.0.0." + "0." * 24 + "7.7.d.f.ip6.arpa", PTR, [(PTR, b"\x03web\x07example\x03org\0")]),
    ],
)
async def test_own_names_are_answered_without_asking_anyone(lab, name, kind, expected):
    reply = await lab.ask(_query(name, kind))
    assert reply[:2] == b"\x12\x34"
    assert _read(reply) == (0, expected)
    assert lab.asked == []


async def test_other_names_are_asked_of_the_resolver_under_a_fresh_id(lab):
    reply = await lab.ask(_query("www.example.com"))
    assert reply[:2] == b"\x12\x34"
    assert _read(reply) == (0, [(A, bytes([192, 0, 2, 1]))])
    await lab.ask(_query("www.example.com"))
    await lab.ask(_query("www.example.com"))
    assert len({query[:2] for query in lab.asked}) > 1
    assert all(query[2:] == _query("www.example.com")[2:] for query in lab.asked)


async def test_names_of_a_real_domain_may_be_elsewhere(lab):
    assert _read(await lab.ask(_query("unknown.example.org")))[0] == 0
    assert len(lab.asked) == 1


async def test_what_means_something_only_here_never_leaves():
    lab = Lab(_table(domain=""))
    for name in ("unknown", "unknown.openstacklocal"):
        assert _read(await lab.ask(_query(name)))[0] == 3
    assert _read(await lab.ask(_query("9.0.0.127.in-addr.arpa", PTR)))[0] == 3
    assert _read(await lab.ask(_query("web.openstacklocal")))[1] == [(A, bytes([127, 0, 0, 5]))]
    assert lab.asked == []
    lab.close()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"\x12\x34\x01\0" + bytes(8), 5),
        (_query("a.example.com")[:-3], 5),
        (_query("a.example.com")[:12] + b"\xc0\x0c\0\1\0\1", 5),
        (_query("a.example.com")[:12] + b"\x7f" + b"a" * 127 + b"\0\0\1\0\1", 5),
        (_query("a.example.com")[:-1] + b"\x03", 5),
        (b"\x12\x34\x28\0" + _query("a.example.com")[4:], 4),
    ],
)
async def test_malformed_queries_are_refused(lab, query, code):
    reply = await lab.ask(query)
    assert reply[:2] == b"\x12\x34"
    assert _read(reply) == (code, [])
    assert lab.asked == []


async def test_responses_scraps_and_strangers_get_silence(lab):
    for noise in (b"", b"\x12", b"\x12\x34\x81\x80" + bytes(8)):
        with pytest.raises(TimeoutError):
            await lab.ask(noise, 0.1)
    lab.forwarder.update(_table(cidr="10.0.0.0/8"))
    with pytest.raises(TimeoutError):
        await lab.ask(_query("web"), 0.1)


async def test_forged_answers_are_not_believed(lab):
    other = _query("evil.example.com")
    lab.forge = [b"\0\0" + b"\x81\x80" + other[4:], b"", b"x" * 50]
    assert _read(await lab.ask(_query("www.example.com")))[1] == [(A, bytes([192, 0, 2, 1]))]


async def test_a_right_id_with_another_question_is_not_believed(lab, monkeypatch):
    monkeypatch.setattr("skyhold.network.drivers.native.dns._TRY_S", 0.3)
    lab.resolves = False
    evil = _query("evil.example.com")

    def forge() -> None:
        query, peer = lab.resolver.recvfrom(4096)
        lab.resolver.sendto(query[:2] + b"\x81\x80" + evil[4:], peer)

    asyncio.get_running_loop().remove_reader(lab.resolver)
    asyncio.get_running_loop().add_reader(lab.resolver, forge)
    assert _read(await lab.ask(_query("www.example.com"), 6))[0] == 2


async def test_a_silent_resolver_is_given_up_on(lab, monkeypatch):
    monkeypatch.setattr("skyhold.network.drivers.native.dns._TRY_S", 0.2)
    lab.resolves = False
    assert _read(await lab.ask(_query("www.example.com")))[0] == 2
    assert lab.forwarder.stats.unanswered == 1
    assert not lab.forwarder._per_peer


async def test_what_is_under_way_is_bounded_per_guest(lab):
    lab.resolves = False
    loop = asyncio.get_running_loop()
    with Lab._udp() as sock:
        sock.connect(lab.address)
        for _ in range(40):
            await loop.sock_sendall(sock, _query("www.example.com"))
        refused = [_read(await asyncio.wait_for(loop.sock_recv(sock, 4096), PATIENCE_S))[0] for _ in range(8)]
    assert refused == [2] * 8
    assert lab.forwarder.stats.limited == 8


def test_resolvers_of_a_subnet_win_unless_they_point_inside():
    assert Names(_table(dns=["9.9.9.9"])).resolvers("127.0.0.5") == ["9.9.9.9"]
    inside = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "0.0.0.0"]
    for server in inside:
        assert Names(_table(dns=[server])).resolvers("127.0.0.5") == ["127.0.0.1"]


@given(st.binary(min_size=12, max_size=200))
def test_no_bytes_whatever_are_more_than_unusable(noise):
    query = noise[:2] + bytes([noise[2] & 0x7F]) + noise[3:]
    assert dns_message.is_query(query)
    refusal, question = None, None
    try:
        question = dns_message.question(query)
    except dns_message.Unusable as unusable:
        refusal = unusable.code
    if question is None:
        assert _read(dns_message.failure(query, refusal))[0] in (4, 5)
        return
    own = Names(_table()).answer(question)
    if own is not None:
        assert dns_message.response(query, question, own)[12:].startswith(question.raw)


@given(st.ip_addresses())
def test_reverse_names_read_back(ip):
    assert dns_message.reversed_ip(ip.reverse_pointer) == str(ip)
