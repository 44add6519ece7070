# SPDX-License-Identifier: Apache-2.0
"""A table of numbers by name, and operations on it: what tests of transactions need, and nothing of the product.

The tests are test_db.py's and test_lost.py's. The table is made for a test and is not among the program's.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.columns import metadata, number, table, text

COUNTERS = table(
    "test_counters", sa.Column("name", text(64), primary_key=True), sa.Column("n", number(), nullable=False)
)
TALLIES = table(
    "test_tallies",
    sa.Column("id", text(64), primary_key=True),
    sa.Column("counter", text(64), sa.ForeignKey("test_counters.name"), nullable=False),
)
"""What refers to one of them."""
for each in (TALLIES, COUNTERS):
    metadata.remove(each)


def put(tx: Any, ctx: Context, name: str, n: int = 0) -> str:
    tx.execute(COUNTERS.insert(), {"name": name, "n": n})
    return name


def add(tx: Any, ctx: Context, name: str, n: int = 1) -> int:
    return int(tx.changed(COUNTERS.update().where(COUNTERS.c.name == name).values(n=COUNTERS.c.n + n)))


def value(tx: Any, ctx: Context, name: str) -> Any:
    return tx.scalar(sa.select(COUNTERS.c.n).where(COUNTERS.c.name == name))


def names(tx: Any, ctx: Context) -> set[str]:
    return {row.name for row in tx.all(sa.select(COUNTERS.c.name))}
