# SPDX-License-Identifier: Apache-2.0
"""Decisions about flavors, and the look-up that creating a server uses.

HTTP is api.py, queries store.py. A server keeps a snapshot of its flavor, so changing or deleting a
flavor never touches the servers made with it.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute.flavors import store
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

# ---- for servers ---------------------------------------------------------------------------


def lookup(tx: Tx, ctx: Context, flavor_id: str) -> Any:
    """The row of a flavor that the caller may make a server with; Invalid when there is none."""
    row = store.find(tx, ctx, flavor_id)
    if row is None or row.disabled:
        raise errors.Invalid(f"Flavor {flavor_id} could not be found.", reason="flavor_not_found")
    return row


def snapshot(row: Any) -> dict[str, Any]:
    """What a server keeps of its flavor: id, name, vcpus, ram_mb, disk_gb, ephemeral_gb, swap_mb and
    extra_specs."""
    return {
        "id": row.id, "name": row.name, "vcpus": row.vcpus, "ram_mb": row.ram_mb, "disk_gb": row.disk_gb,
        "ephemeral_gb": row.ephemeral_gb, "swap_mb": row.swap_mb, "extra_specs": dict(row.extra_specs),
    }
