# SPDX-License-Identifier: Apache-2.0
"""Writing what there may be only one of, and the words of upstream for the second.

Which columns are unique stands in tables.py. The database is asked by writing: a look beforehand would be true until
somebody else writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core import errors

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


@contextmanager
def once(tx: Tx, second: errors.Conflict) -> Iterator[None]:
    """What is written in here goes back as a whole, and `second` is raised, when there is such a thing already."""
    try:
        with tx.nested():
            yield
    except sa.exc.IntegrityError:
        raise second from None


def duplicate(kind: str, why: str, reason: str = "name_taken") -> errors.Conflict:
    return errors.Conflict(f"Conflict occurred attempting to store {kind} - {why}.", reason=reason)
