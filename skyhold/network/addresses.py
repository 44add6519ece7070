# SPDX-License-Identifier: Apache-2.0
"""Giving addresses to ports and taking them back: rows of network_addresses.

The arithmetic is logic/addresses.py. A subnet's next free address costs a fixed number of
statements whatever its size: each pool has a cursor that only moves on, and what was given back
below it waits in network_holes, so an address rests as long as possible before somebody gets it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.db.tx import Tx
from skyhold.network.logic import addresses as logic
from skyhold.network.tables import ADDRESSES, HOLES, POOLS, PORTS

TRIES = 64
SUBNET: Any = sa.bindparam("subnet")

NEXT_POOL = (
    sa.select(POOLS.c.position, POOLS.c.next, POOLS.c.last)
    .where(POOLS.c.subnet_id == SUBNET, POOLS.c.next <= POOLS.c.last)
    .order_by(POOLS.c.position)
    .limit(1)
    .with_for_update()
)
ADVANCE = (
    POOLS.update()
    .where(POOLS.c.subnet_id == SUBNET, POOLS.c.position == sa.bindparam("at_position"))
    .values(next=sa.bindparam("after"))
)
OLDEST_HOLE = sa.select(HOLES.c.id, HOLES.c.place).where(HOLES.c.subnet_id == SUBNET).order_by(HOLES.c.id).limit(1)
FILL = HOLES.delete().where(HOLES.c.id == sa.bindparam("hole"))
FILL_PLACE = HOLES.delete().where(HOLES.c.subnet_id == SUBNET, HOLES.c.place == sa.bindparam("spot"))
BEHIND_CURSOR = sa.select(POOLS.c.position).where(
    POOLS.c.subnet_id == SUBNET, POOLS.c.first <= sa.bindparam("spot"), POOLS.c.next > sa.bindparam("spot")
)
POOL_AROUND = (
    sa.select(POOLS.c.next)
    .where(POOLS.c.subnet_id == SUBNET, POOLS.c.first <= sa.bindparam("spot"), POOLS.c.last >= sa.bindparam("spot"))
    .with_for_update(read=True)
)
FOLLOWING = ADDRESSES.alias("following")
END_OF_RUN = (
    # The first free place at or after `spot`, where `spot` itself is taken.
    sa.select(sa.func.min(ADDRESSES.c.place) + 1)
    .select_from(ADDRESSES.outerjoin(
        FOLLOWING,
        (FOLLOWING.c.subnet_id == ADDRESSES.c.subnet_id) & (FOLLOWING.c.place == ADDRESSES.c.place + 1),
    ))
    .where(ADDRESSES.c.subnet_id == SUBNET, ADDRESSES.c.place >= sa.bindparam("spot"), FOLLOWING.c.place.is_(None))
)


def open_pools(tx: Tx, subnet_id: str, pools: list[logic.Range]) -> None:
    """The cursors of a new subnet, or of one whose pools changed (taken addresses are stepped over)."""
    tx.execute(POOLS.delete().where(POOLS.c.subnet_id == subnet_id))
    tx.execute(HOLES.delete().where(HOLES.c.subnet_id == subnet_id))
    rows = [
        {"subnet_id": subnet_id, "position": i, "first": pool.first, "next": pool.first,
         "last": min(pool.last, logic.LARGEST_PLACE)}
        for i, pool in enumerate(pools) if pool.first <= logic.LARGEST_PLACE
    ]
    if rows:
        tx.execute(POOLS.insert(), rows)


def close_pools(tx: Tx, subnet_id: str) -> None:
    tx.execute(POOLS.delete().where(POOLS.c.subnet_id == subnet_id))
    tx.execute(HOLES.delete().where(HOLES.c.subnet_id == subnet_id))


def take(tx: Tx, subnet: Any, port_id: str, ip: str, rank: int = 0) -> str:
    """This very address; Conflict (IpAddressInUse) when somebody has it."""
    from skyhold.network.ports.store import holders

    spot = logic.place(subnet.cidr, ip)
    if not _claim(tx, subnet.id, ip, spot, port_id, rank):
        had = sa.select(ADDRESSES.c.port_id).where(ADDRESSES.c.subnet_id == subnet.id, ADDRESSES.c.ip == ip)
        raise errors.Conflict(
            f"Unable to complete operation for network {subnet.network_id}. The IP address {ip} is in use. "
            f"The port that has it: {holders(tx, tx.ctx, PORTS.c.id.in_(had))}.",
            kind="IpAddressInUse",
        )
    if spot is not None:
        tx.execute(FILL_PLACE, {"subnet": subnet.id, "spot": spot})
    return ip


def take_next(tx: Tx, subnet: Any, port_id: str, rank: int = 0) -> str | None:
    """The next free address of the subnet's pools, None when there is none."""
    for _ in range(TRIES):
        pool = tx.first(NEXT_POOL, {"subnet": subnet.id})
        if pool is None:
            return _take_hole(tx, subnet, port_id, rank)
        ip = logic.at(subnet.cidr, pool.next)
        taken = _claim(tx, subnet.id, ip, pool.next, port_id, rank)
        after = pool.next + 1 if taken else tx.scalar(END_OF_RUN, {"subnet": subnet.id, "spot": pool.next})
        tx.execute(ADVANCE, {
            "subnet": subnet.id, "at_position": pool.position, "after": max(after or 0, pool.next + 1),
        })
        if taken:
            return ip
    return None


def give_back(tx: Tx, port_ids: list[str]) -> None:
    """All addresses of these ports."""
    rows = tx.all(sa.select(ADDRESSES).where(ADDRESSES.c.port_id.in_(port_ids)))
    if rows:
        tx.execute(ADDRESSES.delete().where(ADDRESSES.c.port_id.in_(port_ids)))
        for row in rows:
            _leave_hole(tx, row.subnet_id, row.place)


def give_back_one(tx: Tx, subnet_id: str, ip: str) -> None:
    which = (ADDRESSES.c.subnet_id == subnet_id) & (ADDRESSES.c.ip == ip)
    row = tx.first(sa.select(ADDRESSES).where(which))
    if row is not None:
        tx.execute(ADDRESSES.delete().where(which))
        _leave_hole(tx, subnet_id, row.place)


def _take_hole(tx: Tx, subnet: Any, port_id: str, rank: int) -> str | None:
    for _ in range(TRIES):
        hole = tx.first(OLDEST_HOLE, {"subnet": subnet.id})
        if hole is None:
            return None
        if tx.changed(FILL, {"hole": hole.id}) == 1:
            ip = logic.at(subnet.cidr, hole.place)
            if _claim(tx, subnet.id, ip, hole.place, port_id, rank):
                return ip
    return None


def _leave_hole(tx: Tx, subnet_id: str, spot: int | None) -> None:
    """Beyond the cursor nothing need be remembered: it comes by there."""
    if spot is None:
        return
    where = {"subnet": subnet_id, "spot": spot}
    if tx.first(BEHIND_CURSOR, where) is None:
        # Unless it is just stepping over this address, in a transaction that has seen it taken.
        pool = tx.first(POOL_AROUND, where)
        if pool is None or pool.next <= spot:
            return
    tx.add(HOLES, {"subnet_id": subnet_id, "place": spot})


def _claim(tx: Tx, subnet_id: str, ip: str, spot: int | None, port_id: str, rank: int) -> bool:
    return tx.add(ADDRESSES, {"subnet_id": subnet_id, "ip": ip, "place": spot, "port_id": port_id, "rank": rank})
