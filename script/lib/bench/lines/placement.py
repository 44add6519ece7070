# SPDX-License-Identifier: Apache-2.0
"""Placement's lines: allocation candidates over a thousand providers.

The providers are made through the placement API, each with CPUs, memory and disk.
"""

from __future__ import annotations

from typing import Any

from cloud import Cloud
from figures import Goal, Line, repeat
from wire import per_thread

PROVIDERS = "/placement/resource_providers"
VERSION = {"OpenStack-API-Version": "placement 1.39"}
ASKED = "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1&limit="
INVENTORIES = {"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 4000}


def seed(cloud: Cloud) -> None:
    wire = cloud.wire()
    have = len(wire.ask("GET", PROVIDERS, headers=VERSION).json["resource_providers"])
    for i in range(have, 1000):
        made = wire.ask("POST", PROVIDERS, {"name": f"provider-{i}"}, VERSION).json
        inventories = {name: {"total": total} for name, total in INVENTORIES.items()}
        body = {"resource_provider_generation": made["generation"], "inventories": inventories}
        wire.ask("PUT", f"{PROVIDERS}/{made['uuid']}/inventories", body, VERSION)


def candidates(cloud: Cloud, limit: int, times: int) -> dict[str, Any]:
    seed(cloud)
    wire = per_thread(cloud.wire)
    found = wire().ask("GET", f"{ASKED}{limit}", headers=VERSION).json["allocation_requests"]
    if len(found) != limit:
        raise SystemExit(f"{len(found)} candidates came instead of {limit}")
    return repeat(cloud, lambda i: wire().ask("GET", f"{ASKED}{limit}", headers=VERSION), times)


LINES = [
    Line("allocation candidates, limit 1,000", Goal("cpu_ms", 10, "<= 10 ms CPU"), lambda c: candidates(c, 1000, 100)),
    Line("allocation candidates, limit 10", Goal("cpu_ms", 1.5, "<= 1.5 ms CPU"), lambda c: candidates(c, 10, 400)),
]
