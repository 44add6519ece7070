# SPDX-License-Identifier: Apache-2.0
"""Removing a server: the guest from its host, then everything that was held for it, in one commit.

A host that is away doesn't hold this up (outcomes.py). One that can't remove the guest is asked until the deadline:
what the guest still uses must not be another's meanwhile.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from skyhold.compute import states
from skyhold.compute.quotas import QUOTA
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers import ops, volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.compute.tables import SERVER_TAGS
from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.network import facade as network
from skyhold.placement import facade as placement


class Delete(Saga):
    kind = "compute.delete"
    steps: ClassVar[list[str]] = ["remove_guest"]

    async def remove_guest(self, s: Run) -> Outcome:
        server = await s.read(found, s.subject)
        return None if server is None else await outcomes.remove_guest(s, server.host_id)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        forget(tx, ctx, s.subject)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        """Not removed in all that time: the server rests in ERROR and may be deleted again."""
        server = SERVERS_STORE.find(tx, s.subject, lock=True)
        if server is not None:
            fault = outcomes.fault(s.error, tx.now)
            server = SERVERS_STORE.move(tx, server, server.state, states.ERROR, task=None, fault=fault)
            journal.record(tx, "server.delete.error", server)


def found(tx: Tx, ctx: Context, server_id: str) -> Any:
    return SERVERS_STORE.find(tx, server_id)


def forget(tx: Tx, ctx: Context, server_id: str) -> None:
    """Ports, room, quota, tags and volumes that were to go go with the server; its row stays, marked as deleted."""
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    if server is None:
        return
    network.release(tx, ctx, server.id)
    volumes.let_go(tx, ctx, server.id)
    placement.release(tx, ctx, server.id)
    QUOTA.give(tx, server.project_id, instances=1, **ops.cost(server.flavor))
    tx.execute(SERVER_TAGS.delete().where(SERVER_TAGS.c.server_id == sa.bindparam("gone")), {"gone": server.id})
    server = SERVERS_STORE.move(
        tx, server, server.state, states.DELETED, task=None, host_id=None, power=states.POWER_NONE,
        deleted_at=tx.now, terminated_at=tx.now, user_data=None, admin_pass=None,
    )
    journal.record(tx, "server.delete.end", server)
