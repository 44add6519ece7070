# SPDX-License-Identifier: Apache-2.0
"""Router advertisements, byte by byte and mode by mode.

That a kernel believes them is shown in test_dhcp_link.py; the addresses of stateful subnets come from
DHCPv6 and are tested in test_dhcp6.py.
"""

from __future__ import annotations

import socket
import struct

import pytest

from skyhold.network.drivers.base import Network, Subnet
from skyhold.network.drivers.native import ra
from skyhold.network.drivers.native.link_table import LinkTable

ROUTER_MAC, OUR_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"


def _subnet(mode: str | None, **changes) -> Subnet:
    words = {
        "id": "s",
        "revision": 1,
        "network_id": "n",
        "cidr": "2001:db8::/64",
        "ip_version": 6,
        "gateway_ip": "2001:db8::1",
        "dhcp": True,
        "dns": ["2620:fe::9"],
        "ra_mode": mode,
    }
    return Subnet(**(words | changes))


def _table(*subnets: Subnet, routers: dict[str, str] | None = None) -> LinkTable:
    network = Network(id="n", revision=1, segment=7, mtu=1450, dns_domain="x.y")
    return LinkTable(network, list(subnets), [], [], routers)


def _options(message: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 16
    while at < len(message):
        size = message[at + 1] * 8
        assert size
        found.setdefault(message[at], []).append(message[at + 2 : at + size])
        at += size
    assert at == len(message)
    return found


def _only(mode: str) -> bytes:
    offers = ra.advertisements(_table(_subnet(mode), routers={"s": ROUTER_MAC}), OUR_MAC)
    assert [offer.source for offer in offers] == ["fe80::f816:3eff:fe00:1"]
    return offers[0].message


def test_slaac_byte_for_byte():
    expected = (
        "86000000 40 00 0708 00000000 00000000"
        "0101 fa163e000001"
        "0501 0000 000005aa"
        "0304 40c0 00015180 00003840 00000000 20010db8000000000000000000000000"
        "1903 0000 00000708 262000fe000000000000000000000009"
        "1f02 0000 00000708 01780179 00000000"
    )
    # The search list is padded with zeros, of which the first ends its last name.
    assert _only("slaac") == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("mode", "flags", "prefix_flags"),
    [("slaac", 0x00, 0xC0), ("dhcpv6-stateless", 0x40, 0xC0), ("dhcpv6-stateful", 0x80, 0x80)],
)
def test_the_flags_say_where_addresses_and_options_come_from(mode, flags, prefix_flags):
    message = _only(mode)
    assert message[5] == flags
    assert _options(message)[3][0][1] == prefix_flags


def test_subnets_of_one_router_share_a_message_and_routers_do_not():
    one, two = _subnet("slaac"), _subnet("dhcpv6-stateful", id="t", cidr="2001:db8:0:1::/64")
    shared = ra.advertisements(_table(one, two, routers={"s": ROUTER_MAC, "t": ROUTER_MAC}), OUR_MAC)
    assert len(shared) == 1
    assert len(_options(shared[0].message)[3]) == 2
    assert len(_options(shared[0].message)[25][0]) == 6 + 16
    apart = ra.advertisements(_table(one, two, routers={"s": ROUTER_MAC, "t": "fa:16:3e:00:00:09"}), OUR_MAC)
    assert len(apart) == 2


@pytest.mark.parametrize(
    "subnet",
    [
        _subnet(None),
        _subnet("slaac", gateway_ip=None),
        _subnet("slaac", ip_version=4, cidr="10.0.0.0/24", gateway_ip="10.0.0.1"),
    ],
)
def test_nobody_advertises_what_nobody_routes(subnet):
    assert ra.advertisements(_table(subnet, routers={"s": ROUTER_MAC}), OUR_MAC) == []


def test_without_a_router_there_is_silence():
    assert ra.advertisements(_table(_subnet("slaac"), routers={}), OUR_MAC) == []


def test_when_the_router_is_not_known_nobody_is_called_one():
    (offer,) = ra.advertisements(_table(_subnet("slaac")), OUR_MAC)
    assert struct.unpack_from("!H", offer.message, 6) == (0,)
    assert 3 in _options(offer.message)


def test_a_prefix_that_slaac_cannot_use_is_on_link_only():
    message = ra.advertisements(
        _table(_subnet("slaac", cidr="2001:db8::/80"), routers={"s": ROUTER_MAC}), OUR_MAC
    )
    assert _options(message[0].message)[3][0][:2] == bytes([80, 0x80])


def test_the_last_word_has_lifetime_zero_and_is_otherwise_the_same():
    (offer,) = ra.advertisements(_table(_subnet("slaac"), routers={"s": ROUTER_MAC}), OUR_MAC)
    last = ra.withdrawal(offer)
    assert last.message[6:8] == b"\0\0"
    assert (last.message[:6], last.message[8:]) == (offer.message[:6], offer.message[8:])


def test_name_servers_of_the_other_family_are_left_out():
    subnet = _subnet("slaac", dns=["9.9.9.9", "2620:fe::9"])
    (offer,) = ra.advertisements(_table(subnet, routers={"s": ROUTER_MAC}), OUR_MAC)
    assert _options(offer.message)[25][0][6:] == socket.inet_pton(socket.AF_INET6, "2620:fe::9")


def test_what_counts_as_a_solicitation():
    assert ra.is_solicitation(bytes([133, 0]) + bytes(6))
    assert not ra.is_solicitation(bytes([133, 0]))
    assert not ra.is_solicitation(bytes([133, 1]) + bytes(6))
    assert not ra.is_solicitation(bytes([134, 0]) + bytes(6))
