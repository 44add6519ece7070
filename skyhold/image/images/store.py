# SPDX-License-Identifier: Apache-2.0
"""Queries on images: who sees which, look-up, lists, and the terms they are searched by.

Decisions are ops.py. The one thing to know first: an image is visible by ownership, by being public
or of the community, or by a membership; only the last needs another table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.image import policy, quotas, states
from skyhold.image.logic.listing import Listing, terms_of
from skyhold.image.tables import IMAGES, MEMBERS, TERMS


def shared(ctx: Context) -> Sequence[Any]:
    """Visible, though not owned. Whether it shows in lists is a further question (`in_list`)."""
    return [
        IMAGES.c.visibility.in_(("public", "community")),
        sa.and_(IMAGES.c.visibility == "shared", membership(ctx.project_id)),
    ]


def membership(project_id: str, status: str | None = None) -> Any:
    clause = sa.select(MEMBERS.c.image_id).where(
        MEMBERS.c.image_id == IMAGES.c.id, MEMBERS.c.member_id == project_id
    )
    return sa.exists(clause if status is None else clause.where(MEMBERS.c.status == status))


class Images(Store):
    """Whatever is written through it counts for its project's quota (quotas.py)."""

    def insert(self, tx: Tx, **values: Any) -> Any:
        row = super().insert(tx, **values)
        quotas.follow(tx, None, row)
        return row

    def add(self, tx: Tx, **values: Any) -> Any | None:
        row = super().add(tx, **values)
        quotas.follow(tx, None, row)
        return row

    def update(self, tx: Tx, row: Any, **values: Any) -> Any:
        new = super().update(tx, row, **values)
        quotas.follow(tx, row, new)
        return new

    def move(self, tx: Tx, row: Any, before: str | Iterable[str], after: str, **values: Any) -> Any:
        if row.status == states.QUEUED:
            # Of an upload that failed; the next one begins at nothing.
            values.setdefault("staged_bytes", None)
        new = super().move(tx, row, before, after, **values)
        quotas.follow(tx, row, new)
        return new

    def delete(self, tx: Tx, row: Any) -> None:
        super().delete(tx, row)
        quotas.follow(tx, row, None)


store = Images(
    IMAGES, service="image", kind="image", label="Image", states=states.IMAGE, state_column="status", shared=shared
)


def get(tx: Tx, ctx: Context, image_id: str) -> Any:
    """The image if the caller may see it, whatever this transaction goes on to write."""
    try:
        return store.get(tx, ctx, image_id, may=policy.GET_IMAGE, lock=False)
    except errors.Forbidden:
        # Seen by membership, which the rule alone can't know.
        return store.see(tx, ctx, image_id)


def page(tx: Tx, ctx: Context, want: Listing) -> list[Any]:
    where = [*in_list(ctx, want), *(has_term(term) for term in want.terms)]
    where += [sa.or_(IMAGES.c[name] < low, IMAGES.c[name] >= high) for name, low, high in want.apart]
    return store.page(
        tx, ctx, filters=want.filters, sort=want.sort, limit=want.limit, marker=want.marker, where=where
    )


def in_list(ctx: Context, want: Listing) -> list[Any]:
    """What is visible and also listed: others' community images only when asked for, images shared
    with the caller only in the wanted state of membership (accepted, unless asked otherwise)."""
    own = IMAGES.c.project_id == ctx.project_id
    clauses = []
    if want.visibility is None:
        clauses.append(sa.or_(own, IMAGES.c.visibility != "community"))
    elif want.visibility != "all":
        clauses.append(IMAGES.c.visibility == want.visibility)
    if want.member_status != "all" and "admin" not in ctx.creds.roles:
        known = membership(ctx.project_id, want.member_status)
        clauses.append(sa.or_(own, IMAGES.c.visibility != "shared", known))
    return clauses


def has_term(term: str) -> Any:
    return sa.exists(sa.select(TERMS.c.term).where(TERMS.c.image_id == IMAGES.c.id, TERMS.c.term == term))


ADD_TERM = TERMS.insert()


def set_terms(tx: Tx, image_id: str, row: Any, before: Any = None) -> None:
    """Make the image found by its tags and properties; `before` is the row they replace."""
    wanted = terms_of(row.tags, row.properties)
    found = terms_of(before.tags, before.properties) if before is not None else set()
    gone, new = sorted(found - wanted), sorted(wanted - found)
    if gone:
        tx.execute(TERMS.delete().where(TERMS.c.image_id == image_id, TERMS.c.term.in_(gone)))
    if new:
        tx.execute(ADD_TERM, [{"image_id": image_id, "term": term} for term in new])
