# SPDX-License-Identifier: Apache-2.0
"""Whose the device is that a port says it is in.

Services further up the street that have devices say so with `add_source` (facade.py); nothing is known of them here.
The one thing to know first: anybody writes `device_id` and `device_owner` of ports of theirs, while whoever has the
device finds its ports by these two, so a port that names another's device is refused as it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

if TYPE_CHECKING:
    from skyhold.core.app import Core

SHELF: Final = "network.devices"
OF_COMPUTE: Final = "compute:"


class Source(Protocol):
    def __call__(self, tx: Tx, ctx: Context, device_id: str, /) -> bool:
        """Whether it is a device of this service that the caller may not plug a port into."""


def sources(core: Core) -> list[Source]:
    kept: list[Source] = core.shelf.setdefault(SHELF, [])
    return kept


def add_source(core: Core, source: Source) -> None:
    if source not in sources(core):
        sources(core).append(source)


def refuse_others(tx: Tx, ctx: Context, device_owner: str, device_id: str) -> None:
    """Raises Conflict, in the words that Neutron has for routers."""
    if not device_id or not device_owner.startswith(OF_COMPUTE):
        return
    if any(source(tx, ctx, device_id) for source in sources(ctx.core)):
        raise not_owned(device_id, "server")


def not_owned(device_id: str, what: str) -> errors.Conflict:
    return errors.Conflict(
        f"The following device_id {device_id} is not owned by your tenant or matches another tenants {what}.",
        kind="DeviceIDNotOwnedByTenant",
    )
