# SPDX-License-Identifier: Apache-2.0
"""The delegations a token can rest on, and how each is read when the token is validated.

What a reader gives is bounds.py; it is applied in validate.py. A new kind is an attribute of the token
(payload.py) and a line in GROUNDS: a reader raises NotFound (`gone`) as soon as its ground doesn't count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth.bounds import AccessRules, Bound
from skyhold.identity.auth.payload import Token
from skyhold.identity.tables import ACCESS_RULES, APP_CREDENTIALS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Reader = Callable[["Tx", Context, Token], Bound]


def of_token(tx: Tx, ctx: Context, token: Token) -> Iterator[Bound]:
    """The bounds of this token, one for each ground it rests on."""
    for name, read in GROUNDS.items():
        if getattr(token, name) is not None:
            yield read(tx, ctx, token)


def application_credential(tx: Tx, ctx: Context, token: Token) -> Bound:
    row = tx.first(sa.select(*APP_CREDENTIALS.c).where(APP_CREDENTIALS.c.id == token.app_cred_id))
    if row is None or row.user_id != token.user_id:
        raise gone("its application credential is gone")
    rules = access_rules(tx, row.access_rules)
    return Bound(
        project_id=row.project_id, role_ids=tuple(row.roles), ends_at=row.expires_at, access_rules=rules,
        passes_on=row.unrestricted, shown={"application_credential": printed(row, rules)},
    )


def printed(row: Any, rules: AccessRules | None) -> dict[str, Any]:
    body: dict[str, Any] = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
    if rules is not None:
        body["access_rules"] = [
            {"id": id, "service": service, "method": method, "path": path}
            for id, service, method, path in rules
        ]
    return body


def access_rules(tx: Tx, ids: list[str] | None) -> AccessRules | None:
    """A rule that was deleted allows nothing; None (no list at all) is no limit."""
    if ids is None:
        return None
    rules = ACCESS_RULES.c
    rows = tx.all(sa.select(rules.id, rules.service, rules.method, rules.path).where(rules.id.in_(ids)))
    return tuple(tuple(row) for row in rows)  # type: ignore[misc]


def gone(why: str) -> errors.NotFound:
    return errors.NotFound(f"This token is not valid: {why}.", reason="token_void")


GROUNDS: dict[str, Reader] = {"app_cred_id": application_credential}
"""By the token's attribute. A trust and an OAuth access token are grounds too; an identity provider
is none, since it bounds nothing."""

FINAL = {
    "trust_id": "Using trust-scoped token to create another token. Create a new trust-scoped token instead.",
    "access_token_id": "Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead.",
}
"""Tokens on these grounds are not taken to another scope, as upstream has it."""
