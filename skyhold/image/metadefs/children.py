# SPDX-License-Identifier: Apache-2.0
"""What objects, properties, tags and associations have in common: a name, within a namespace.

Each has its own module with its shape, routes and checks. The one thing to know first: whoever may see
or change a namespace may see or change what is in it, so every look-up here starts from a namespace that
was looked up for the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Shape, field
from skyhold.core.store import Store
from skyhold.image.logic.listing import DEFAULT_LIMIT, MOST
from skyhold.image.tables import NAMESPACES

ALL = "/v2/metadefs/namespaces"

namespaces = Store(
    NAMESPACES, service="image", kind="metadef_namespace", label="Metadata definition namespace", key="namespace"
)


class ChildQuery(Shape, extra="ignore"):
    limit: int = field(default=DEFAULT_LIMIT, min=0)
    marker: str | None = None
    sort_key: str = field(default="created_at", enum=("name", "created_at", "updated_at"))
    sort_dir: str = field(default="desc", enum=("asc", "desc"))


class Page(msgspec.Struct, frozen=True):
    rows: Sequence[Any]
    more: bool


class Children:
    """The rows of one table that belong to a namespace. `label` is what the user calls one."""

    def __init__(self, table: sa.Table, kind: str, label: str) -> None:
        self.table, self.kind, self.label = table, kind, label
        self.store = Store(table, service="image", kind=kind, label=label)

    # ---- operations and queries, by the names that a path has -----------------------------------

    def find(self, tx: Tx, ctx: Context, namespace: str, name: str) -> Any:
        """Raises NotFound."""
        return self.one(tx, namespaces.get(tx, ctx, namespace), name)

    def list_page(self, tx: Tx, ctx: Context, namespace: str, query: ChildQuery) -> Page:
        return self.page(tx, namespaces.get(tx, ctx, namespace), query)

    def remove(self, tx: Tx, ctx: Context, namespace: str, name: str) -> None:
        """Raises NotFound, Forbidden in a protected namespace."""
        self.delete(tx, namespaces.get(tx, ctx, namespace), name)

    def remove_all(self, tx: Tx, ctx: Context, namespace: str) -> None:
        """Raises Forbidden in a protected namespace; none to remove is fine."""
        self.clear(tx, namespaces.get(tx, ctx, namespace))

    # ---- within a namespace that was looked up ---------------------------------------------------

    def all(self, tx: Tx, namespace: Any) -> list[Any]:
        mine = self.table.c.namespace_id == namespace.id
        order = (self.table.c.created_at, self.table.c.name)
        return [self._row(row) for row in tx.all(sa.select(self.table).where(mine).order_by(*order))]

    def page(self, tx: Tx, namespace: Any, query: ChildQuery) -> Page:
        """A namespace defines some dozens of things: they are read at once and cut here."""
        limit = min(query.limit, MOST)
        rows = sorted(
            self.all(tx, namespace), key=lambda row: (getattr(row, query.sort_key), row.name),
            reverse=query.sort_dir == "desc",
        )
        if query.marker is not None:
            names = [row.name for row in rows]
            if query.marker not in names:
                raise errors.Invalid(f"The marker {query.marker[:80]} could not be found.", reason="marker_not_found")
            rows = rows[names.index(query.marker) + 1:]
        return Page(rows[:limit], len(rows) > limit > 0)

    def one(self, tx: Tx, namespace: Any, name: str) -> Any:
        """Raises NotFound."""
        row = tx.first(sa.select(self.table).where(*self._where(namespace, name)))
        if row is None:
            raise self.not_found(namespace, name)
        return self._row(row)

    def insert(self, tx: Tx, ctx: Context, namespace: Any, **values: Any) -> Any:
        """Raises Conflict for a name that is taken."""
        row = self.store.add(tx, id=ctx.new_id(), namespace_id=namespace.id, **values)
        if row is None:
            raise self.taken(namespace, values["name"])
        self.record(tx, "create", row, namespace)
        return row

    def update(self, tx: Tx, namespace: Any, row: Any, **values: Any) -> Any:
        try:
            with tx.nested():
                new = self.store.update(tx, row, **values)
        except sa.exc.IntegrityError:
            raise self.taken(namespace, values["name"]) from None
        self.record(tx, "update", new, namespace)
        return new

    def delete(self, tx: Tx, namespace: Any, name: str) -> None:
        """Raises NotFound, Forbidden in a protected namespace."""
        row = self.one(tx, namespace, name)
        refuse_protected(namespace, f"{self.label} {name}")
        self.store.delete(tx, row)
        self.record(tx, "delete", row, namespace)

    def clear(self, tx: Tx, namespace: Any) -> None:
        """Remove all of them; none is fine."""
        refuse_protected(namespace, f"Any {self.label[0].lower()}{self.label[1:]}")
        for row in self.all(tx, namespace):
            self.store.delete(tx, row)
            self.record(tx, "delete", row, namespace)

    def record(self, tx: Tx, verb: str, row: Any, namespace: Any) -> None:
        journal.record(tx, f"{self.kind}.{verb}", row, project_id=namespace.project_id)

    def _where(self, namespace: Any, name: str) -> tuple[Any, ...]:
        return self.table.c.namespace_id == namespace.id, self.table.c.name == name

    def _row(self, row: Any) -> Any:
        return self.store.Row._make(row)

    def not_found(self, namespace: Any, name: str) -> errors.NotFound:
        return errors.NotFound(
            f"{self.label} {name} could not be found in namespace {namespace.namespace}.", kind=self.kind, id=name
        )

    def taken(self, namespace: Any, name: str) -> errors.Conflict:
        return errors.Conflict(f"{self.label} {name} already exists in namespace {namespace.namespace}.")


def refuse_protected(namespace: Any, what: str) -> None:
    if namespace.protected:
        raise errors.Forbidden(
            f"{what} can't be deleted: namespace {namespace.namespace} is protected. Set its protected to false first."
        )


def refuse_twice(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise errors.Conflict(f"{what} {name} is given twice.")
        seen.add(name)


def links(path: str, query: Mapping[str, Any], page: Page) -> dict[str, str]:
    """`first`, and `next` while there is more; relative, as upstream prints them."""
    kept = {name: value for name, value in query.items() if name != "marker"}
    found = {"first": path + ("?" + urlencode(kept) if kept else "")}
    if page.more:
        found["next"] = path + "?" + urlencode({**kept, "marker": page.rows[-1].name})
    return found


def told(query: ChildQuery) -> dict[str, Any]:
    """The parameters that differ from what is meant without them."""
    usual = ChildQuery()
    names = ("limit", "sort_key", "sort_dir")
    return {name: getattr(query, name) for name in names if getattr(query, name) != getattr(usual, name)}


def address(namespace: str, *more: str) -> str:
    return "/".join([ALL, *(quote(part, safe=":") for part in (namespace, *more))])
