# SPDX-License-Identifier: Apache-2.0
"""Compute's lines: servers created on the fake hypervisor, fifty at once, a thousand listed.

Every server has a port. A server counts when it is ACTIVE, so the saga, the host agent and the
network's wiring are in the figure.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from cloud import Cloud, until
from figures import Goal, Line, repeat, together
from seeds import lift_quotas, server_wish, settle
from wire import Wire

SERVERS = "/compute/v2.1/servers"
MEASURED = 100
WATCHED = 15
AT_ONCE = 50
UNSEEN = range(80, 95)
"""Microversions that nobody has asked in: each shows every server for the first time."""
LATEST = {"OpenStack-API-Version": "compute latest"}


def server_create(cloud: Cloud) -> dict[str, Any]:
    """CPU over a hundred of them; wall of single ones, asked about every 5 ms."""
    lift_quotas(cloud)
    wish, wire = server_wish(cloud), cloud.wire()
    for i in range(5):
        create(wire, wish, f"warm{i}")
    settle(cloud)
    cpu_before, began = cloud.cpu_s(), time.perf_counter()
    for i in range(MEASURED):
        create(wire, wish, f"s{i}")
    settle(cloud)
    cpu_s, took_s = cloud.cpu_s() - cpu_before, time.perf_counter() - began
    walls = [timed_boot(wire, wish, f"watched{i}") for i in range(WATCHED)]
    return {
        "cpu_ms": cpu_s / MEASURED * 1e3, "wall_ms": statistics.median(walls) * 1e3, "per_s": MEASURED / took_s,
    }


def create(wire: Wire, wish: dict[str, Any], name: str) -> str:
    return str(wire.ask("POST", SERVERS, {"server": {"name": name, **wish}}).json["server"]["id"])


def timed_boot(wire: Wire, wish: dict[str, Any], name: str) -> float:
    began = time.perf_counter()
    server_id = create(wire, wish, name)
    until(lambda: status(wire, server_id) == "ACTIVE", every_s=0.005)
    return time.perf_counter() - began


def status(wire: Wire, server_id: str) -> str:
    return str(wire.ask("GET", f"{SERVERS}/{server_id}").json["server"]["status"])


def fifty_at_once(cloud: Cloud) -> dict[str, Any]:
    """Fifty clients, each with a connection of its own; the clock runs until the last is ACTIVE."""
    lift_quotas(cloud)
    wish = server_wish(cloud)
    create(cloud.wire(), wish, "warm")
    settle(cloud)
    walls, cpus = [], []
    for turn in range(3):
        wires = [cloud.wire() for _ in range(AT_ONCE)]
        gate = threading.Barrier(AT_ONCE + 1)
        cpu_before = cloud.cpu_s()
        crowd = threading.Thread(target=rush, args=(wires, wish, gate, turn))
        crowd.start()
        gate.wait()
        began = time.perf_counter()
        crowd.join()
        settle(cloud, every_s=0.05)
        walls.append(time.perf_counter() - began)
        cpus.append((cloud.cpu_s() - cpu_before) / AT_ONCE)
    wall_s = statistics.median(walls)
    return {"cpu_ms": statistics.median(cpus) * 1e3, "wall_ms": wall_s * 1e3, "per_s": AT_ONCE / wall_s}


def rush(wires: list[Wire], wish: dict[str, Any], gate: threading.Barrier, turn: int) -> None:
    def one(number: int) -> None:
        gate.wait()
        create(wires[number], wish, f"rush{turn}-{number}")

    together(one, list(range(len(wires))))


def list_detail(cloud: Cloud) -> dict[str, Any]:
    """In the newest version, which shows the most. Who asks again is told faster; the first time is in the note."""
    lift_quotas(cloud)
    wish, wire = server_wish(cloud), cloud.wire()
    while missing := 1000 - len(wire.ask("GET", SERVERS + "?limit=1000").json["servers"]):
        many = min(missing, 100)
        wire.ask("POST", SERVERS, {"server": {"name": "many", **wish, "min_count": many, "max_count": many}})
        settle(cloud)
    listed = wire.ask("GET", SERVERS + "/detail?limit=1000", headers=LATEST).json["servers"]
    if len(listed) != 1000 or not all(server["addresses"] for server in listed):
        raise SystemExit("the list does not show 1,000 servers with their addresses")
    cpu_before = cloud.cpu_s()
    for minor in UNSEEN:
        wire.ask("GET", SERVERS + "/detail?limit=1000", headers={"OpenStack-API-Version": f"compute 2.{minor}"})
    first_ms = (cloud.cpu_s() - cpu_before) / len(UNSEEN) * 1e3
    return repeat(
        cloud, lambda i: wire.ask("GET", SERVERS + "/detail?limit=1000", headers=LATEST), 30, lanes=0
    ) | {"note": f"1,000 servers with ports; asked for the first time {first_ms:.0f} ms"}


LINES = [
    Line("server create to ACTIVE", Goal("cpu_ms", 25, "<= 25 ms CPU"), server_create),
    Line("50 servers at once, all ACTIVE", Goal("wall_ms", 3000, "< 3 s wall"), fifty_at_once),
    Line("GET /servers/detail of 1,000", Goal("cpu_ms", 40, "<= 40 ms CPU"), list_detail),
]
