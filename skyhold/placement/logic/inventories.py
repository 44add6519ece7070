# SPDX-License-Identifier: Apache-2.0
"""What an inventory can serve: capacity, units and steps, as arithmetic.

Stored inventories are in tables.py, their REST form in inventories.py. The one thing to know
first: the database compares the same numbers in the same way (logic is not repeated in SQL: the
capacity is computed here once and stored).
"""

from __future__ import annotations

import math

import msgspec

MAX_INT = 0x7FFFFFFF


class Inventory(msgspec.Struct, frozen=True):
    """What a provider has of one class. `max_unit` is `total` when not given."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int | None = None
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        return capacity(self.total, self.reserved, self.allocation_ratio)


def capacity(total: int, reserved: int, allocation_ratio: float) -> int:
    """How much can be claimed in all, overcommitment included."""
    return math.floor((total - reserved) * allocation_ratio)


def serves(amount: int, *, capacity: int, used: int, min_unit: int, max_unit: int, step_size: int) -> bool:
    """Whether one claim of this amount fits now."""
    return (
        used + amount <= capacity and min_unit <= amount <= max_unit and amount % step_size == 0
    )
