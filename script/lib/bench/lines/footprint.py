# SPDX-License-Identifier: Apache-2.0
"""What the cloud costs when nobody asks: its start, its memory, its idle CPU time.

Memory is the proportional set size, so what processes share is counted once.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from cloud import Cloud
from figures import Goal, Line
from wire import Wire

IDLE_S = 10.0
STARTS = 3


def idle_memory(cloud: Cloud) -> dict[str, Any]:
    """After a token and a list of each service, so that nothing is left to be loaded lazily, and a rest."""
    wire = cloud.wire()
    for path in (
        "/compute/v2.1/servers/detail", "/network/v2.0/networks", "/image/v2/images", "/identity/v3/projects",
        "/placement/resource_providers",
    ):
        wire.ask("GET", path)
    before = cloud.cpu_s()
    time.sleep(IDLE_S)
    idle_ms = (cloud.cpu_s() - before) / IDLE_S * 1e3
    pids = cloud.pids()
    mib = cloud.pss_mib()
    return {"amount": mib, "note": f"{mib:.0f} MiB in {len(pids)} processes; idle {idle_ms:.1f} ms CPU per second"}


def start(cloud: Cloud) -> dict[str, Any]:
    """From `skyhold up` on an installed, stopped cloud to a token in hand, host agent connected."""
    walls, cpus = [], []
    for _ in range(STARTS):
        cloud.down()
        # The cloud's own processes are new; a database server goes on.
        before, began = cloud.cpu_s(), time.perf_counter()
        cloud.up()
        cloud.sign_in(Wire(cloud.port))
        walls.append(time.perf_counter() - began)
        cpus.append(cloud.cpu_s() - before)
    return {"cpu_ms": statistics.median(cpus) * 1e3, "wall_ms": statistics.median(walls) * 1e3}


LINES = [
    Line("idle memory of all processes", Goal("amount", 300, "< 300 MiB PSS"), idle_memory),
    Line("start to first token", Goal("wall_ms", 3000, "< 3 s wall"), start),
]
