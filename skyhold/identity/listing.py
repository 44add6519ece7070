# SPDX-License-Identifier: Apache-2.0
"""Lists as all of identity's resources print them: filters, pages and links.

Who sees which rows is the store's doing. A filter is `name=`, or `name__contains=` and its kin;
an unknown one filters nothing, as in Keystone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import OpenShape, Page, field
from skyhold.core.store import Filter, Store, like_escape
from skyhold.identity import links

FALSE_WORDS = ("0", "false", "f", "no", "n", "off")


class ListQuery(OpenShape):
    """What every list understands; `extra` holds the comparisons such as `name__startswith`."""

    limit: int | None = field(default=None, min=1)
    marker: str | None = field(default=None)


class NamedQuery(ListQuery):
    name: str | None = field(default=None)


def page(
    tx: Tx, ctx: Context, store: Store, query: Any, path: str, print_row: Callable[[Context, Any], Any], *,
    equal: Sequence[str] = (), flags: Sequence[str] = (), filters: Sequence[Filter] = (), where: Sequence[Any] = (),
    may: Rule | None = None, without: tuple[str, ...] = (),
) -> Page:
    """`equal` and `flags` are columns that the query's attributes of that name filter by; the others are as
    the store takes them."""
    filters = [*filters]
    filters += [(name, "eq", value) for name in equal if (value := getattr(query, name, None)) is not None]
    filters += [
        (name, "eq", truthy(value)) for name in flags if (value := getattr(query, name, None)) is not None
    ]
    compared = [comparison(store, equal, key, texts[-1]) for key, texts in query.extra.items()]
    rows = store.page(
        tx, ctx, filters=filters, sort=[(store.key, "asc")], limit=query.limit, marker=query.marker,
        where=[*where, *(clause for clause in compared if clause is not None)], may=may,
        without=without,
    )
    return printed(ctx, [print_row(ctx, row) for row in rows], rows, query, path, store.key)


def printed(
    ctx: Context, items: list[Any], rows: Sequence[Any], query: Any, path: str, key: str = "id"
) -> Page:
    full = query.limit is not None and len(rows) == query.limit
    following = {"marker": getattr(rows[-1], key)} if full else None
    return Page(items, links.of_list(ctx, path, links.asked(query), following))


def truthy(text: str) -> bool:
    """`?enabled` alone means true, and so does, as in Keystone, whatever doesn't clearly mean false."""
    return text.lower() not in FALSE_WORDS


COMPARE: dict[str, str] = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}


def comparison(store: Store, columns: Sequence[str], key: str, text: str) -> Any:
    """The clause of `name__icontains=text`; None when the key is no comparison of ours."""
    name, _, how = key.partition("__")
    pattern = COMPARE.get(how.removeprefix("i"))
    if name not in columns or pattern is None:
        return None
    column = store.table.c[name]
    wanted = pattern.format(like_escape(text))
    if how.startswith("i"):
        return sa.func.lower(column).like(wanted.lower(), escape="\\")
    return column.like(wanted, escape="\\")
