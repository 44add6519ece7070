# SPDX-License-Identifier: Apache-2.0
"""What several lines need before they can measure, made through the public API.

Nothing here reaches into a database: a seed is what a user or administrator could have made.
"""

from __future__ import annotations

from typing import Any

from cloud import Cloud, until

NETWORK_QUOTA = ("network", "subnet", "port")
COMPUTE_QUOTA = ("instances", "cores", "ram")


def project_id(cloud: Cloud) -> str:
    found = cloud.wire().ask("GET", "/identity/v3/projects?name=admin").json["projects"]
    return str(found[0]["id"])


def lift_quotas(cloud: Cloud) -> None:
    wire, project = cloud.wire(), project_id(cloud)
    wire.ask("PUT", f"/network/v2.0/quotas/{project}", {"quota": dict.fromkeys(NETWORK_QUOTA, -1)})
    wire.ask("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": dict.fromkeys(COMPUTE_QUOTA, -1)})


def private_network(cloud: Cloud, name: str = "bench", cidr: str = "10.64.0.0/16") -> str:
    """The id of a network with one subnet of 65,000 addresses."""
    wire = cloud.wire()
    found = wire.ask("GET", f"/network/v2.0/networks?name={name}").json["networks"]
    if found:
        return str(found[0]["id"])
    network = wire.ask("POST", "/network/v2.0/networks", {"network": {"name": name}}).json["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": cidr}
    wire.ask("POST", "/network/v2.0/subnets", {"subnet": subnet})
    return str(network["id"])


def server_wish(cloud: Cloud) -> dict[str, Any]:
    """The smallest flavor, the image `tiny`, one port."""
    wire = cloud.wire()
    flavors = wire.ask("GET", "/compute/v2.1/flavors").json["flavors"]
    images = wire.ask("GET", "/image/v2/images?name=tiny").json["images"]
    return {
        "flavorRef": next(flavor["id"] for flavor in flavors if flavor["name"] == "m1.nano"),
        "imageRef": images[0]["id"],
        "networks": [{"uuid": private_network(cloud)}],
    }


def count(cloud: Cloud, status: str) -> int:
    """How many servers have this status; the first thousand are counted."""
    return len(cloud.wire().ask("GET", f"/compute/v2.1/servers?status={status}").json["servers"])


def settle(cloud: Cloud, every_s: float = 0.25) -> float:
    """Wait until no server is being built; any that failed ends the run."""
    took = until(lambda: count(cloud, "BUILD") == 0, every_s=every_s)
    if broken := count(cloud, "ERROR"):
        raise SystemExit(f"{broken} servers are in ERROR: no figure can be taken from that")
    return took
