# SPDX-License-Identifier: Apache-2.0
"""Decisions of the DHCPv6 responder, on bytes.

Frames are tested in test_dhcp_link.py. Messages are built here by hand from RFC 8415, not by the code
under test.
"""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers.base import FixedIp, Network, Port, Subnet
from skyhold.network.drivers.native import dhcp6
from skyhold.network.drivers.native.link_table import LinkTable

MAC, OUR_MAC = "fa:16:3e:00:00:05", "fa:16:3e:00:00:02"
CLIENT = bytes.fromhex("00030001fa163e000005")
SERVER = bytes.fromhex("00030001fa163e000002")
IAID = b"\x00\x00\x00\x2a"


def _table(
    mode: str = "dhcpv6-stateful", *, wishes: dict[str, str] | None = None, ips=("fd77::5",), **changes
):
    words = {
        "id": "s",
        "revision": 1,
        "network_id": "n",
        "cidr": "fd77::/64",
        "ip_version": 6,
        "gateway_ip": "fd77::1",
        "dhcp": True,
        "dhcp_ip": "fd77::2",
        "ra_mode": mode,
        "address_mode": mode,
    }
    fixed = [FixedIp(subnet_id="s", ip=ip) for ip in ips]
    port = Port(id="p", revision=1, network_id="n", mac=MAC, fixed_ips=fixed, dhcp_options=wishes or {})
    network = Network(id="n", revision=1, segment=7, mtu=1450, dns_domain="x.y")
    return LinkTable(network, [Subnet(**(words | changes))], [port])


def _option(code: int, value: bytes = b"") -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def _ia(*ips: str, iaid: bytes = IAID) -> bytes:
    inner = b"".join(_option(5, ipaddress.IPv6Address(ip).packed + bytes(8)) for ip in ips)
    return _option(3, iaid + bytes(8) + inner)


def _message(kind: int, *options: bytes, client: bytes | None = CLIENT, server: bool = False) -> bytes:
    named = (_option(1, client) if client is not None else b"") + (_option(2, SERVER) if server else b"")
    return bytes([kind]) + b"\xaa\xbb\xcc" + named + b"".join(options)


def _read(field: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(field):
        code, length = struct.unpack_from("!HH", field, at)
        found.append((code, field[at + 4 : at + 4 + length]))
        at += 4 + length
    assert at == len(field)
    return found


def _ask(message: bytes, table: LinkTable | None = None) -> tuple[dhcp6.Reply, dict[int, bytes]]:
    reply = dhcp6.answer(message, table or _table(), MAC, OUR_MAC)
    assert reply is not None
    assert reply.payload[1:4] == b"\xaa\xbb\xcc"
    return reply, dict(_read(reply.payload[4:]))


def _leases(identity: bytes) -> list[tuple[str, int, int]]:
    return [
        (str(ipaddress.IPv6Address(value[:16])), *struct.unpack("!II", value[16:24]))
        for code, value in _read(identity[12:])
        if code == 5
    ]


def test_a_solicitation_is_advertised_byte_for_byte():
    reply, _ = _ask(_message(1, _ia()))
    expected = (
        "02aabbcc"
        "0002000a 00030001fa163e000002"
        "0001000a 00030001fa163e000005"
        "00030028 0000002a 0000a8c0 00010e00"
        "00050018 fd770000000000000000000000000005 00015180 00015180"
        "00170010 fd770000000000000000000000000002"
        "00180005 0178017900"
    )
    assert reply.payload == bytes.fromhex(expected)
    assert not reply.bound


def test_rapid_commit_binds_at_once():
    reply, said = _ask(_message(1, _ia(), _option(14)))
    assert (reply.payload[0], said[14], reply.bound) == (7, b"", True)


@pytest.mark.parametrize(("kind", "server"), [(3, True), (5, True), (6, False)])
def test_request_renew_and_rebind_bind_the_ports_addresses(kind, server):
    reply, said = _ask(_message(kind, _ia("fd77::5"), server=server), _table(ips=("fd77::5", "fd77::6")))
    assert (reply.payload[0], reply.bound, reply.port_id) == (7, True, "p")
    assert _leases(said[3]) == [("fd77::5", 86400, 86400), ("fd77::6", 86400, 86400)]


def test_an_address_that_is_not_its_own_is_taken_back():
    _, said = _ask(_message(5, _ia("fd77::bad"), server=True))
    assert _leases(said[3]) == [("fd77::5", 86400, 86400), ("fd77::bad", 0, 0)]


def test_confirm_says_whether_it_may_keep_what_it_has():
    assert _ask(_message(4, _ia("fd77::5")))[1][13] == b"\0\0"
    assert _ask(_message(4, _ia("fd77::9")))[1][13] == b"\0\4"
    assert dhcp6.answer(_message(4, _ia()), _table(), MAC, OUR_MAC) is None


@pytest.mark.parametrize("kind", [8, 9])
def test_release_and_decline_are_heard(kind):
    reply, said = _ask(_message(kind, _ia("fd77::5"), server=True))
    assert (said[13], reply.bound) == (b"\0\0", False)


def test_stateless_gives_options_and_no_address():
    stateless = _table("dhcpv6-stateless")
    _, said = _ask(_message(11, client=None), stateless)
    assert said[23] == ipaddress.IPv6Address("fd77::2").packed
    assert said[24] == b"\x01x\x01y\x00"
    assert 1 not in said
    _, said = _ask(_message(1, _ia()), stateless)
    assert _read(said[3][12:]) == [(13, b"\0\2")]
    assert dhcp6.answer(_message(6, _ia()), stateless, MAC, OUR_MAC) is None


def test_temporary_addresses_and_prefixes_are_declined_in_so_many_words():
    _, said = _ask(_message(1, _ia(), _option(4, IAID), _option(25, IAID + bytes(8))))
    assert _read(said[4][4:]) == [(13, b"\0\2")]
    assert _read(said[25][12:]) == [(13, b"\0\6")]


@pytest.mark.parametrize(
    "message",
    [
        _message(3, _ia()),
        _message(1, _ia(), server=True),
        _message(1, _ia(), client=None),
        _message(1, _ia(), client=b"x" * 131),
        _message(12, _ia()),
        _message(1, _ia())[:-1],
        b"\x01",
        b"",
    ],
)
def test_messages_that_must_be_discarded(message):
    assert dhcp6.answer(message, _table(), MAC, OUR_MAC) is None


def test_another_servers_name_is_left_alone():
    other = bytes([3]) + b"\xaa\xbb\xcc" + _option(1, CLIENT) + _option(2, b"\0\3\0\1other!") + _ia()
    assert dhcp6.answer(other, _table(), MAC, OUR_MAC) is None


def test_strangers_and_slaac_subnets_hear_nothing():
    assert dhcp6.answer(_message(1, _ia()), _table(), "fa:16:3e:00:00:09", OUR_MAC) is None
    assert dhcp6.answer(_message(11), _table("slaac"), MAC, OUR_MAC) is None
    assert dhcp6.answer(_message(11), _table(dhcp=False), MAC, OUR_MAC) is None


def test_wishes_for_ipv6():
    wishes = {
        "option6:bootfile-url": "http://[fd77::2]/x.efi",
        "option6:23": "[fd00::1],fd00::2",
        "mtu": "9000",
    }
    _, said = _ask(_message(11), _table(wishes=wishes))
    assert said[59] == b"http://[fd77::2]/x.efi"
    assert said[23] == ipaddress.IPv6Address("fd00::1").packed + ipaddress.IPv6Address("fd00::2").packed
    _, said = _ask(_message(11), _table(wishes={"option6:dns-server": "nonsense"}))
    assert said[23] == ipaddress.IPv6Address("fd77::2").packed


@given(st.binary(max_size=300))
def test_no_bytes_whatever_make_it_raise(noise):
    dhcp6.answer(noise, _table(), MAC, OUR_MAC)


@given(st.integers(0, 255), st.binary(max_size=80), st.booleans())
def test_no_associations_whatever_make_it_raise(kind, noise, server):
    for code in (3, 4, 25):
        dhcp6.answer(_message(kind, _option(code, noise), server=server), _table(), MAC, OUR_MAC)
