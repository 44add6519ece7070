# SPDX-License-Identifier: Apache-2.0
"""One namespace as the engine holds it: its descriptor, its netlink channels, its nft process.

Making namespaces is in netns.py and deciding about them in kernel.py. `generation` is that of our
own last transaction, None when the rules have to be written anew.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from skyhold.network.drivers.native import names, netns
from skyhold.network.drivers.native.links import Links
from skyhold.network.drivers.native.netfilter import FlowEntry, Netfilter
from skyhold.network.drivers.native.nft import NftShell


class Space:
    """Open handles of one namespace. They keep it alive: close before removing it."""

    def __init__(self, name: str, generation: int | None) -> None:
        self.name = name
        self.fd = netns.open_namespace(name)
        with netns.inside(self.fd):
            self.links = Links()
            self.netfilter = Netfilter()
        self.shell = NftShell(self.fd)
        self.generation = generation
        self._packet: socket.socket | None = None
        self._table: tuple[int, str] | None = None

    def close(self) -> None:
        self.shell.close()
        if self._packet:
            self._packet.close()
        self.links.close()
        self.netfilter.close()
        os.close(self.fd)

    def link_names(self) -> set[str]:
        """Ten times cheaper than asking rtnetlink for everything, and asked every two seconds."""
        with netns.inside(self.fd):
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
        return {line.partition(":")[0].strip() for line in lines}

    def flows(self) -> list[FlowEntry]:
        """All tracked flows. Walking the table takes 20 ms however few they are, counting them none."""
        with netns.inside(self.fd):
            if netns.read_sysctl("net/netfilter/nf_conntrack_count") == "0":
                return []
        return self.netfilter.flows()

    def packet(self) -> socket.socket:
        """A raw packet socket that hears nothing, for announcements."""
        if self._packet is None:
            with netns.inside(self.fd):
                self._packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        return self._packet

    def remember_table(self, table: str) -> None:
        """Note how our table looks now, in a namespace where others write rules too."""
        self._table = self.netfilter.generation(), self._listing(table)

    def table_intact(self, table: str) -> bool:
        if self._table is None:
            return False
        generation = self.netfilter.generation()
        if generation == self._table[0]:
            return True
        if self._listing(table) != self._table[1]:
            return False
        self._table = generation, self._table[1]
        return True

    def _listing(self, table: str) -> str:
        return self.shell.read("list", "table", "inet", table)


def prepare(space: Space, cloud: names.CloudNames) -> None:
    """Settings of a namespace; repeated on adoption, since they cost nothing."""
    with netns.inside(space.fd):
        for path, value in (*_ALL, *(_PLANE if space.name == cloud.plane else _LEGS)):
            netns.sysctl(path, value)
        if space.name.startswith(f"{cloud.plane}-r-"):
            for path, value in _ROUTER:
                netns.sysctl(path, value)
    loopback = space.links.one("lo")
    if loopback and not loopback.up:
        space.links.change(loopback.index, up=True)


# A flow whose entry was cut must not come back to life by a packet from its middle; and one that
# passed while rules were missing must not be refused for its window afterwards.
_ALL = (
    ("net/netfilter/nf_conntrack_tcp_loose", 0),
    ("net/netfilter/nf_conntrack_tcp_be_liberal", 1),
)

# Without addresses of its own the machine can't be reached by guests over their bridge.
_PLANE = (
    ("net/ipv6/conf/all/disable_ipv6", 1),
    ("net/ipv6/conf/default/disable_ipv6", 1),
    ("net/bridge/bridge-nf-call-iptables", 1),
    ("net/bridge/bridge-nf-call-ip6tables", 1),
    ("net/bridge/bridge-nf-call-arptables", 0),
)

_LEGS = (
    ("net/ipv6/conf/all/accept_ra", 0),
    ("net/ipv6/conf/default/accept_ra", 0),
    ("net/ipv6/conf/default/accept_dad", 0),
    ("net/ipv4/conf/all/arp_ignore", 1),
    ("net/ipv4/conf/all/arp_announce", 2),
)

_ROUTER = (
    ("net/ipv4/ip_forward", 1),
    ("net/ipv4/conf/all/send_redirects", 0),
    ("net/ipv4/conf/default/send_redirects", 0),
    ("net/ipv6/conf/all/forwarding", 1),
    ("net/ipv6/conf/default/forwarding", 1),
)
