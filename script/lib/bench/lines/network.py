# SPDX-License-Identifier: Apache-2.0
"""Network's lines: creating networks and ports.

Quotas are lifted through the API, as an administrator would.
"""

from __future__ import annotations

from typing import Any

from cloud import Cloud
from figures import Goal, Line, repeat
from seeds import lift_quotas, private_network
from wire import per_thread


def network_create(cloud: Cloud) -> dict[str, Any]:
    lift_quotas(cloud)
    wire = per_thread(cloud.wire)
    return repeat(
        cloud, lambda i: wire().ask("POST", "/network/v2.0/networks", {"network": {"name": f"n{i}"}}), 300, warm=10
    )


def port_create(cloud: Cloud) -> dict[str, Any]:
    lift_quotas(cloud)
    network_id = private_network(cloud)
    wire = per_thread(cloud.wire)

    def create(i: int) -> None:
        wire().ask("POST", "/network/v2.0/ports", {"port": {"name": f"p{i}", "network_id": network_id}})

    return repeat(cloud, create, 300, warm=10)


LINES = [
    Line("network create", Goal("cpu_ms", 3, "<= 3 ms CPU"), network_create),
    Line("port create", Goal("cpu_ms", 6, "<= 6 ms CPU"), port_create),
]
