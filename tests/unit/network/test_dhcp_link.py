# SPDX-License-Identifier: Apache-2.0
"""The responder on a link: golden frames, the kernel filter, and an unmodified DHCP client.

What is answered is tested in test_dhcp4.py, test_dhcp6.py and test_ra.py. The tests marked root make two
namespaces joined by a veth pair and remove them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.network.drivers.base import FixedIp, Network, Port, Subnet
from skyhold.network.drivers.native import frames
from skyhold.network.drivers.native.responder import LinkTable, Responder, respond
from tests.kit.patience import PATIENCE_S

GUEST_MAC = "fa:16:3e:00:00:05"
OUR_MAC = "fa:16:3e:00:00:02"
ROUTER_MAC = "fa:16:3e:00:00:01"


def _table(**changes) -> LinkTable:
    v4 = {"cidr": "10.77.0.0/24", "ip_version": 4, "gateway_ip": "10.77.0.1", "dhcp_ip": "10.77.0.2"}
    v6 = {
        "cidr": "fd77::/64",
        "ip_version": 6,
        "gateway_ip": "fd77::1",
        "dhcp_ip": "fd77::2",
        "ra_mode": "slaac",
    }
    fixed = [FixedIp(subnet_id="s4", ip="10.77.0.5"), FixedIp(subnet_id="s6", ip="fd77::5")]
    words = {
        "network": Network(id="n", revision=1, segment=7, mtu=1450),
        "subnets": [
            Subnet(id="s4", revision=1, network_id="n", dhcp=True, **v4),
            Subnet(id="s6", revision=1, network_id="n", dhcp=True, **v6),
        ],
        "ports": [Port(id="p", revision=1, network_id="n", mac=GUEST_MAC, fixed_ips=fixed, hostname="web")],
        "routers": {"s6": ROUTER_MAC},
    }
    return LinkTable(**(words | changes))


def _discover() -> bytes:
    mac = bytes.fromhex(GUEST_MAC.replace(":", ""))
    message = bytes.fromhex("01010600 00000001 0000 0000") + bytes(16) + mac + bytes(10 + 192)
    return message + bytes.fromhex("63825363 350101 ff")


def test_an_offer_in_its_frame():
    asked = frames.udp4(
        (GUEST_MAC, frames.BROADCAST_MAC), ("0.0.0.0", "255.255.255.255"), (68, 67), _discover()
    )
    replies, leased = respond(frames.parse(asked), _table(), OUR_MAC)
    assert len(replies) == 1
    assert leased is None
    frame = replies[0]
    assert frame[:14].hex() == "fa163e000005fa163e0000020800"
    assert frames.checksum(frame[14:34]) == 0
    pseudo = frame[26:34] + struct.pack("!BBH", 0, 17, len(frame) - 34)
    assert frames.checksum(pseudo + frame[34:]) == 0
    assert frame[26:34] == bytes([10, 77, 0, 2, 10, 77, 0, 5])
    assert struct.unpack("!HH", frame[34:38]) == (67, 68)


def test_a_solicitation_is_answered_to_its_sender_alone():
    ips = ("fe80::f816:3eff:fe00:5", "ff02::2")
    asked = frames.icmp6((GUEST_MAC, "33:33:00:00:00:02"), ips, bytes([133]) + bytes(7))
    (frame,), leased = respond(frames.parse(asked), _table(), OUR_MAC)
    assert leased is None
    # From our own MAC, or the bridge would send us what guests send the router.
    assert frame[:14].hex() == "fa163e000005fa163e00000286dd"
    offer = frames.parse(frame)
    assert (offer.source, offer.destination) == ("fe80::f816:3eff:fe00:1", "fe80::f816:3eff:fe00:5")
    assert offer.payload[0] == 134
    assert bytes.fromhex("0101" + ROUTER_MAC.replace(":", "")) in offer.payload
    pseudo = frame[22:54] + struct.pack("!II", len(frame) - 54, 58)
    assert frames.checksum(pseudo + frame[54:]) == 0


def test_a_solicitation_without_an_address_is_answered_to_all_nodes_at_its_mac():
    asked = frames.icmp6((GUEST_MAC, "33:33:00:00:00:02"), ("::", "ff02::2"), bytes([133]) + bytes(7))
    (frame,), _ = respond(frames.parse(asked), _table(), OUR_MAC)
    assert frame[:6].hex(":") == GUEST_MAC
    assert frames.parse(frame).destination == "ff02::1"


def test_a_dhcpv6_reply_in_its_frame():
    stateful = _table()
    subnets = [
        stateful.subnets[0],
        msgspec.structs.replace(
            stateful.subnets[1], ra_mode="dhcpv6-stateful", address_mode="dhcpv6-stateful"
        ),
    ]
    request = bytes.fromhex("03aabbcc 0001000a 00030001fa163e000005 0002000a 00030001fa163e000002")
    request += bytes.fromhex("0003000c 0000002a 00000000 00000000")
    asked = frames.udp6((GUEST_MAC, "33:33:00:01:00:02"), ("fe80::5", "ff02::1:2"), (546, 547), request)
    (frame,), leased = respond(frames.parse(asked), _table(subnets=subnets), OUR_MAC)
    assert leased == "p"
    reply = frames.parse(frame)
    assert (reply.source, reply.destination) == (frames.link_local(OUR_MAC), "fe80::5")
    assert (reply.source_port, reply.destination_port, reply.payload[0]) == (547, 546, 7)
    pseudo = frame[22:54] + struct.pack("!II", len(frame) - 54, 17)
    assert frames.checksum(pseudo + frame[54:]) == 0
    outside = frames.udp6((GUEST_MAC, OUR_MAC), ("2001:db8::5", "ff02::1:2"), (546, 547), request)
    assert respond(frames.parse(outside), _table(subnets=subnets), OUR_MAC) == ([], None)


def test_known_checksums():
    # The worked example of RFC 1071 section 3.
    assert frames.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert frames.link_local("fa:16:3e:00:00:01") == "fe80::f816:3eff:fe00:1"
    assert frames.multicast_mac("ff02::1") == "33:33:00:00:00:01"


def test_fragments_and_truncated_frames_are_no_datagrams():
    whole = frames.udp4((GUEST_MAC, OUR_MAC), ("10.77.0.5", "10.77.0.2"), (68, 67), b"x" * 50)
    assert frames.parse(whole) is not None
    assert frames.parse(whole + bytes(6)).payload == b"x" * 50
    assert frames.parse(whole[:-1]) is None
    fragment = whole[:20] + b"\x20\x00" + whole[22:]
    assert frames.parse(fragment) is None


@given(st.binary(max_size=200), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]))
def test_no_frame_whatever_makes_it_raise(noise, kind):
    frame = bytes(6) + bytes.fromhex(GUEST_MAC.replace(":", "")) + kind + noise
    datagram = frames.parse(frame)
    if datagram is not None:
        respond(datagram, _table(), OUR_MAC)


@given(st.binary(max_size=300), st.sampled_from([(68, 67), (546, 547)]), st.integers(0, 255))
def test_no_payload_whatever_makes_it_raise(noise, ports, kind):
    respond(
        frames.parse(frames.udp4((GUEST_MAC, OUR_MAC), ("10.77.0.5", "10.77.0.2"), ports, noise)),
        _table(),
        OUR_MAC,
    )
    ips = ("fe80::1", "ff02::1:2")
    respond(frames.parse(frames.udp6((GUEST_MAC, OUR_MAC), ips, ports, noise)), _table(), OUR_MAC)
    message = bytes([kind, 0, 0, 0]) + noise.ljust(4, b"\0")
    respond(frames.parse(frames.icmp6((GUEST_MAC, OUR_MAC), ips, message)), _table(), OUR_MAC)


class Link:
    """Two namespaces joined by a veth pair: `ours` with the responder's leg, `guest` with the client's."""

    def __init__(self) -> None:
        self.ours, self.guest = f"skyd-o{os.getpid()}", f"skyd-g{os.getpid()}"

    def __enter__(self) -> Link:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for name in (self.ours, self.guest):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _make(self) -> None:
        for name in (self.ours, self.guest):
            _ip("netns", "add", name)
        _ip(
            "-n", self.ours, "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", self.guest
        )
        _ip("-n", self.ours, "link", "set", "up0", "address", OUR_MAC)
        _ip("-n", self.guest, "link", "set", "eth0", "address", GUEST_MAC)
        _ip("-n", self.ours, "link", "set", "up0", "up")
        _ip("-n", self.guest, "link", "set", "eth0", "up")

    def packet_socket(self) -> socket.socket:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._packet_socket).result()

    def _packet_socket(self) -> socket.socket:
        with Path(f"/run/netns/{self.ours}").open() as space:
            assert ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0x40000000) == 0
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind(("up0", 3))
        return sock

    async def in_guest(self, *argv: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", self.guest, *argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        return process.returncode or 0, out.decode()


def _environment(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def _ip(*argv: str) -> None:
    subprocess.run(["ip", *argv], check=True, capture_output=True)


@pytest.fixture
def link():
    if os.geteuid():
        pytest.skip("only root can make a namespace")
    with Link() as link:
        yield link


@pytest.mark.root
async def test_udhcpc_gets_its_address_and_routes(link, tmp_path):
    leases: list[str] = []
    responder = Responder(link.packet_socket(), OUR_MAC, _table(routers={}), leases.append)
    script = tmp_path / "script"
    script.write_text('#!/bin/sh\nenv | grep -v PATH | sort > "$OUT.$1"\n')
    script.chmod(0o755)
    code, text = await link.in_guest(
        "env", f"OUT={tmp_path}/out", "busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", "60",
        "-T", "1", "-O", "staticroutes", "-O", "mtu", "-s", str(script),
    )  # fmt: skip
    responder.close()
    assert code == 0, text
    told = _environment(tmp_path / "out.bound")
    assert told["ip"] == "10.77.0.5"
    assert told["mask"] == "24"
    assert told["router"] == "10.77.0.1"
    assert told["dns"] == "10.77.0.2"
    assert told["mtu"] == "1450"
    assert told["hostname"] == "web"
    assert told["staticroutes"].split() == ["169.254.169.254/32", "10.77.0.2", "0.0.0.0/0", "10.77.0.1"]
    assert leases == ["p"]


@pytest.mark.root
async def test_the_kernel_configures_itself_from_our_advertisement(link):
    responder = Responder(link.packet_socket(), OUR_MAC, _table())
    address, route = "", ""
    for _ in range(50):
        _, address = await link.in_guest("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global")
        _, route = await link.in_guest("ip", "-6", "route", "show", "default")
        if "fd77::" in address and "default" in route:
            break
        await asyncio.sleep(0.2)
    assert "fd77::f816:3eff:fe00:5/64" in address
    assert "via fe80::f816:3eff:fe00:1 " in route
    _, neighbours = await link.in_guest("ip", "-6", "neigh", "show")
    assert f"fe80::f816:3eff:fe00:1 lladdr {ROUTER_MAC} router" in neighbours.replace("dev eth0 ", "")
    assert responder.stats.advertisements >= 1
    responder.update(_table(routers={}))
    for _ in range(50):
        _, route = await link.in_guest("ip", "-6", "route", "show", "default")
        if not route:
            break
        await asyncio.sleep(0.1)
    assert route == "", "a router that left withdraws itself"
    responder.close()


@pytest.mark.root
async def test_only_our_protocols_wake_us(link):
    # Its kernel asks for a router when it likes, which is for us.
    await link.in_guest("busybox", "sysctl", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")
    responder = Responder(link.packet_socket(), OUR_MAC, _table())
    await asyncio.sleep(0.05)
    before = responder.stats.frames
    await link.in_guest("ip", "addr", "add", "10.77.0.5/24", "dev", "eth0")
    await link.in_guest("busybox", "ping", "-c", "2", "-w", "1", "10.77.0.2")
    assert responder.stats.frames == before
    await link.in_guest(
        "busybox", "udhcpc", "-q", "-n", "-i", "eth0", "-t", "1", "-T", "1", "-s", "/bin/true"
    )
    assert responder.stats.frames >= before + 2
    responder.close()


@pytest.mark.root
async def test_a_flood_from_one_guest_is_limited(link):
    responder = Responder(link.packet_socket(), OUR_MAC, _table())
    asked = frames.udp4(
        (GUEST_MAC, frames.BROADCAST_MAC), ("0.0.0.0", "255.255.255.255"), (68, 67), _discover()
    )
    for _ in range(200):
        responder._take(asked)
    assert 40 <= responder.stats.answers < 60
    assert responder.stats.limited > 100
    responder.close()
