# SPDX-License-Identifier: Apache-2.0
"""Access rules: single calls that application credentials may be limited to.

They are made with application credentials (app_credentials.py), kept for the user and used again when
the same is asked for. Core checks them before any other policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, policy
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID
from skyhold.identity.tables import ACCESS_RULES, APP_CREDENTIALS

# ---- shape ---------------------------------------------------------------------------------


class RuleRef(Shape):
    """Either the id of a rule, or all of service, method and path."""

    id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    service: str | Absent = field(optional=True, min=1, max=255)
    method: str | Absent = field(optional=True, pattern=r"^(POST|GET|HEAD|PATCH|PUT|DELETE)$")
    path: str | Absent = field(optional=True, max=225, pattern=r"^/")


class AccessRule(Shape):
    id: str
    service: str
    method: str
    path: str
    links: JsonObject | Absent = field(optional=True)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/users/{user_id}/access_rules"
ONE = ALL + "/{access_rule_id}"


@routes.get(
    ALL, policy=policy.LIST_ACCESS_RULES, query=ListQuery, reply=collection(
        "access_rules", AccessRule, links="links"
    )
)
async def index(ctx: Context, user_id: str, query: ListQuery) -> Page:
    """List a user's access rules."""
    return await ctx.read(list_page, user_id, query)


@routes.get(ONE, policy=policy.GET_ACCESS_RULE, reply=envelope("access_rule", AccessRule))
async def show(ctx: Context, user_id: str, id: str) -> AccessRule:
    """Show an access rule."""
    return view(ctx, await ctx.read(of_user, user_id, id))


@routes.delete(ONE, policy=policy.DELETE_ACCESS_RULE)
async def delete(ctx: Context, user_id: str, id: str) -> None:
    """Delete an access rule that no application credential uses."""
    await ctx.write(remove, user_id, id)


# ---- operations ----------------------------------------------------------------------------


def ensure(tx: Tx, ctx: Context, user_id: str, asked: Sequence[RuleRef]) -> list[str]:
    """Ids of the user's rules that say what is asked for; new ones are made."""
    mine = tx.all(sa.select(*ACCESS_RULES.c).where(ACCESS_RULES.c.user_id == user_id))
    known = {(row.service, row.method, row.path): row.id for row in mine}
    ids = {row.id for row in mine}
    found: list[str] = []
    for ref in asked:
        if ref.id is not ABSENT:
            if ref.id not in ids:
                raise store.not_found(ref.id)
            found.append(ref.id)
            continue
        if ABSENT in (ref.service, ref.method, ref.path):
            raise errors.Invalid(
                "An access rule needs service, method and path, or the id of one that has them."
            )
        key = (ref.service, ref.method, ref.path)
        if key not in known:
            row = store.insert(
                tx, id=permits.hex_id(
                    ctx
                ), user_id=user_id, service=ref.service, method=ref.method, path=ref.path
            )
            known[key] = row.id
        found.append(known[key])
    return list(dict.fromkeys(found))


def remove(tx: Tx, ctx: Context, user_id: str, id: str) -> None:
    row = of_user(tx, ctx, user_id, id)
    c = APP_CREDENTIALS.c
    used = tx.all(sa.select(c.access_rules).where(c.user_id == user_id, c.access_rules.is_not(None)))
    if any(id in each.access_rules for each in used):
        raise errors.Forbidden(f"Access rule {id} is in use by an application credential.", reason="in_use")
    store.delete(tx, row)
    journal.record(tx, "access_rule.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(
    ACCESS_RULES, service="identity", kind="access_rule", label="Access rule",
    targets={"target.user.id": "user_id"},
)


def of_user(tx: Tx, ctx: Context, user_id: str, id: str) -> Any:
    row = store.get(tx, ctx, id)
    if row.user_id != user_id:
        raise store.not_found(id)
    return row


def list_page(tx: Tx, ctx: Context, user_id: str, query: ListQuery) -> Page:
    permits.demand(ctx, policy.LIST_ACCESS_RULES, {"target.user.id": user_id})
    where = [ACCESS_RULES.c.user_id == user_id]
    return page(tx, ctx, store, query, f"users/{user_id}/access_rules", view, where=where)


def view(ctx: Context, row: Any) -> AccessRule:
    return AccessRule(
        id=row.id, service=row.service, method=row.method, path=row.path,
        links=links.to(ctx, f"users/{row.user_id}/access_rules/{row.id}"),
    )


def by_id(tx: Tx, ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Rules as application credentials show them."""
    ids = list(ids)
    if not ids:
        return {}
    c = ACCESS_RULES.c
    rows = tx.all(sa.select(c.id, c.service, c.method, c.path).where(c.id.in_(ids)))
    return {
        row.id: {"id": row.id, "service": row.service, "method": row.method, "path": row.path} for row in rows
    }
