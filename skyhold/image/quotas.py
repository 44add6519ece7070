# SPDX-License-Identifier: Apache-2.0
"""What images count for in their project's quota, by the unified limits.

The counting itself is core/quota.py. The one thing to know first: what a row holds is read off the row, so
whatever writes rows through images/store.py has quota follow; nothing else takes or gives any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from skyhold.core import errors
from skyhold.core.db.tx import Tx
from skyhold.core.quota import Quota, over
from skyhold.core.saga.base import Abort
from skyhold.image import states

MIB: Final = 1024 * 1024
NO_LIMIT: Final = 2**63 - 1
COUNT: Final = "image_count_total"
SIZE: Final = "image_size_total"
STAGED: Final = "image_stage_total"
UPLOADING: Final = "image_count_uploading"
UNDER_WAY: Final = (states.SAVING, states.UPLOADING, states.IMPORTING)
STAGING: Final = (states.UPLOADING, states.IMPORTING)

quota = Quota("image", unified="image", **{COUNT: -1, SIZE: -1, STAGED: -1, UPLOADING: -1})
"""Sizes count MiB, as upstream."""


def mib(size_bytes: int | None) -> int:
    return -(-(size_bytes or 0) // MIB)


def held(row: Any) -> dict[str, int]:
    """By resource; `row` has project_id, status, size_bytes, staged_bytes and importing, or is None."""
    if row is None or not row.project_id:
        return dict.fromkeys((COUNT, SIZE, STAGED, UPLOADING), 0)
    return {
        COUNT: 1, SIZE: mib(row.size_bytes), UPLOADING: int(row.status in UNDER_WAY or copied(row)),
        STAGED: mib(row.staged_bytes) if row.status in STAGING else 0,
    }


def copied(row: Any) -> bool:
    """Whether an active image is on its way into further stores."""
    return bool(row.importing and row.importing["stores"])


def follow(tx: Tx, before: Any, after: Any) -> None:
    """An image changed from one row to the other; None is before it was there, or after. Raises OverQuota."""
    old, new = held(before), held(after)
    if before is not None and after is not None and before.project_id == after.project_id:
        give(tx, before, {name: old[name] - new[name] for name in old})
        take(tx, after, {name: new[name] - old[name] for name in new})
        return
    give(tx, before, old)
    take(tx, after, new)


def give(tx: Tx, row: Any, amounts: dict[str, int]) -> None:
    wanted = {name: amount for name, amount in amounts.items() if amount > 0}
    if wanted:
        quota.give(tx, row.project_id, **wanted)


def take(tx: Tx, row: Any, amounts: dict[str, int]) -> None:
    wanted = {name: amount for name, amount in amounts.items() if amount > 0}
    if wanted:
        quota.take(tx, row.project_id, **wanted)


def room_bytes(
    tx: Tx, project_id: str | None, resource: str, asked_bytes: int | None = None, own: int = 0
) -> int:
    """What is left of a size, `own` MiB being about to go. Raises OverQuota when nothing is, or less than what
    is asked for."""
    limit = quota.limits(tx, project_id)[resource] if project_id else -1
    if limit < 0 or project_id is None:
        return NO_LIMIT
    used = quota.usage(tx, project_id)[resource] - own
    asked = max(1, mib(asked_bytes))
    if used + asked > limit:
        raise over(resource, asked, used, limit)
    return (limit - used) * MIB


@contextmanager
def ends_work() -> Iterator[None]:
    """Trying a step of a saga again doesn't help who is over quota."""
    try:
        yield
    except errors.OverQuota as beyond:
        raise Abort(beyond.message) from None
