# SPDX-License-Identifier: Apache-2.0
"""Hosts and servers written straight into a cloud's tables, for stories that are not about booting.

Stories of booting use the API and a fake host. Everything here goes through the stores, so the rows are
as the program itself would write them.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from skyhold.compute import hosts, states
from skyhold.compute.drivers.base import HostInventory
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.compute.tables import HOSTS, SERVERS
from skyhold.core import context
from skyhold.placement import facade as placement
from tests.kit.cloud import Cloud, Persona

OFFERED = HostInventory(
    vcpus=8, ram_mb=16384, disk_gb=100, reserved_ram_mb=512, hypervisor_type="QEMU",
    hypervisor_version=7_002_011, accelerator="tcg", cpu_model="max",
)
FLAVOR = {
    "id": "1", "name": "m1.tiny", "vcpus": 1, "ram_mb": 512, "disk_gb": 1, "ephemeral_gb": 0, "swap_mb": 0,
    "extra_specs": {},
}


@asynccontextmanager
async def a_host(cloud: Cloud, offered: HostInventory | None = OFFERED) -> AsyncIterator[tuple[str, str]]:
    """(id, name) of a host that has just connected; forgotten again, since nothing answers there."""
    host_id, name = str(uuid.uuid4()), "host-" + uuid.uuid4().hex[:8]

    def arrive(tx: Any, ctx: Any) -> None:
        hosts.connect(tx, ctx, host_id, name)
        if offered is not None:
            hosts.take_inventory(tx, ctx, host_id, offered)

    def leave(tx: Any, ctx: Any) -> None:
        tx.execute(SERVERS.delete().where(SERVERS.c.host_id == host_id))
        tx.execute(HOSTS.delete().where(HOSTS.c.id == host_id))
        for consumer_id in placement.consumers_of(tx, ctx, host_id):
            placement.release(tx, ctx, consumer_id)
        placement.remove_provider(tx, ctx, host_id)

    await context.internal(cloud.core).write(arrive)
    try:
        yield host_id, name
    finally:
        await context.internal(cloud.core).write(leave)


async def add_server(cloud: Cloud, owner: Persona, **values: Any) -> Any:
    """The row of an active server of this project."""
    row = {
        "id": str(uuid.uuid4()), "project_id": owner.project_id, "user_id": owner.user_id, "name": "web",
        "hostname": "web", "state": states.ACTIVE, "task": None, "power": states.POWER_RUNNING,
        "image_id": "", "flavor_id": "1", "flavor": FLAVOR, "keys": [], "config_drive": False,
        "metadata": {}, "properties": {}, "availability_zone": hosts.ZONE, "reservation_id": "r-1",
        "launch_index": 0, "access_ip_v4": "", "access_ip_v6": "", "disk_config": "AUTO", "revision": 0,
    } | values
    return await context.internal(cloud.core).write(lambda tx, ctx: SERVERS_STORE.insert(tx, **row))


async def remove_server(cloud: Cloud, server: Any) -> None:
    """As after a deletion: the row stays, out of sight."""

    def write(tx: Any, ctx: Any) -> None:
        SERVERS_STORE.update(tx, server, state=states.DELETED, deleted_at=tx.now)

    await context.internal(cloud.core).write(write)
