# SPDX-License-Identifier: Apache-2.0
"""Names of everything the native engine makes in the kernel, all derived from ids.

Creating the things is in kernel.py; what each thing should be is in plan.py. A name never
depends on what existed before, so that a restarted engine recognises its own work; only marks and
conntrack zones, which are short numbers, are kept by `Numbering`.
"""

from __future__ import annotations

import hashlib
import re

ROOT = ""
"""The machine's own namespace."""

TABLE = "skyhold"
METADATA_PORT = 9697
METADATA_IP = "169.254.169.254"

ROOT_LEG = re.compile(r"sk[0-9a-f]{8}-[0-9a-f]{4}")
"""Any cloud's leg in the machine's own namespace."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+")
_SHORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,10}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")


def short(object_id: str) -> str:
    """At most 11 characters that stand for an id in the name of a link or namespace."""
    if _UUID.fullmatch(object_id):
        return object_id[:11]
    return object_id if _SHORT.fullmatch(object_id) else digest(object_id, 11)


def word(object_id: str) -> str:
    """An id as part of an nftables identifier; different ids give different words."""
    return object_id.replace("-", "_") if _WORD.fullmatch(object_id) else "h" + digest(object_id, 32)


def digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def mac_for(text: str) -> str:
    """A stable locally administered address that no port of a guest is given."""
    raw = digest(text, 8)
    return "fe:16:" + ":".join(raw[at : at + 2] for at in range(0, 8, 2))


def bridge(network_id: str) -> str:
    return "br-" + short(network_id)


def tap(port_id: str) -> str:
    return "tap" + short(port_id)


def leg(port_id: str) -> str:
    """The bridge's end of a router's leg."""
    return "rl-" + short(port_id)


def router_leg(port_id: str) -> str:
    return "qr-" + short(port_id)


def router_gateway(port_id: str) -> str:
    return "qg-" + short(port_id)


def service_leg(network_id: str) -> str:
    """The service namespace's end; `sl-` is the bridge's."""
    return "sv-" + short(network_id)


def service_peer(network_id: str) -> str:
    return "sl-" + short(network_id)


def external_peer(network_id: str) -> str:
    """The bridge's end of the pair to the machine's own namespace."""
    return "xl-" + short(network_id)


class CloudNames:
    """Names that carry the cloud's mark, eight hex digits of its id."""

    def __init__(self, cloud_id: str) -> None:
        self.mark = digest(cloud_id, 8)
        self.plane = f"skyhold-{self.mark}"
        self.root_prefix = f"sk{self.mark}-"
        self.root_table = f"skyhold_{self.mark}"

    def router(self, router_id: str) -> str:
        return f"{self.plane}-r-{short(router_id)}"

    def service(self, network_id: str) -> str:
        return f"{self.plane}-s-{short(network_id)}"

    def root_leg(self, network_id: str) -> str:
        return self.root_prefix + digest(network_id, 4)

    def owns(self, namespace: str) -> bool:
        return namespace == self.plane or namespace.startswith(self.plane + "-")


class Numbering:
    """Gives each id a number in [1, limit], the preferred one if it is free."""

    def __init__(self, limit: int, taken: dict[str, int] | None = None) -> None:
        self.limit = limit
        self.taken = dict(taken or {})
        self._used = set(self.taken.values())

    def number(self, object_id: str, preferred: int) -> int:
        if object_id in self.taken:
            return self.taken[object_id]
        found = preferred % self.limit + 1
        while found in self._used:
            found = found % self.limit + 1
        self.taken[object_id] = found
        self._used.add(found)
        return found

    def forget(self, object_id: str) -> None:
        self._used.discard(self.taken.pop(object_id, 0))


def hashed(object_id: str) -> int:
    """The preferred number of an id that has none of its own."""
    return int(digest(object_id, 7), 16)
