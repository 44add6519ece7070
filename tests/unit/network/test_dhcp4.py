# SPDX-License-Identifier: Apache-2.0
"""Decisions of the DHCPv4 responder, on bytes.

The frames around them and a real client are in test_dhcp_link.py; DHCPv6 is in test_dhcp6.py. Requests
are written out here by hand, not with the encoder under test.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers.base import FixedIp, Network, Port, Subnet
from skyhold.network.drivers.native import dhcp4, dhcp4_options
from skyhold.network.drivers.native.link_table import LinkTable

MAC = "fa:16:3e:00:00:05"
NETWORK = Network(id="n", revision=1, segment=7, mtu=1450, dns_domain="example.org.")


def _subnet(**changes) -> Subnet:
    words = {
        "id": "s",
        "revision": 1,
        "network_id": "n",
        "cidr": "10.0.0.0/24",
        "ip_version": 4,
        "gateway_ip": "10.0.0.1",
        "dhcp": True,
        "dhcp_ip": "10.0.0.2",
    }
    return Subnet(**(words | changes))


def _port(**changes) -> Port:
    words = {
        "id": "p",
        "revision": 1,
        "network_id": "n",
        "mac": MAC,
        "fixed_ips": [FixedIp(subnet_id="s", ip="10.0.0.5")],
        "hostname": "web",
    }
    return Port(**(words | changes))


def _table(subnet: Subnet | None = None, port: Port | None = None, **more) -> LinkTable:
    return LinkTable(NETWORK, [subnet or _subnet(), *more.pop("others", [])], [port or _port()], **more)


def _request(kind: int, options: bytes = b"", *, ciaddr=bytes(4), flags=0, mac=MAC, giaddr=bytes(4)) -> bytes:
    chaddr = bytes.fromhex(mac.replace(":", "")) + bytes(10)
    head = struct.pack("!4BIHH", 1, 1, 6, 0, 0xDEADBEEF, 0, flags) + ciaddr + bytes(8) + giaddr + chaddr
    return head + bytes(192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options + b"\xff"


def _ask(request: bytes, table: LinkTable | None = None) -> tuple[dhcp4.Reply, dhcp4.Message]:
    reply = dhcp4.answer(request, table or _table(), MAC)
    assert reply is not None
    return reply, dhcp4.decode(reply.payload)


def test_an_offer_byte_for_byte():
    reply, _ = _ask(_request(1))
    assert reply.payload[:28] == bytes.fromhex(
        "02010600 deadbeef 0000 0000 00000000 0a000005 00000000 00000000"
    )
    assert reply.payload[28:34].hex(":") == MAC
    expected = (
        "63825363 350102 36040a000002 330400015180 3a040000a8c0 3b0400012750 0104ffffff00 03040a000001"
        "06040a000002 1a0205aa 0f0b" + b"example.org".hex() + "1c040a0000ff 0c03" + b"web".hex() + "ff"
    )
    assert reply.payload[236:].rstrip(b"\0") == bytes.fromhex(expected)
    assert (reply.source, reply.destination, reply.destination_mac) == ("10.0.0.2", "10.0.0.5", MAC)
    assert not reply.bound


def test_selecting_our_offer_is_acknowledged_and_binds():
    reply, said = _ask(_request(3, bytes.fromhex("32040a000005 36040a000002")))
    assert (said.kind, said.yiaddr, reply.bound, reply.port_id) == (dhcp4.ACK, "10.0.0.5", True, "p")


def test_selecting_another_server_is_met_with_silence():
    assert dhcp4.answer(_request(3, bytes.fromhex("32040a000005 36040a000063")), _table()) is None


def test_init_reboot_with_a_foreign_address_is_refused_aloud():
    reply, said = _ask(_request(3, bytes.fromhex("3204c0a80105")))
    assert (said.kind, said.yiaddr) == (dhcp4.NAK, "0.0.0.0")
    assert (reply.destination, reply.destination_mac) == ("255.255.255.255", "ff:ff:ff:ff:ff:ff")
    assert set(said.options) == {53, 54}


def test_init_reboot_with_its_own_address_is_acknowledged():
    assert _ask(_request(3, bytes.fromhex("32040a000005")))[1].kind == dhcp4.ACK


def test_renewal_is_answered_to_the_clients_own_address():
    reply, said = _ask(_request(3, ciaddr=bytes([10, 0, 0, 5])))
    assert (said.kind, said.ciaddr, reply.destination) == (dhcp4.ACK, "10.0.0.5", "10.0.0.5")


def test_renewal_of_a_changed_address_is_refused():
    assert _ask(_request(3, ciaddr=bytes([10, 0, 0, 9])))[1].kind == dhcp4.NAK


def test_inform_tells_settings_but_no_lease():
    _, said = _ask(_request(8, ciaddr=bytes([10, 0, 0, 5])))
    assert (said.kind, said.yiaddr) == (dhcp4.ACK, "0.0.0.0")
    assert not {51, 58, 59} & set(said.options)


@pytest.mark.parametrize("kind", [4, 7, 2, 5, 6, 0, 99])
def test_messages_that_need_no_reply(kind):
    assert dhcp4.answer(_request(kind), _table()) is None


def test_the_broadcast_flag_is_honoured():
    assert _ask(_request(1, flags=0x8000))[0].destination_mac == "ff:ff:ff:ff:ff:ff"


def test_rapid_commit():
    reply, said = _ask(_request(1, bytes.fromhex("5000")))
    assert (said.kind, said.options[80], reply.bound) == (dhcp4.ACK, b"", True)


def test_the_client_identifier_is_echoed():
    assert _ask(_request(1, bytes.fromhex("3d0401aabbcc")))[1].options[61].hex() == "01aabbcc"


def test_strangers_relays_and_other_ports_guests_hear_nothing():
    assert dhcp4.answer(_request(1, mac="fa:16:3e:00:00:06"), _table()) is None
    assert dhcp4.answer(_request(1, giaddr=bytes([10, 0, 0, 9])), _table()) is None
    assert dhcp4.answer(_request(1), _table(), "fa:16:3e:00:00:06") is None
    assert dhcp4.answer(_request(1), _table(port=_port(admin_up=False))) is None
    assert dhcp4.answer(_request(1), _table(_subnet(dhcp=False))) is None


def test_an_isolated_subnet_reaches_metadata_through_dhcp():
    said = _ask(_request(1), _table(_subnet(gateway_ip=None)))[1]
    assert said.options[121].hex() == "20a9fea9fe0a000002"
    assert 3 not in said.options


def test_a_gateway_no_router_holds_is_isolated_too():
    said = _ask(_request(1), _table(routers={}))[1]
    assert said.options[121].hex() == "20a9fea9fe0a000002" + "000a000001"
    assert 121 not in _ask(_request(1), _table(routers={"s": "fa:16:3e:00:00:01"}))[1].options


def test_classless_routes_carry_the_subnets_routes_its_neighbours_and_the_default():
    neighbour = _subnet(id="t", cidr="10.9.0.0/16", dhcp_ip="10.9.0.2")
    subnet = _subnet(routes=[("172.16.0.0/12", "10.0.0.9")])
    said = _ask(_request(1, bytes.fromhex("3701f9")), _table(subnet, others=[neighbour]))[1]
    routes = "0cac10" + "0a000009" + "100a09" + "00000000" + "00" + "0a000001"
    assert said.options[121].hex() == routes
    assert said.options[249] == said.options[121]


def test_the_subnets_name_servers_win_and_zero_means_none():
    said = _ask(_request(1), _table(_subnet(dns=["9.9.9.9", "fd00::1", "1.1.1.1"])))[1]
    assert said.options[6] == bytes([9, 9, 9, 9, 1, 1, 1, 1])
    assert 6 not in _ask(_request(1), _table(_subnet(dns=["0.0.0.0"])))[1].options


def test_the_search_list_is_told_to_those_who_ask():
    said = _ask(_request(1, bytes([55, 1, 119])))[1]
    assert said.options[119] == b"\x07example\x03org\x00"


def test_a_port_without_a_name_is_called_by_its_address():
    assert _ask(_request(1), _table(port=_port(hostname="")))[1].options[12] == b"host-10-0-0-5"


def test_network_boot_options():
    wishes = {"bootfile-name": "pxelinux.0", "tftp-server": "10.0.0.77", "150": "10.0.0.77", "210": "/tftp/"}
    said = _ask(_request(1), _table(port=_port(dhcp_options=wishes)))[1]
    assert said.options[67] == b"pxelinux.0"
    assert said.options[66] == b"10.0.0.77"
    assert said.options[150] == bytes([10, 0, 0, 77])
    assert said.options[210] == b"/tftp/"
    assert said.file.rstrip(b"\0") == b"pxelinux.0"
    assert said.siaddr == "10.0.0.77"


def test_the_boot_server_may_be_named_alone():
    said = _ask(_request(1), _table(port=_port(dhcp_options={"server-ip-address": "10.0.0.78"})))[1]
    assert said.siaddr == "10.0.0.78"
    assert 255 not in said.options


def test_a_wish_replaces_or_removes_an_option_but_never_the_protocols_own():
    wishes = {
        "mtu": "1400",
        "router": "",
        "54": "6.6.6.6",
        "53": "9",
        "option6:23": "fd00::9",
        "ntp-server": "nonsense",
    }
    said = _ask(_request(1), _table(port=_port(dhcp_options=wishes)))[1]
    assert said.options[26] == bytes([0x05, 0x78])
    assert 3 not in said.options
    assert 42 not in said.options
    assert (said.kind, said.address(54)) == (dhcp4.OFFER, "10.0.0.2")


def test_a_reply_fits_what_the_client_takes():
    wishes = {"path-prefix": "x" * 600}
    small, said = _ask(_request(1), _table(port=_port(dhcp_options=wishes)))
    assert len(small.payload) <= 576 - 28
    assert 210 not in said.options
    big, said = _ask(_request(1, bytes.fromhex("390205dc")), _table(port=_port(dhcp_options=wishes)))
    assert said.options[210] == b"x" * 600
    assert len(big.payload) <= 1500 - 28


def test_overloaded_fields_are_read():
    plain = bytearray(_request(1, bytes.fromhex("340101")))
    plain[108 : 108 + 7] = bytes.fromhex("32040a000005ff")
    assert dhcp4.decode(bytes(plain)).address(50) == "10.0.0.5"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("67", 67),
        ("option:67", 67),
        ("bootfile-name", 67),
        ("tag:ipxe,67", 67),
        ("bogus", None),
        ("0", None),
        ("255", None),
    ],
)
def test_names_of_options(name, number):
    assert dhcp4_options.option_number(name) == number


@given(st.binary(max_size=700))
def test_no_bytes_whatever_make_it_raise(noise):
    assert dhcp4.answer(noise, _table()) is None or noise[:1] == b"\x01"


@given(st.binary(max_size=400), st.integers(0, 20), st.binary(min_size=4, max_size=4))
def test_no_options_whatever_make_it_raise(noise, kind, ciaddr):
    dhcp4.answer(_request(kind, noise, ciaddr=ciaddr), _table())


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=5))
def test_no_wishes_whatever_make_it_raise(wishes):
    reply = dhcp4.answer(_request(1), _table(port=_port(dhcp_options=wishes)))
    assert reply is not None
    assert dhcp4.decode(reply.payload).yiaddr == "10.0.0.5"


@given(
    st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != 52), st.binary(min_size=1, max_size=600), max_size=6
    )
)
def test_what_is_encoded_decodes(options):
    message = dhcp4.Message(2, 7, MAC, options=options)
    assert dhcp4.decode(dhcp4.encode(message)).options == options
