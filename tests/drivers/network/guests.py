# SPDX-License-Identifier: Apache-2.0
"""Guests for the network tests: a namespace with a tap of its own, pumped to the engine's tap.

The labs that use them are in labs.py. Frames pass through the very descriptor that QEMU would get,
virtio header included; everything is named by this process and removed by close().
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import struct
import subprocess
import threading
import time

from skyhold.network.drivers.native import netns, tap
from tests.kit.patience import PATIENCE_S

PREFIX = f"shtest-{os.getpid()}-"
_numbers = itertools.count(1)


class Guest:
    """A machine behind one port. `fd` is the engine's tap; `gateway` its default route."""

    def __init__(
        self, fd: int, mac: str, addresses: list[str], gateways: list[str], mtu: int, accept_ra: bool = False
    ) -> None:
        self.name = f"{PREFIX}{next(_numbers)}"
        self.mac = mac
        netns.create(self.name)
        self._namespace = netns.open_namespace(self.name)
        with netns.inside(self._namespace):
            netns.sysctl("net/ipv6/conf/default/accept_dad", 0)
            netns.sysctl("net/ipv6/conf/default/accept_ra", int(accept_ra))
            self._own = tap.attach("eth0")
        batch = [f"link set lo up\nlink set eth0 address {mac} mtu {mtu} up"]
        batch += [f"addr add {one} dev eth0" for one in addresses]
        batch += [f"route add default via {one} dev eth0" for one in gateways]
        self.run("ip", "-batch", "-", said="\n".join(batch))
        self._servers: list[EchoServer] = []
        self._pump = Pump(fd, self._own)

    def run(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *arguments],
            input=said, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False,
        )  # fmt: skip

    def socket(self, *arguments: int) -> socket.socket:
        with netns.inside(self._namespace):
            return socket.socket(*arguments)

    def ping(self, ip: str, timeout_s: float = PATIENCE_S, size: int = 56) -> bool:
        done = self.run("ping", "-c1", f"-W{timeout_s}", f"-s{size}", ip)
        return done.returncode == 0

    def connect(self, ip: str, port: int, timeout_s: float = PATIENCE_S) -> Flow | None:
        """A TCP connection to an echo server, or None if it doesn't come about."""
        return connect(self.socket(_family(ip), socket.SOCK_STREAM), ip, port, timeout_s)

    def serve(self, port: int) -> EchoServer:
        server = EchoServer(self.socket(socket.AF_INET6, socket.SOCK_STREAM), port)
        self._servers.append(server)
        return server

    def packet(self) -> socket.socket:
        """A raw socket on the guest's own interface."""
        with netns.inside(self._namespace):
            return sniffer("eth0")

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._pump.close()
        os.close(self._own)
        os.close(self._namespace)
        netns.remove(self.name)


class World:
    """Somebody beyond the machine: a namespace on a pair of links, with an address of its own."""

    machine_ip, ip = "198.51.100.1", "198.51.100.2"

    def __init__(self) -> None:
        self.name = f"{PREFIX}world{next(_numbers)}"
        link = f"sht{os.getpid() % 100000}w"
        netns.create(self.name)
        self._namespace = netns.open_namespace(self.name)
        self._server: EchoServer | None = None
        here = f"link add {link} type veth peer name eth0 netns {self.name}\nlink set {link} up\n"
        here += f"addr add {self.machine_ip}/30 dev {link}"
        there = f"link set eth0 up\naddr add {self.ip}/30 dev eth0"
        there += f"\nroute add default via {self.machine_ip}"
        subprocess.run(["ip", "-batch", "-"], input=here, text=True, check=True, capture_output=True)
        command = ["ip", "-n", self.name, "-batch", "-"]
        subprocess.run(command, input=there, text=True, check=True, capture_output=True)

    def serve(self, port: int) -> None:
        with netns.inside(self._namespace):
            self._server = EchoServer(socket.socket(socket.AF_INET6, socket.SOCK_STREAM), port)

    def packet(self) -> socket.socket:
        with netns.inside(self._namespace):
            return sniffer("eth0")

    def close(self) -> None:
        if self._server:
            self._server.close()
        os.close(self._namespace)
        netns.remove(self.name)


def sniffer(device: str) -> socket.socket:
    """A raw socket that hears everything on a link of this thread's namespace."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
    sock.bind((device, 3))
    sock.settimeout(0.05)
    return sock


class Pump:
    """Copies frames both ways between two taps, in a thread."""

    def __init__(self, one: int, other: int) -> None:
        self._ends = {one: other, other: one}
        self._theirs = one
        self._stop, self._bell = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.write(self._bell, b"x")
        self._thread.join()
        for fd in (self._theirs, self._stop, self._bell):
            os.close(fd)

    def _run(self) -> None:
        while True:
            ready = select.select([self._stop, *self._ends], [], [])[0]
            if self._stop in ready:
                return
            for fd in ready:
                # A tap that was deleted under us reads as an error until it's closed.
                with contextlib.suppress(OSError):
                    os.write(self._ends[fd], os.read(fd, 70000))


class Flow:
    """An established TCP connection to an echo server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.peer = sock.getpeername()[0]

    def alive(self, wait_s: float) -> bool:
        """Whether a byte still comes back."""
        word = os.urandom(8)
        self.sock.settimeout(wait_s)
        try:
            self.sock.sendall(word)
            ends = time.monotonic() + wait_s
            heard = b""
            while word not in heard and time.monotonic() < ends:
                heard += self.sock.recv(4096)
            return word in heard
        except OSError:
            return False

    def seen_as(self) -> str:
        """The address the server saw us with: it says so in its first line."""
        self.sock.settimeout(PATIENCE_S)
        return self.sock.recv(64).decode().strip()

    def close(self) -> None:
        self.sock.close()


class EchoServer:
    """Says who it sees, then returns what it gets; one thread per connection."""

    def __init__(self, sock: socket.socket, port: int, ip: str = "::") -> None:
        self._sock = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((ip, port))
        sock.listen(16)
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for one in self._connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def push(self, word: bytes) -> None:
        """Say something unasked on every connection."""
        for one in self._connections:
            one.sendall(word)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, peer = self._sock.accept()
                self._connections.append(one)
                threading.Thread(target=self._echo, args=(one, peer[0]), daemon=True).start()

    def _echo(self, one: socket.socket, peer: str) -> None:
        with contextlib.suppress(OSError):
            one.sendall(peer.removeprefix("::ffff:").encode() + b"\n")
            while heard := one.recv(4096):
                one.sendall(heard)


def connect(sock: socket.socket, ip: str, port: int, timeout_s: float) -> Flow | None:
    sock.settimeout(timeout_s)
    try:
        sock.connect((ip, port))
    except OSError:
        sock.close()
        return None
    return Flow(sock)


def arp(source_mac: str, sender_mac: str, sender_ip: str, target_ip: str, operation: int = 1) -> bytes:
    """An ARP frame; who sends it and whom it speaks of can differ."""
    head = b"\xff" * 6 + mac_bytes(source_mac) + b"\x08\x06"
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    sender = mac_bytes(sender_mac) + socket.inet_aton(sender_ip)
    return head + body + sender + bytes(6) + socket.inet_aton(target_ip)


def udp(macs: tuple[str, str], ips: tuple[str, str], ports: tuple[int, int], payload: bytes) -> bytes:
    """An IPv4 UDP frame (source, destination each), without UDP checksum."""
    length = 20 + 8 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 1, 0, 64, 17, 0)
    head += socket.inet_aton(ips[0]) + socket.inet_aton(ips[1])
    head = head[:10] + checksum(head) + head[12:]
    body = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return mac_bytes(macs[1]) + mac_bytes(macs[0]) + b"\x08\x00" + head + body


def checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def heard(sock: socket.socket, wanted: bytes, wait_s: float) -> bool:
    """Whether a frame that contains `wanted` comes in."""
    ends = time.monotonic() + wait_s
    while time.monotonic() < ends:
        with contextlib.suppress(TimeoutError):
            if wanted in sock.recv(65536):
                return True
    return False


def _family(ip: str) -> int:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET
