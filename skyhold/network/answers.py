# SPDX-License-Identifier: Apache-2.0
"""What all collections of this API have in common: filters, `fields`, sorting, pages, links.

A resource makes one `Collection` beside its shape and routes; what a row needs besides its columns
is added by the resource's `dress`. Every attribute that is a column filters, several times given
it means any of them; what can't filter is refused, as upstream's filter validation does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import orjson
import sqlalchemy as sa

from skyhold.core import errors, shapes
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import OpenShape, Shape, Time
from skyhold.core.store import Store
from skyhold.core.versions import Version
from skyhold.core.wire.fields import fields_of
from skyhold.core.wire.kinds import truth
from skyhold.network import policy
from skyhold.network.tables import TAGS
from skyhold.network.versions import base_url

ONLY = Version(0, 0)
PAGING = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
TAG_FILTERS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})
INTEGER = re.compile(r"-?[0-9]{1,18}")
Clause = Callable[[list[str]], Any]

Stamp = Time


class Query(OpenShape):
    """Any parameter; what it means is for the Collection to say."""

    SELECTS: ClassVar[bool] = True


class Common(Shape):
    """What every resource shows."""

    id: str
    project_id: str
    tenant_id: str = shapes.field("tenant_id")
    created_at: Stamp
    updated_at: Stamp
    revision: int = shapes.field("revision_number")


@dataclass(frozen=True)
class Collection:
    """`dress(tx, ctx, rows)` gives objects that have every attribute of `shape`; `special` are
    filters that aren't columns, as functions from the texts given to a WHERE clause."""

    one: str
    many: str
    path: str
    shape: type[Shape]
    store: Store
    dress: Callable[[Tx, Context, Sequence[Any]], list[Any]]
    special: Mapping[str, Clause] = field(default_factory=dict)
    tagged: bool = True

    @cached_property
    def write(self) -> Callable[..., dict[str, Any]]:
        return shapes.writer(self.shape, ONLY)

    @cached_property
    def columns(self) -> dict[str, str]:
        """Wire name to column, for those attributes that are columns."""
        known = set(self.store.columns)
        found = {spec.wire: attr for attr, spec in fields_of(self.shape).items() if attr in known}
        return found | {"tenant_id": "project_id", "project_id": "project_id"}

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(spec.wire for spec in fields_of(self.shape).values())

    # ---- answers -------------------------------------------------------------------------

    def show(self, ctx: Context, dressed: Any, query: Query | None = None) -> Reply:
        return json_reply({self.one: self._print(ctx, dressed, self._wanted(query))})

    def made(self, ctx: Context, dressed: Any) -> Reply:
        """Answer of a create: one object, or the list of a bulk create."""
        if isinstance(dressed, list):
            return json_reply({self.many: [self._print(ctx, each, None) for each in dressed]}, 201)
        return json_reply({self.one: self._print(ctx, dressed, None)}, 201)

    async def index(self, ctx: Context, query: Query) -> Reply:
        rows, links = await ctx.read(self.find, query)
        wanted = self._wanted(query)
        body: dict[str, Any] = {self.many: [self._print(ctx, row, wanted) for row in rows]}
        if links:
            body[self.many + "_links"] = links
        return json_reply(body)

    def _print(self, ctx: Context, dressed: Any, wanted: frozenset[str] | None) -> dict[str, Any]:
        shown = self.write(dressed, lambda name: policy.permitted(ctx, name, None))
        if wanted is None:
            return shown
        return {name: value for name, value in shown.items() if name in wanted}

    def _wanted(self, query: Query | None) -> frozenset[str] | None:
        given = query.extra.get("fields") if query is not None else None
        return frozenset(given) if given and any(given) else None

    # ---- finding -------------------------------------------------------------------------

    def get(self, tx: Tx, ctx: Context, id: str) -> Any:
        return self.dress(tx, ctx, [self.store.get(tx, ctx, id)])[0]

    def find(self, tx: Tx, ctx: Context, query: Query, may: Rule | None = None) -> tuple[list[Any], list[Any]]:
        """The page asked for, dressed, and its links."""
        given: dict[str, list[str]] = query.extra
        limit, reverse = read_limit(given), truth(one(given, "page_reverse")) is True
        sort = self._sort(given)
        ordered = [(name, flip(direction)) for name, direction in sort] if reverse else sort
        marker = one(given, "marker")
        filters, where = self._filters(given)
        rows = self.store.page(
            tx, ctx, filters=filters, where=where, sort=ordered, may=may, marker=marker,
            limit=None if limit is None else limit + 1,
        )
        more = limit is not None and len(rows) > limit
        rows = rows[:limit] if more else rows
        if reverse:
            rows.reverse()
        dressed = self.dress(tx, ctx, rows) if rows else []
        return dressed, self._links(ctx, given, rows, limit, more, reverse, marker)

    def _sort(self, given: dict[str, list[str]]) -> list[tuple[str, str]]:
        keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
        if not keys:
            return [("created_at", "asc"), ("id", "asc")]
        if directions and len(directions) != len(keys):
            raise errors.Invalid("The number of sort_keys and sort_dirs must be same")
        for name in keys:
            if name not in self.columns:
                raise errors.Invalid(f"['{name[:80]}'] is invalid attribute for sort_keys")
        for direction in directions:
            if direction not in ("asc", "desc"):
                raise errors.Invalid(f"['{direction[:80]}'] is invalid value for sort_dirs, use 'asc' or 'desc'")
        directions = directions or ["asc"] * len(keys)
        return [(self.columns[name], direction) for name, direction in zip(keys, directions, strict=True)]

    def _filters(self, given: dict[str, list[str]]) -> tuple[list[Any], list[Any]]:
        filters: list[Any] = []
        where: list[Any] = []
        for name, texts in given.items():
            if name in PAGING:
                continue
            if name in self.special:
                where.append(self.special[name](texts))
            elif name in TAG_FILTERS and self.tagged:
                where.append(tag_clause(self.store, name, texts))
            elif name == "changed_since":
                where.append(self.store.table.c.updated_at >= moment(texts[0]))
            elif name in self.columns:
                filters.append(self._filter(self.columns[name], texts))
            else:
                raise errors.Invalid(f"['{name[:80]}'] is invalid attribute for filtering")
        return filters, where

    def _filter(self, column: str, texts: list[str]) -> Any:
        kind = self.store.table.c[column].type
        values = [converted(kind, text) for text in texts]
        if len(values) == 1:
            return (column, "isnull", None) if values[0] is None else (column, "eq", values[0])
        return column, "in", [value for value in values if value is not None]

    def _links(
        self, ctx: Context, given: dict[str, list[str]], rows: list[Any], limit: int | None, more: bool,
        reverse: bool, marker: str | None,
    ) -> list[Any]:
        """As upstream: only where a limit was given; `next` when there may be more, `previous` when there was."""
        if limit is None or not rows:
            return []
        base = f"{base_url(ctx)}/v2.0/{self.path}"
        plain = {name: value for name, value in given.items() if name not in ("marker", "page_reverse")}
        links = []
        if (reverse and marker) or (not reverse and more):
            links.append({"rel": "next", "href": f"{base}?{urlencode(plain | {'marker': rows[-1].id}, doseq=True)}"})
        if (not reverse and marker) or (reverse and more):
            back = plain | {"marker": rows[0].id, "page_reverse": "True"}
            links.append({"rel": "previous", "href": f"{base}?{urlencode(back, doseq=True)}"})
        return links


class Dressed:
    """A row with more attributes than its table has columns."""

    def __init__(self, row: Any, **more: Any) -> None:
        self.__dict__.update(row._asdict())
        self.__dict__["tenant_id"] = row.project_id
        self.__dict__.update(more)

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...


def json_reply(body: Any, status: int | None = None) -> Reply:
    return Reply(orjson.dumps(body), status=status, content_type="application/json")


def one(given: dict[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    return values[-1] if values and values[-1] else None


def read_limit(given: dict[str, list[str]]) -> int | None:
    text = one(given, "limit")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise errors.Invalid(f"Invalid input for limit. Reason: '{text[:40]}' is not a non-negative integer.")
    return int(text) or None


def flip(direction: str) -> str:
    return "asc" if direction == "desc" else "desc"


def converted(kind: Any, text: str) -> Any:
    """A filter's text as the column's type; None asks for a missing value."""
    if isinstance(kind, sa.Boolean):
        value = truth(text)
        if not isinstance(value, bool):
            raise errors.Invalid(f"Invalid input for operation: '{text[:40]}' cannot be converted to boolean.")
        return value
    if isinstance(kind, sa.BigInteger):
        if text in ("", "None", "null"):
            return None
        if not INTEGER.fullmatch(text):
            raise errors.Invalid(f"Invalid input for operation: '{text[:40]}' is not an integer.")
        return int(text)
    if isinstance(kind, sa.JSON):
        raise errors.Invalid("A list can't be used as a filter.")
    return text


def moment(text: str) -> int:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise errors.Invalid(
            f"Invalid input for changed_since. Reason: '{text[:40]}' is not a time.", kind="InvalidInput"
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)


def tag_clause(store: Store, name: str, texts: list[str]) -> Any:
    """`tags` must all be there, of `tags-any` one; `not-` turns it round."""
    wanted = {tag for text in texts for tag in text.split(",") if tag}
    if not wanted:
        # Nothing is missing, and there is nothing to have.
        return sa.true() if name.endswith("any") == name.startswith("not") else sa.false()
    # One query for however many are named: databases bound how deep a clause may go.
    having = sa.select(TAGS.c.resource_id).where(TAGS.c.tag.in_(sorted(wanted)))
    if not name.endswith("any"):
        having = having.group_by(TAGS.c.resource_id).having(sa.func.count() == len(wanted))
    key = store.table.c.id
    return key.not_in(having) if name.startswith("not") else key.in_(having)


def chunks(ids: Sequence[str], size: int = 5000) -> list[Sequence[str]]:
    """Databases bind a limited number of values in one statement."""
    return [ids[i:i + size] for i in range(0, len(ids), size)]


__all__ = ["Collection", "Common", "Dressed", "Query", "chunks", "json_reply", "one"]
