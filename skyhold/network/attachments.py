# SPDX-License-Identifier: Apache-2.0
"""Letting go of floating IPs when what they stand for goes away.

Associating is floating_ips.py. A port that is deleted, or loses the address, takes the
association with it; the floating IP stays its project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core.db.tx import Tx
from skyhold.network import changes
from skyhold.network.tables import FLOATING_IPS


def let_go(tx: Tx, port_ids: Sequence[str], ips: Sequence[str] | None = None) -> None:
    """Floating IPs of these ports, or only those of some of their addresses, stand for nothing now."""
    if not port_ids or ips == []:
        return
    table = FLOATING_IPS
    where: Any = table.c.port_id.in_(port_ids)
    if ips is not None:
        where &= table.c.fixed_ip.in_(ips)
    ids = [row.id for row in tx.all(sa.select(table.c.id).where(where))]
    if ids:
        tx.execute(table.update().where(table.c.id.in_(ids)).values(
            port_id=None, fixed_ip=None, router_id=None, status="DOWN", revision=table.c.revision + 1,
            updated_at=tx.now,
        ))
        changes.mark(tx, "FloatingIp", ids)
