# SPDX-License-Identifier: Apache-2.0
"""Numbered parameters for statements that name several values: `IN (:name_0, :name_1)`.

Such a statement is built once for each number of values and kept (`lru_cache`): putting it together takes
SQLAlchemy longer than the database takes to answer it, and so does an expanding parameter. Only for few values.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa


def slots(name: str, count: int) -> list[sa.BindParameter[str]]:
    return [sa.bindparam(f"{name}_{i}", type_=sa.String()) for i in range(count)]


def numbered(name: str, values: Sequence[str]) -> dict[str, str]:
    """What goes into them."""
    return {f"{name}_{i}": value for i, value in enumerate(values)}
