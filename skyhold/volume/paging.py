# SPDX-License-Identifier: Apache-2.0
"""What the lists of volumes, snapshots and attachments have in common: whose rows, sorted how, and which page.

What each filters by is in its own module. `offset` counts rows as of now, `marker` is stable; clients may use both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import ABSENT, Page, Shape, field
from skyhold.core.store import Filter, Store
from skyhold.volume.links import next_link

DIRECTIONS = ("asc", "desc")


class PageQuery(Shape, extra="ignore"):
    all_tenants: str | None = None
    project_id: str | None = None
    limit: int | None = field(min=0, default=None)
    offset: int = field(min=0, max=2**31 - 1, default=0)
    marker: str | None = None
    sort: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None
    with_count: str | None = field(since="3.45", default=None)


def page(
    tx: Tx, ctx: Context, store: Store, query: Any, *, everyones: Rule, filters: Sequence[Filter], path: str,
    sortable: Mapping[str, str], show: Callable[[list[Any]], list[Any]],
) -> Page:
    """One page of the rows the caller asked for, as `show` prints them, and the link to the next.

    Raises Invalid for a marker, a sort key or an `all_tenants` that makes no sense. `everyones` is the rule
    of whoever may list other projects' rows; for all others `all_tenants` means nothing, as upstream.
    """
    everyone = is_yes(query.all_tenants) and ctx.allows(everyones, None)
    chosen = list(filters) + whose(ctx, query, everyone)
    size = page_size(ctx, query.limit)
    may = everyones if everyone else None
    beside = {"count": count(tx, ctx, store, chosen, may)} if is_yes(query.with_count) else {}
    if size == 0:
        return Page([], None, beside)
    rows = store.page(
        tx, ctx, filters=chosen, sort=sorting(query, sortable), limit=size + query.offset, marker=query.marker,
        may=may,
    )[query.offset:]
    asked = {name: getattr(query, name) for name in query.__struct_fields__}
    return Page(show(rows), next_link(ctx, path, asked, rows[-1].id) if len(rows) == size else None, beside)


def whose(ctx: Context, query: Any, everyone: bool) -> list[Filter]:
    if not everyone:
        return [("project_id", "eq", ctx.project_id)]
    return [("project_id", "eq", query.project_id)] if query.project_id else []


def count(tx: Tx, ctx: Context, store: Store, filters: Sequence[Filter], may: Rule | None) -> int:
    columns = store.table.c
    clauses = [columns[name].in_(value) if op == "in" else columns[name] == value for name, op, value in filters
               if op in ("eq", "in")]
    clauses += [columns[name].like(value, escape="\\") for name, op, value in filters if op == "like"]
    found = sa.select(sa.func.count()).select_from(store.table).where(store.visible(ctx, may), *clauses)
    return int(tx.scalar(found))


def page_size(ctx: Context, asked: int | None) -> int:
    most = ctx.core.settings.volume.max_limit
    return most if asked is None else min(asked, most)


def is_yes(text: Any) -> bool:
    return text not in (None, ABSENT) and str(text).lower() in ("", "1", "true", "yes", "on", "t", "y")


def sorting(query: Any, sortable: Mapping[str, str]) -> list[tuple[str, str]]:
    """`sort=name:asc,id`, or the older `sort_key` and `sort_dir`."""
    if query.sort and (query.sort_key or query.sort_dir):
        raise errors.Invalid("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with 'sort'.")
    if query.sort:
        parts = [part.strip().partition(":") for part in query.sort.split(",")]
        return [one_key(name, direction or "desc", sortable) for name, _, direction in parts]
    return [one_key(query.sort_key or "created_at", query.sort_dir or "desc", sortable)]


def one_key(name: str, direction: str, sortable: Mapping[str, str]) -> tuple[str, str]:
    if direction not in DIRECTIONS:
        raise errors.Invalid(f"Unknown sort direction '{direction[:50]}': must be 'asc' or 'desc'.")
    if name not in sortable:
        raise errors.Invalid(f"Cannot sort by '{name[:50]}': choose one of {', '.join(sorted(sortable))}.")
    return sortable[name], direction
