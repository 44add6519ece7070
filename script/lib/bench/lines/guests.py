# SPDX-License-Identifier: Apache-2.0
"""The line that needs a real hypervisor: from an accepted request to a running guest.

The cloud is a real one with the small guest image. The first server fetches the image to the
host and is not counted.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from cloud import Cloud, until
from figures import Goal, Line
from seeds import lift_quotas, server_wish

from lines.compute import SERVERS, create, status

BOOTS = 7


def accepted_to_running(cloud: Cloud) -> dict[str, Any]:
    """QEMU runs when the server is ACTIVE: the agent has heard its monitor say so."""
    lift_quotas(cloud)
    wish, wire = server_wish(cloud), cloud.wire()
    walls, before = [], 0.0
    for i in range(BOOTS + 1):
        if i == 1:
            before = cloud.cpu_s()
        server_id = create(wire, wish, f"guest{i}")
        began = time.perf_counter()
        until(lambda one=server_id: status(wire, one) == "ACTIVE", every_s=0.005)
        walls.append(time.perf_counter() - began)
        wire.ask("DELETE", f"{SERVERS}/{server_id}")
        until(lambda: not wire.ask("GET", SERVERS).json["servers"])
    cpu_s = (cloud.cpu_s() - before) / BOOTS
    wall_s = statistics.median(walls[1:])
    return {"cpu_ms": cpu_s * 1e3, "wall_ms": wall_s * 1e3, "note": "CPU with delete and polling, without QEMU's own"}


LINES = [Line("real server, accepted to running", Goal("wall_ms", 400, "< 400 ms wall"), accepted_to_running)]
