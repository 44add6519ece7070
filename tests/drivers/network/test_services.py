# SPDX-License-Identifier: Apache-2.0
"""What a guest's own programs get from the native engine: an address, names, metadata, a router.

The responders' packets are tested in tests/unit/network; here they must get through the taps and
the filters, and metadata must know who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from skyhold.network.drivers.base import Port
from skyhold.network.drivers.native import names
from skyhold.network.drivers.native.dns_message import A
from tests.drivers.network.conftest import native_lab
from tests.drivers.network.guests import Guest
from tests.drivers.network.labs import NativeLab, eventually
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.root


class Door:
    """A MetadataDoor that answers every connection with the name of whom it believes to face."""

    def __init__(self) -> None:
        self.opened: dict[str, socket.socket] = {}

    async def open(self, key: str, sock: socket.socket, who: Callable[[str], str | None]) -> None:
        sock.setblocking(True)
        self.opened[key] = sock
        threading.Thread(target=self._serve, args=(sock, who), daemon=True).start()

    async def close(self, key: str) -> None:
        sock = self.opened.pop(key, None)
        if sock:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _serve(self, sock: socket.socket, who: Callable[[str], str | None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, peer = sock.accept()
                one.sendall(str(who(peer[0])).encode() + b"\n")
                one.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[NativeLab]:
    made = await native_lab(tmp_path, metadata=Door())
    await made.engine.start()
    yield made
    await made.close()
    assert not made.metadata.opened


async def asks(guest: Guest, ip: str = "169.254.169.254", port: int = 80) -> str | None:
    """What the metadata door answers a guest, None if it can't be reached."""
    flow = await asyncio.to_thread(guest.connect, ip, port, 1.0)
    if flow is None:
        return None
    answer = await asyncio.to_thread(flow.seen_as)
    flow.close()
    return answer


def routed(lab: NativeLab) -> list[object]:
    """The network red and its router."""
    return [*lab.network("red", "10.1.0.0/24"), lab.router("r1", {"red": "10.1.0.1/24"})]


async def boot(lab: NativeLab, *ports: Port, network: list[object]) -> None:
    await lab.put(*network, lab.open_group(), *ports)
    await lab.boot(*ports)


async def test_metadata_knows_who_asks_on_an_isolated_network(served: NativeLab) -> None:
    a, b = served.port("a1", "red", "10.1.0.11"), served.port("b1", "red", "10.1.0.12")
    await boot(served, a, b, network=served.network("red", "10.1.0.0/24", dhcp=True))
    for name in ("a1", "b1"):
        served.guests[name].run("ip", "route", "add", "169.254.169.254/32", "via", "10.1.0.2")
        assert await asks(served.guests[name]) == f"server-{name}"


async def test_metadata_through_the_router_knows_who_asks(served: NativeLab) -> None:
    a, b = served.port("a1", "red", "10.1.0.11"), served.port("b1", "blue", "10.1.0.11")
    networks = [*served.network("red", "10.1.0.0/24"), *served.network("blue", "10.1.0.0/24")]
    routers = [served.router(f"r-{one}", {one: "10.1.0.1/24"}) for one in ("red", "blue")]
    await boot(served, a, b, network=[*networks, *routers])
    assert await asks(served.guests["a1"]) == "server-a1"
    assert await asks(served.guests["b1"]) == "server-b1"


async def test_metadata_follows_a_port_that_changes_hands(served: NativeLab) -> None:
    a = served.port("a1", "red", "10.1.0.11")
    await boot(served, a, network=routed(served))
    await served.put(served.port("z9", "red", "10.1.0.99"))
    assert await asks(served.guests["a1"]) == "server-a1"
    await served.drop(a)
    wanted = served.port("b1", "red", "10.1.0.11")
    await served.put(wanted)
    await served.boot(wanted)
    assert await asks(served.guests["b1"]) == "server-b1"


async def test_metadata_is_not_reached_from_outside(served: NativeLab) -> None:
    router = served.router("r1", {"red": "10.1.0.1/24"}, public=served.public[9])
    a = served.port("a1", "red", "10.1.0.11")
    await boot(served, a, network=[*served.external(), *served.network("red", "10.1.0.0/24"), router])
    assert await asks(served.guests["a1"]) == "server-a1"
    assert not await served.connects("outside", served.public[9], 9697, 0.3)


async def test_metadata_survives_a_restart(served: NativeLab) -> None:
    a = served.port("a1", "red", "10.1.0.11")
    await boot(served, a, network=routed(served))
    await served.restart()
    assert await asks(served.guests["a1"]) == "server-a1"


async def test_a_guest_gets_its_address_by_dhcp(served: NativeLab, tmp_path: Path) -> None:
    a = served.port("a1", "red", "10.1.0.11", ("shut",))
    await served.put(*served.network("red", "10.1.0.0/24", dhcp=True), served.group("shut"), a)
    await served.boot(a)
    guest = served.guests["a1"]
    guest.run("ip", "addr", "flush", "dev", "eth0")
    script = tmp_path / "lease"
    script.write_text(f'#!/bin/sh\n[ "$1" = bound ] && env > {tmp_path}/env; exit 0\n')
    script.chmod(0o755)
    client = ("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t60", "-T1", "-O", "staticroutes", "-s", str(script))
    done = await asyncio.to_thread(guest.run, *client)
    assert done.returncode == 0, done.stderr
    lease = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert (lease["ip"], lease["mask"], lease["dns"]) == ("10.1.0.11", "24", "10.1.0.2")
    assert "169.254.169.254/32 10.1.0.2" in lease["staticroutes"]


async def test_names_of_the_network_are_answered(served: NativeLab) -> None:
    a = served.port("a1", "red", "10.1.0.11", hostname="alpha")
    b = served.port("b1", "red", "10.1.0.12", hostname="beta")
    network = served.network("red", "10.1.0.0/24", dhcp=True, dns_domain="red.example")
    await boot(served, a, b, network=network)
    name = b"\x04beta\x03red\x07example\0"
    question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + name + A.to_bytes(2, "big") + b"\0\x01"
    sock = served.guests["a1"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE_S)
    sock.sendto(question, ("10.1.0.2", 53))
    answer = await asyncio.to_thread(sock.recv, 512)
    sock.close()
    assert socket.inet_aton("10.1.0.12") in answer


async def test_ipv6_guests_configure_themselves_and_find_the_router(served: NativeLab) -> None:
    network = served.network("six", "fd00:1::/64", dhcp=True, ra_mode="slaac", address_mode="slaac")
    other = served.network("far", "fd00:2::/64")
    eui = "fd00:1::f816:3eff:fe61:1"
    a, b = served.port("a1", "six", eui), served.port("b1", "far", "fd00:2::12")
    router = served.router("r1", {"six": "fd00:1::1/64", "far": "fd00:2::1/64"})
    await served.put(*network, *other, served.open_group(), router, a, b)
    await served.boot(b)
    await served.boot(a, bare=True)
    found = await eventually(lambda: eui in served.guests["a1"].run("ip", "-6", "addr").stdout)
    assert found, served.guests["a1"].run("ip", "-6", "addr").stdout
    assert await eventually(lambda: served.pings("a1", "fd00:2::12", 0.5))
    # Advertisements leave from another port of the bridge in the router's name, which must not learn it.
    inside = ["ip", "netns", "exec", served.engine.names.plane]
    command = [*inside, "bridge", "-d", "link", "show", "dev", names.service_peer("six")]
    port = (await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)).stdout
    assert "learning off" in port
