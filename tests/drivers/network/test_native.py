# SPDX-License-Identifier: Apache-2.0
"""What only packets and the kernel can tell about the native engine: forged frames, damage, traces.

What every engine does is in test_conformance.py. A check that something is dropped always stands
beside one that shows the same frame passing when it is honest.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator

import msgspec
import pytest

from skyhold.network.drivers.base import (
    ChangeSet,
    RouterGateway,
)
from skyhold.network.drivers.native import names, netns
from tests.drivers.network.guests import Guest, World, arp, heard, udp
from tests.drivers.network.labs import (
    PING4,
    NativeLab,
    in_plane,
    neighbours,
    subprocess_text,
    tcp,
    traces,
    way_out,
)
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.root


async def arrives(
    sender: Guest, receiver: Guest, frame: bytes, word: bytes | None = None, wait_s: float = PATIENCE_S
) -> bool:
    """Whether a raw frame, known by `word`, gets from one guest to the other."""
    out, into = sender.packet(), receiver.packet()
    try:
        out.send(frame)
        return await asyncio.to_thread(heard, into, word or frame[14:], wait_s)
    finally:
        out.close()
        into.close()


async def dropped(sender: Guest, receiver: Guest, frame: bytes, word: bytes | None = None) -> bool:
    return not await arrives(sender, receiver, frame, word, 0.4)


async def test_forged_arp_is_dropped(native: NativeLab) -> None:
    one, other, a, b = await neighbours(native)
    assert await arrives(one, other, arp(a.mac, a.mac, "10.1.0.11", "10.1.0.12"))
    assert await arrives(one, other, arp(a.mac, a.mac, "0.0.0.0", "10.1.0.11"))
    assert await dropped(one, other, arp(a.mac, a.mac, "10.1.0.1", "10.1.0.12"))
    assert await dropped(one, other, arp(a.mac, b.mac, "10.1.0.11", "10.1.0.12", operation=2))
    assert await dropped(one, other, arp(b.mac, b.mac, "10.1.0.12", "10.1.0.12"))
    assert await dropped(one, other, arp("fa:16:3e:99:99:99", a.mac, "10.1.0.11", "10.1.0.12"))
    assert await dropped(one, other, arp(a.mac, a.mac, "0.0.0.0", "10.1.0.11", operation=2))


async def test_forged_addresses_are_dropped(native: NativeLab) -> None:
    one, other, a, b = await neighbours(native)
    honest = udp((a.mac, b.mac), ("10.1.0.11", "10.1.0.12"), (5000, 5001), b"honest-frame")
    wrong_ip = udp((a.mac, b.mac), ("10.1.0.99", "10.1.0.12"), (5000, 5001), b"forged-ip")
    wrong_mac = udp(("fa:16:3e:99:99:99", b.mac), ("10.1.0.11", "10.1.0.12"), (5000, 5001), b"forged-mac")
    assert await arrives(one, other, honest)
    assert await dropped(one, other, wrong_ip)
    assert await dropped(one, other, wrong_mac)


async def test_allowed_pairs_widen_what_a_port_may_send(native: NativeLab) -> None:
    pairs = [("fa:16:3e:99:99:99", "10.1.0.64/26"), ("", "10.1.0.11/32"), ("", "10.1.0.0/28")]
    one, other, a, b = await neighbours(native, pairs=pairs)
    for source_mac, source_ip, passes in (
        ("fa:16:3e:99:99:99", "10.1.0.100", True),
        ("fa:16:3e:99:99:99", "10.1.0.200", False),
        (a.mac, "10.1.0.5", True),
        (a.mac, "10.1.0.100", False),
    ):
        frame = udp((source_mac, b.mac), (source_ip, "10.1.0.12"), (5000, 5001), source_ip.encode())
        assert await (arrives if passes else dropped)(one, other, frame), (source_mac, source_ip)


async def test_a_rogue_dhcp_server_is_dropped(native: NativeLab) -> None:
    one, other, a, b = await neighbours(native)
    offer = udp((a.mac, b.mac), ("10.1.0.11", "10.1.0.12"), (67, 68), b"rogue-offer")
    same = udp((a.mac, b.mac), ("10.1.0.11", "10.1.0.12"), (69, 68), b"not-an-offer")
    assert await arrives(one, other, same)
    assert await dropped(one, other, offer)


async def test_rogue_router_and_neighbour_advertisements_are_dropped(native: NativeLab) -> None:
    a, b = native.port("a1", "six", "fd00:1::11"), native.port("b1", "six", "fd00:1::12")
    await native.put(*native.network("six", "fd00:1::/64"), native.open_group(), a, b)
    await native.boot(a, b)
    one, other = native.guests["a1"], native.guests["b1"]

    def message(kind: int, target: str) -> bytes:
        body = bytes([kind, 0, 0, 0, 0x20, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, target)
        source, everybody = (socket.inet_pton(socket.AF_INET6, ip) for ip in ("fd00:1::11", "ff02::1"))
        pseudo = source + everybody + struct.pack("!II", len(body), 58) + body
        total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        body = body[:2] + struct.pack("!H", total) + body[4:]
        head = b"\x33\x33\0\0\0\x01" + bytes.fromhex(a.mac.replace(":", "")) + b"\x86\xdd"
        return head + struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + source + everybody + body

    assert await arrives(one, other, message(136, "fd00:1::11"))
    assert await dropped(one, other, message(136, "fd00:1::1"))
    assert await dropped(one, other, message(134, "fd00:1::11"))


async def test_tagged_and_strange_frames_are_dropped(native: NativeLab) -> None:
    one, other, a, b = await neighbours(native)
    honest = udp((a.mac, b.mac), ("10.1.0.11", "10.1.0.12"), (5000, 5001), b"untagged")
    # The receiver's kernel takes the tag off before we look: go by the payload.
    tagged = honest[:12] + b"\x81\x00\x00\x05" + honest[12:]
    lldp = honest[:12] + b"\x88\xcc" + b"link layer discovery" + bytes(30)
    assert await arrives(one, other, honest)
    assert await dropped(one, other, tagged, b"untagged")
    assert await dropped(one, other, lldp)


async def test_a_tagged_frame_of_an_open_port_does_not_bypass_groups(native: NativeLab) -> None:
    one, other, a, b = await neighbours(native, security=False)
    honest = udp((a.mac, b.mac), ("10.1.0.77", "10.1.0.12"), (5000, 5001), b"untagged")
    assert await arrives(one, other, honest)
    tagged = honest[:12] + b"\x81\x00\x00\x05" + honest[12:]
    assert await dropped(one, other, tagged, b"untagged")
    await native.put(native.port("b1", "red", "10.1.0.12", (), security=False, revision=2))
    assert await arrives(one, other, tagged, b"untagged")


async def test_the_tap_has_a_virtio_header_and_one_owner(native: NativeLab) -> None:
    port = native.port("a1", "red", "10.1.0.11")
    await native.put(*native.network("red", "10.1.0.0/24"), native.open_group(), port)
    fd = await native.engine.open_tap("a1")
    request = fcntl.ioctl(fd, 0x800454D2, bytes(40))
    name, flags = struct.unpack("16sH22x", request)
    assert name.rstrip(b"\0").decode() == names.tap("a1")
    assert flags & 0x4000
    with pytest.raises(OSError, match="busy"):
        await native.engine.open_tap("a1")
    os.close(fd)
    os.close(await native.engine.open_tap("a1"))


async def test_a_cut_flow_is_not_revived_by_its_server(native: NativeLab) -> None:
    """The server may send what it likes: its own packet must not make a new flow out of the old one."""
    a, b = native.port("a1", "red", "10.1.0.11"), native.port("b1", "red", "10.1.0.12", ("web",))
    await native.put(
        *native.network("red", "10.1.0.0/24"), native.open_group(), native.group("web", tcp(80)), a, b
    )
    await native.boot(a, b)
    server = native.guests["b1"].serve(80)
    alive = await native.flow("a1", "10.1.0.12", 80)
    await native.put(native.group("web", revision=2))
    for _ in range(3):
        server.push(b"from the middle")
        await asyncio.sleep(0.05)
    assert not await alive(0.4)


async def test_large_packets_pass_in_fragments(native: NativeLab) -> None:
    one, _, _, _ = await neighbours(native)
    assert await asyncio.to_thread(one.ping, "10.1.0.12", PATIENCE_S, 4000)


async def test_same_addresses_and_ports_in_two_networks_stay_apart(native: NativeLab) -> None:
    ports = []
    for network in ("red", "blue"):
        ports += [
            native.port(f"{network}1", network, "10.1.0.11", mac="fa:16:3e:00:00:01"),
            native.port(f"{network}2", network, "10.1.0.12", ("web",), mac="fa:16:3e:00:00:02"),
        ]
    both = [*native.network("red", "10.1.0.0/24"), *native.network("blue", "10.1.0.0/24")]
    await native.put(*both, native.open_group(), native.group("web", tcp(80)), *ports)
    await native.boot(*ports)
    flows = []
    for network in ("red", "blue"):
        await native.serve(f"{network}2", 80)
        sock = native.guests[f"{network}1"].socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.bind(("10.1.0.11", 45678))
        sock.settimeout(PATIENCE_S)
        await asyncio.to_thread(sock.connect, ("10.1.0.12", 80))
        flows.append(sock)
    zones = {word for word in in_plane(native, "conntrack", "-L").split() if word.startswith("zone=")}
    assert len(zones) == 2
    for sock in flows:
        sock.close()


async def test_guests_are_seen_by_the_address_they_go_out_with(native: NativeLab) -> None:
    a, _ = await way_out(native)
    await native.serve("outside", 8080)
    await native.serve("b1", 80)
    assert await native.seen_as("a1", native.public[0], 8080) == native.public[9]
    assert await native.seen_as("a1", "10.2.0.12", 80) == "10.1.0.11"
    await native.put(native.floating("f1", "r1", native.public[19], a))
    assert await native.seen_as("a1", native.public[0], 8080) == native.public[19]
    await native.serve("a1", 80)
    assert await native.seen_as("outside", native.public[19], 80) == native.public[0]


async def test_floating_ips_reach_each_other_behind_one_router(native: NativeLab) -> None:
    a, b = await way_out(native)
    await native.put(
        native.floating("f1", "r1", native.public[19], a), native.floating("f2", "r1", native.public[20], b)
    )
    await native.serve("b1", 80)
    assert await native.seen_as("a1", native.public[20], 80) == native.public[19]


async def test_a_floating_ip_moves_between_routers(native: NativeLab) -> None:
    a, _ = await way_out(native)
    c = native.port("c1", "green", "10.3.0.13")
    other = native.router("r2", {"green": "10.3.0.1/24"}, public=native.public[10])
    await native.put(*native.network("green", "10.3.0.0/24"), other, c)
    await native.boot(c)
    await native.serve("a1", 80)
    await native.serve("c1", 81)
    await native.put(native.floating("f1", "r1", native.public[19], a))
    assert await native.connects("outside", native.public[19], 80)
    await native.put(native.floating("f1", "r2", native.public[19], c, revision=2))
    assert await native.connects("outside", native.public[19], 81)


async def test_extra_routes_lead_through_a_guest(native: NativeLab) -> None:
    a, b = native.port("a1", "red", "10.1.0.11"), native.port("b1", "blue", "10.2.0.12", security=False)
    networks = [*native.network("red", "10.1.0.0/24"), *native.network("blue", "10.2.0.0/24")]
    legs = {"red": "10.1.0.1/24", "blue": "10.2.0.1/24"}
    await native.put(*networks, native.open_group(), native.router("r1", legs), a, b)
    await native.boot(a, b)
    native.guests["b1"].run("ip", "addr", "add", "10.9.0.1/32", "dev", "lo")
    assert not await native.pings("a1", "10.9.0.1", 0.3)
    await native.put(native.router("r1", legs, routes=[("10.9.0.0/24", "10.2.0.12")], revision=2))
    assert await native.pings("a1", "10.9.0.1")
    await native.put(native.router("r1", legs, revision=3))
    assert not await native.pings("a1", "10.9.0.1", 0.3)


async def test_an_external_range_that_the_machine_uses_is_refused(native: NativeLab) -> None:
    taken = a_route_of_this_machine()
    network, subnet = native.network("ext", taken, external=True)
    applied = await native.engine.apply(ChangeSet(upserts=[network, subnet]))
    assert any("overlaps" in one for one in applied.problems)


def a_route_of_this_machine() -> str:
    """A destination of this machine's own; the check needs one, so none is a failure."""
    line = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    return next(one.split()[0] for one in line.splitlines() if "/" in one.split()[0])


async def test_delete_leaves_nothing(native: NativeLab) -> None:
    before = kernel_objects(native)
    a, _ = await way_out(native)
    floating = native.floating("f1", "r1", native.public[19], a)
    await native.put(floating, *native.network("dry", "10.7.0.0/24", dhcp=True))
    assert kernel_objects(native) != before
    for guest in native.guests.values():
        await asyncio.to_thread(guest.close)
    native.guests.clear()
    await native.drop(*reversed(list(native.objects.values())))
    assert kernel_objects(native) == before


def kernel_objects(lab: NativeLab) -> tuple[set[str], str, str]:
    """The cloud's names on the machine, and the links and rules inside its namespace."""
    links = in_plane(lab, "ip", "-o", "link").splitlines()
    return (
        traces(lab.engine.names.mark),
        "\n".join(line.split(": ")[1] for line in links),
        in_plane(lab, "nft", "list", "ruleset"),
    )


async def test_a_stateless_group_does_not_let_answers_in(native: NativeLab) -> None:
    a, b = native.port("a1", "red", "10.1.0.11", ("raw",)), native.port("b1", "red", "10.1.0.12")
    network = native.network("red", "10.1.0.0/24")
    await native.put(*network, native.open_group(), native.group("raw", stateful=False), a, b)
    await native.boot(a, b)
    assert not await native.pings("a1", "10.1.0.12", 0.3)
    await native.put(native.group("raw", PING4, stateful=False, revision=2))
    assert await native.pings("a1", "10.1.0.12")
    await native.put(native.group("raw", revision=3))
    assert await native.pings("a1", "10.1.0.12")


async def test_a_port_on_the_external_network_needs_no_router(native: NativeLab) -> None:
    port = native.port("a1", "ext", native.public[29])
    await native.put(*native.external(), native.open_group(), port)
    await native.boot(port)
    assert await native.pings("a1", native.public[0])
    assert await native.pings("outside", native.public[29])


async def test_the_engine_gives_the_machine_back_its_forwarding(native: NativeLab) -> None:
    before = netns.read_sysctl("net/ipv4/ip_forward")
    await way_out(native)
    assert netns.read_sysctl("net/ipv4/ip_forward") == "1"
    others = subprocess_names("sk") - {native.engine.names.root_leg("ext")}
    for guest in native.guests.values():
        await asyncio.to_thread(guest.close)
    native.guests.clear()
    await native.engine.destroy()
    assert netns.read_sysctl("net/ipv4/ip_forward") == (before if not others else "1")


def subprocess_names(prefix: str) -> set[str]:
    return {name for _, name in socket.if_nameindex() if name.startswith(prefix)}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


async def test_guests_reach_the_world_beyond_as_the_machine(native: NativeLab, world: World) -> None:
    await way_out(native)
    world.serve(8080)
    assert await native.seen_as("a1", world.ip, 8080) == world.machine_ip


async def test_a_tenants_own_address_never_leaves_the_machine(native: NativeLab, world: World) -> None:
    await way_out(native)
    sniffer = world.packet()
    await native.pings("a1", world.ip, 0.3)
    assert await asyncio.to_thread(heard, sniffer, socket.inet_aton(world.machine_ip), PATIENCE_S)
    router = native.router("r1", {"red": "10.1.0.1/24"}, public=native.public[9], snat=False, revision=2)
    await native.put(router)
    in_plane(native, "conntrack", "-F")
    drain(sniffer)
    await native.pings("a1", world.ip, 0.3)
    assert not await asyncio.to_thread(heard, sniffer, socket.inet_aton("10.1.0.11"), 0.4)
    sniffer.close()


async def test_ipv6_gets_out_too(native: NativeLab) -> None:
    outside = native.network("ext", "fd00:e::/64", mtu=1500, external=True)
    router = native.router("r1", {"red": "fd00:1::1/64"})
    gateway = RouterGateway(
        port_id="r1-gw", network_id="ext", mac="fa:16:3f:00:00:99",
        addresses=["fd00:e::9/64"], next_hops=["fd00:e::1"],
    )  # fmt: skip
    a = native.port("a1", "red", "fd00:1::11")
    red = native.network("red", "fd00:1::/64")
    await native.put(*outside, *red, native.open_group(), msgspec.structs.replace(router, gateway=gateway), a)
    await native.boot(a)
    subprocess_text("ip", "-6", "route", "add", "fd00:1::/64", "via", "fd00:e::9")
    assert await native.pings("a1", "fd00:e::1")


def drain(sock: socket.socket) -> None:
    with contextlib.suppress(TimeoutError):
        while sock.recv(65536):
            pass
