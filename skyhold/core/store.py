# SPDX-License-Identifier: Apache-2.0
"""How a service queries its tables: scoped look-up, keyset pages, compare-and-swap moves.

No query on a tenant's table can be built without a scope: `get` and `page` turn the policy rule
at hand into a WHERE clause, so a forgotten check is a 404 and not a leak. What needs joins or
counters writes its own statement in the service's store, starting from `visible`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.db.among import among
from skyhold.core.states import States

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx
    from skyhold.core.policy.rules import Rule

Alternatives = tuple[tuple[tuple[str, Any], ...], ...]
Filter = tuple[str, str, Any]
"""(column, operator, value); operators: eq ne lt le gt ge in notin like isnull notnull."""

Lock = bool | Literal["stay"]

MOST_PAGES, LONGEST_KEPT = 500, 20
"""Statements of pages that a store keeps, and the values in the lists of one: users choose filters and order."""
MOST_IDS = 20_000
"""Of one statement: databases bound its parameters."""

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda column, bind: column == bind,
    "ne": lambda column, bind: column != bind,
    "lt": lambda column, bind: column < bind,
    "le": lambda column, bind: column <= bind,
    "gt": lambda column, bind: column > bind,
    "ge": lambda column, bind: column >= bind,
    "like": lambda column, bind: column.like(bind, escape="\\"),
}


class Store:
    """One table, and who may see which of its rows.

    `targets` maps names in policy rules (`project_id`, `target.user.domain_id`) to columns; by
    default each column stands for itself. `shared` gives, for a reader, further clauses under
    which a row is visible though not owned (a public image, a shared network). `secrets` are
    columns that never enter the journal. `label` is what the user calls it.
    """

    def __init__(
        self,
        table: sa.Table,
        *,
        service: str,
        kind: str,
        label: str | None = None,
        states: States | None = None,
        state_column: str = "state",
        targets: Mapping[str, str] | None = None,
        shared: Callable[[Context], Sequence[Any]] | None = None,
        secrets: Iterable[str] = (),
        key: str = "id",
        alive: Any = None,
    ) -> None:
        self.table, self.service, self.kind, self.key = table, service, kind, key
        self.label = label or kind.capitalize()
        self.states, self.state_column = states, state_column
        self.columns = [column.name for column in table.columns]
        self.targets = dict(targets or {})
        self.shared = shared
        self.secrets = frozenset(secrets)
        self.alive = alive
        self.Row: Any = namedtuple("Row", self.columns)  # type: ignore[misc]
        # So that journal.record knows where a row comes from.
        setattr(self.Row, "store", self)  # noqa: B010
        self._insert = table.insert()
        self._delete = table.delete().where(table.c[key] == sa.bindparam("the_id"))
        self._statements: dict[Any, Any] = {}
        self._pages: dict[Any, Any] = {}

    # ---- one row -------------------------------------------------------------------------

    def get(self, tx: Tx, ctx: Context, id: str, *, may: Rule | None = None, lock: Lock | None = None) -> Any:
        """The row, or NotFound; Forbidden when the caller may see but not do what `may` guards.

        In a write the row is locked, for it is about to change. `lock=False` says that it is only
        looked at, and `lock="stay"` that something new will refer to it, so it must not go before the
        commit; for both being visible is enough.
        """
        rule = may or ctx.rule
        changing = tx.writing if lock is None else lock
        row = self._fetch(tx, id, self._scope(ctx, rule), changing)
        if row is not None:
            return row
        if self.shared is not None and (seen := self.see(tx, ctx, id, stay=changing == "stay")) is not None:
            if changing is not True or rule is None or tx.ctx.allows(rule, seen._asdict()):
                return seen
            raise errors.Forbidden(
                f"{self.label} {id} is shared with you, but not yours to change: "
                + ctx.core.policy.explain(rule.name, ctx.creds)
            )
        raise self.not_found(id)

    def find(self, tx: Tx, id: str, *, lock: Lock = False) -> Any | None:
        """The row whoever asks, or None: for the program itself, never for a user's id."""
        return self._fetch(tx, id, True, lock)

    def expect(self, tx: Tx, id: str, *, lock: Lock = False) -> Any:
        """The row that another one refers to, whoever asks; NotFound if it went meanwhile."""
        row = self._fetch(tx, id, True, lock)
        if row is None:
            raise self.not_found(id)
        return row

    def see(self, tx: Tx, ctx: Context, id: str, *, stay: bool = False) -> Any | None:
        """The row if some clause of `shared` makes it visible to the caller."""
        clauses = self.shared(ctx) if self.shared else []
        if not clauses:
            return None
        statement = self._select().where(self.table.c[self.key] == id, sa.or_(*clauses))
        row = tx.first(locked(statement, "stay") if stay and tx.writing else statement)
        return None if row is None else self.Row._make(row)

    def not_found(self, id: object) -> errors.NotFound:
        return errors.NotFound(f"{self.label} {id} could not be found.", kind=self.kind, id=id)

    def _select(self) -> Any:
        statement = sa.select(*self.table.columns)
        return statement if self.alive is None else statement.where(self.alive)

    def _fetch(self, tx: Tx, id: str, scope: bool | Alternatives, lock: Lock) -> Any | None:
        if scope is False:
            return None
        shape, params = scope_params(scope)
        lock = lock if tx.writing and tx.dialect != "sqlite" else False
        statement = self._statements.get(("get", shape, lock))
        if statement is None:
            statement = self._select().where(self.table.c[self.key] == sa.bindparam("the_id"))
            statement = self._where_scope(statement, shape)
            statement = locked(statement, lock)
            self._statements["get", shape, lock] = statement
        params["the_id"] = id
        row = tx.first(statement, params)
        return None if row is None else self.Row._make(row)

    # ---- scope ---------------------------------------------------------------------------

    def _scope(self, ctx: Context, rule: Rule | None) -> bool | Alternatives:
        if ctx.creds.internal:
            return True
        if rule is None:
            return False
        return ctx.core.policy.predicate(rule.name, ctx.creds)

    def scope(self, ctx: Context) -> bool | Alternatives:
        """What the caller may see, for statements of one's own that are built once: `scope_params` tells its shape
        from its values, and `scope_clause` makes a WHERE clause of the shape."""
        return self._scope(ctx, ctx.rule)

    def scope_clause(self, shape: Any) -> Any:
        return sa.true() if shape is True else self._scope_clause(shape or ())

    def _where_scope(self, statement: Any, shape: Any) -> Any:
        if shape is True:
            return statement
        return statement.where(self._scope_clause(shape))

    def _scope_clause(self, shape: Any) -> Any:
        return sa.or_(sa.false(), *[
            sa.and_(*[
                self.table.c[self.targets.get(name, name)] == sa.bindparam(f"scope_{i}_{j}")
                for j, name in enumerate(names)
            ])
            for i, names in enumerate(shape)
        ])

    def visible(self, ctx: Context, rule: Rule | None = None) -> Any:
        """A WHERE clause for hand-written statements: the rows the caller may see under `rule`."""
        scope = self._scope(ctx, rule or ctx.rule)
        if scope is True:
            return sa.true()
        clauses = [] if scope is False else [
            sa.and_(*[self.table.c[self.targets.get(name, name)] == value for name, value in names])
            for names in scope
        ]
        shared = self.shared(ctx) if self.shared else []
        return sa.or_(sa.false(), *clauses, *shared)

    # ---- many rows -----------------------------------------------------------------------

    def page(
        self,
        tx: Tx,
        ctx: Context,
        *,
        filters: Sequence[Filter] = (),
        sort: Sequence[tuple[str, str]] = (("created_at", "desc"), ("id", "desc")),
        limit: int | None = None,
        marker: str | None = None,
        may: Rule | None = None,
        where: Sequence[Any] = (),
        without: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
    ) -> list[Any]:
        """Rows the caller may see, in a total order, after `marker`; `sort` is (column, asc|desc).

        Raises Invalid for a marker that isn't there. `where` takes ready clauses for what
        filters can't say; a page with them isn't cached as a statement. Columns in `without` aren't
        read and come as None: large ones cost a list dearly that doesn't show them. With `only` the rows have
        nothing but these columns, in that order.
        """
        scope = self._scope(ctx, may or ctx.rule)
        if scope is False and self.shared is None:
            return []
        sort = total_order(sort, self.key)
        shape, params = scope_params(scope)
        shared = self.shared(ctx) if self.shared and scope is not True else ()
        after = self._marker_values(tx, marker, sort, shape, params, shared) if marker else None

        def made() -> Any:
            statement = self._page_statement(shape, shared, filters, sort, after, limit).where(*where)
            columns = [self.table.c[name] for name in only] if only else self._columns_but(without)
            return statement.with_only_columns(*columns) if only or without else statement

        if shared or where:
            statement = made()
        else:
            key = (
                "page", shape, tuple((c, op, len(v) if op in ("in", "notin") else 0) for c, op, v in filters),
                tuple(sort), tuple(v is None for v in after) if after else None, limit is not None, without, only,
            )
            statement = self._pages.get(key)
            if statement is None:
                statement = made()
                self._keep_page(key, statement, sum(len(v) for _, op, v in filters if op in ("in", "notin")))
        rows = tx.all(statement, params | page_params(filters, after, limit))
        return list(rows) if only else self._made(rows)

    def _keep_page(self, key: Any, statement: Any, values: int) -> None:
        if values > LONGEST_KEPT:
            return
        if len(self._pages) >= MOST_PAGES:
            self._pages.clear()
        self._pages[key] = statement

    def many(self, tx: Tx, ids: Sequence[str], *, without: tuple[str, ...] = ()) -> list[Any]:
        """The rows with these ids, in no order and whoever asks: for ids that a scoped query has just given."""
        statement = self._statements.get(("many", without))
        if statement is None:
            statement = sa.select(*self._columns_but(without)).where(among(self.table.c[self.key], "ids"))
            self._statements["many", without] = statement
        parts = [ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS)]
        return [row for part in parts for row in self._made(tx.all(statement, {"ids": list(part)}))]

    def _made(self, rows: Iterable[Any]) -> list[Any]:
        make = self.Row._make
        return [make(row) for row in rows]

    def _page_statement(
        self, shape: Any, shared: Any, filters: Sequence[Filter], sort: Any, after: Any, limit: int | None
    ) -> Any:
        statement = self._where_visible(self._select(), shape, shared)
        for i, (name, op, value) in enumerate(filters):
            statement = statement.where(filter_clause(self.table.c[name], op, value, i))
        if after:
            statement = statement.where(self._after_clause(sort, after))
        for name, direction in sort:
            column = self.table.c[name]
            if column.nullable:
                # The three databases disagree where NULL sorts; here it is always first ascending.
                null_first = sa.case((column.is_(None), 0), else_=1)
                statement = statement.order_by(null_first.desc() if direction == "desc" else null_first)
            statement = statement.order_by(column.desc() if direction == "desc" else column)
        return statement if limit is None else statement.limit(sa.bindparam("the_limit"))

    def _columns_but(self, without: tuple[str, ...]) -> list[Any]:
        return [sa.null().label(c.name) if c.name in without else c for c in self.table.columns]

    def _where_visible(self, statement: Any, shape: Any, shared: Any) -> Any:
        if shared:
            return statement.where(sa.or_(self._scope_clause(shape or ()), *shared))
        return self._where_scope(statement, shape)

    def _marker_values(
        self, tx: Tx, marker: str, sort: Any, shape: Any, params: dict[str, Any], shared: Any
    ) -> tuple[Any, ...]:
        """A foreign row is no marker: its place among the caller's rows would tell about it."""
        statement = self._select().where(self.table.c[self.key] == sa.bindparam("the_id"))
        row = tx.first(self._where_visible(statement, shape, shared), params | {"the_id": marker})
        if row is None:
            raise errors.Invalid(f"The marker {marker} could not be found.", reason="marker_not_found")
        return tuple(getattr(row, name) for name, _ in sort)

    def _after_clause(self, sort: Any, after: tuple[Any, ...]) -> Any:
        """(a, b, id) > (x, y, z) spelled out, since directions may differ and values be NULL."""
        clauses: list[Any] = []
        equal: list[Any] = []
        for i, ((name, direction), value) in enumerate(zip(sort, after, strict=True)):
            column, bind = self.table.c[name], sa.bindparam(f"after_{i}", type_=self.table.c[name].type)
            if value is None:
                beyond = column.is_not(None) if direction == "asc" else sa.false()
                same = column.is_(None)
            else:
                beyond = column > bind if direction == "asc" else column < bind
                if column.nullable and direction == "desc":
                    beyond = sa.or_(beyond, column.is_(None))
                same = column == bind
            clauses.append(sa.and_(*equal, beyond))
            equal.append(same)
        return sa.or_(*clauses)

    # ---- writing -------------------------------------------------------------------------

    def insert(self, tx: Tx, **values: Any) -> Any:
        """The new row. `created_at` and `updated_at` are filled when the table has them."""
        row = self._row(tx, values)
        tx.execute(self._insert, row)
        return self.Row(**row)

    def add(self, tx: Tx, **values: Any) -> Any | None:
        """The new row; None when one with a key of it is there, and the transaction goes on (see Tx.add)."""
        row = self._row(tx, values)
        return self.Row(**row) if tx.add(self.table, row) else None

    def _row(self, tx: Tx, values: dict[str, Any]) -> dict[str, Any]:
        row = {name: values.pop(name, None) for name in self.columns}
        if values:
            raise TypeError(f"{self.table.name} has no {', '.join(values)}")
        for name in ("created_at", "updated_at"):
            if name in row and row[name] is None and not self._stays_null(name):
                row[name] = tx.now
        return row

    def _stays_null(self, name: str) -> bool:
        """Upstream shows some resources' `updated_at` as null until the first change."""
        return name == "updated_at" and bool(self.table.c[name].nullable)

    def update(self, tx: Tx, row: Any, **values: Any) -> Any:
        """Set columns of a row that was looked up (and so locked) in this transaction."""
        if "updated_at" in self.columns:
            values.setdefault("updated_at", tx.now)
        if "revision" in self.columns:
            values.setdefault("revision", row.revision + 1)
        tx.execute(self._update_statement(tuple(values)), {"the_id": getattr(row, self.key), **values})
        return row._replace(**values)

    def _update_statement(self, names: tuple[str, ...]) -> Any:
        statement = self._statements.get(("update", names))
        if statement is None:
            statement = (
                self.table.update()
                .where(self.table.c[self.key] == sa.bindparam("the_id"))
                .values({name: sa.bindparam(name) for name in names})
            )
            self._statements["update", names] = statement
        return statement

    def move(self, tx: Tx, row: Any, before: str | Iterable[str], after: str, **values: Any) -> Any:
        """Change the state by compare-and-swap; Conflict names the state it is really in."""
        allowed = (before,) if isinstance(before, str) else tuple(before)
        now = getattr(row, self.state_column)
        if now not in allowed:
            raise self.wrong_state(row, allowed)
        if self.states is not None:
            self.states.check(now, after)
        if "updated_at" in self.columns:
            values.setdefault("updated_at", tx.now)
        if "revision" in self.columns:
            values.setdefault("revision", row.revision + 1)
        statement = self._move_statement(tuple(values))
        told = {"the_id": getattr(row, self.key), "the_state": now, self.state_column: after, **values}
        if tx.changed(statement, told) != 1:
            raise self.wrong_state(row, allowed)
        return row._replace(**{self.state_column: after, **values})

    def _move_statement(self, names: tuple[str, ...]) -> Any:
        statement = self._statements.get(("move", names))
        if statement is None:
            statement = self._update_statement((self.state_column, *names)).where(
                self.table.c[self.state_column] == sa.bindparam("the_state")
            )
            self._statements["move", names] = statement
        return statement

    def wrong_state(self, row: Any, allowed: Iterable[str]) -> errors.Conflict:
        now = getattr(row, self.state_column)
        return errors.Conflict(
            f"{self.label} {getattr(row, self.key)} is in state {now}; this needs {' or '.join(allowed)}.",
            state=now, needs=list(allowed),
        )

    def delete(self, tx: Tx, row: Any) -> None:
        """Raises NotFound when another was first: whatever goes with the row must go once."""
        if not tx.changed(self._delete, {"the_id": getattr(row, self.key)}):
            raise self.not_found(getattr(row, self.key))

    def public(self, row: Any) -> dict[str, Any]:
        """The row without its secrets: what the journal keeps."""
        return {name: value for name, value in row._asdict().items() if name not in self.secrets}


def locked(statement: Any, lock: Lock) -> Any:
    """`stay` lets others refer to the row too, and makes whoever would change or delete it wait."""
    if lock == "stay":
        return statement.with_for_update(read=True, key_share=True)
    return statement.with_for_update() if lock else statement


def scope_params(scope: bool | Alternatives) -> tuple[Any, dict[str, Any]]:
    """Split a predicate into its shape (a key for cached statements) and its values."""
    if isinstance(scope, bool):
        return scope, {}
    shape = tuple(tuple(name for name, _ in names) for names in scope)
    params = {f"scope_{i}_{j}": value for i, names in enumerate(scope) for j, (_, value) in enumerate(names)}
    return shape, params


def filter_clause(column: Any, op: str, value: Any, i: int) -> Any:
    if op in ("in", "notin"):
        binds = [sa.bindparam(f"filter_{i}_{j}", type_=column.type) for j in range(len(value))]
        return column.in_(binds) if op == "in" else column.not_in(binds)
    if op == "isnull":
        return column.is_(None)
    if op == "notnull":
        return column.is_not(None)
    return OPERATORS[op](column, sa.bindparam(f"filter_{i}", type_=column.type))


def page_params(filters: Sequence[Filter], after: Sequence[Any] | None, limit: int | None) -> dict[str, Any]:
    """The values of a page's statement: those of its filters, of its marker, and how many."""
    params = {f"after_{i}": value for i, value in enumerate(after or ()) if value is not None}
    for i, (_, op, value) in enumerate(filters):
        if op in ("in", "notin"):
            params |= {f"filter_{i}_{j}": item for j, item in enumerate(value)}
        elif op not in ("isnull", "notnull"):
            params[f"filter_{i}"] = value
    return params if limit is None else params | {"the_limit": limit}


def total_order(sort: Sequence[tuple[str, str]], key: str) -> list[tuple[str, str]]:
    """The sort keys with the id appended, so that no two rows are equal."""
    order = list(dict(sort).items())
    if key not in dict(order):
        order.append((key, order[-1][1] if order else "asc"))
    return order


def like_escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
