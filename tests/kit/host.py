# SPDX-License-Identifier: Apache-2.0
"""A host in the test's process: the real agent on the real bus, with the fake drivers.

The cloud it joins is tests/kit/cloud.py's. `driver` and `engine` can be told to fail or be slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from skyhold.compute.tables import HOSTS
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.settings.sections import Host
from skyhold.core.settings.whole import Settings
from skyhold.host.machine import Machine
from tests.kit.patience import until


@asynccontextmanager
async def fake_host(core: Core, home: Path, name: str = "host-1", **offer: int) -> AsyncIterator[Machine]:
    """Connected and known to compute when entered; when left it is gone for good, and no boot waits for it."""
    settings = msgspec.structs.replace(
        core.settings,
        host=Host(hypervisor="fake", network="fake", uuid=uuid_of(name), name=name, **offer),
    )
    machine = Machine(Elsewhere(settings, home / name))
    task = asyncio.create_task(machine.run())
    try:
        await until(lambda: core.bus.connected(machine.host_id))
        yield machine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not core.bus.connected(machine.host_id))
        await internal(core).write(long_gone, machine.host_id)


def long_gone(tx: Tx, ctx: Context, host_id: str) -> None:
    tx.execute(HOSTS.update().where(HOSTS.c.id == host_id).values(connected=False, seen_at=0))


class Elsewhere:
    """The cloud's settings, but a state directory of the host's own: several hosts share a machine here."""

    def __init__(self, settings: Settings, hosts_dir: Path) -> None:
        self._settings = settings
        self.hosts_dir = hosts_dir
        self.host_uuid = settings.host.uuid
        self.host_name = settings.host.name

    def __getattr__(self, name: str) -> object:
        return getattr(self._settings, name)


def uuid_of(name: str) -> str:
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
