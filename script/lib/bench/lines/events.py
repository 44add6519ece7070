# SPDX-License-Identifier: Apache-2.0
"""Events' line: how long after a change was answered a stream has told of it.

The stream stays open all the while, as a client's does; it is told by a bell and looks by itself only now and then.
"""

from __future__ import annotations

import http.client
import statistics
import time
from typing import Any

from cloud import Cloud
from figures import Goal, Line

STREAM = "/events/v1/events?kind=region"
TOLD = 50


def stream(cloud: Cloud) -> dict[str, Any]:
    wire = cloud.wire()
    line = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=30)
    line.request("GET", STREAM, headers={"X-Auth-Token": cloud.sign_in(wire), "Accept": "text/event-stream"})
    told = line.getresponse()
    until_line(told, b"retry:")
    walls, cpu_before = [], cloud.cpu_s()
    for i in range(TOLD):
        wire.ask("POST", "/identity/v3/regions", {"region": {"id": f"streamed{i}"}})
        began = time.perf_counter()
        until_line(told, b"event: region.create")
        walls.append(time.perf_counter() - began)
    line.close()
    return {"cpu_ms": (cloud.cpu_s() - cpu_before) / TOLD * 1e3, "wall_ms": statistics.median(walls) * 1e3}


def until_line(told: http.client.HTTPResponse, start: bytes) -> None:
    while not (line := told.readline()).startswith(start):
        if not line:
            raise SystemExit("the stream of events ended")


LINES = [Line("an event on a stream", Goal("wall_ms", 100, "< 100 ms wall"), stream)]
