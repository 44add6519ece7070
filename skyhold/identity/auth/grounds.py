# SPDX-License-Identifier: Apache-2.0
"""The delegations a token can rest on, and how each is read when the token is validated.

What a reader gives is bounds.py; it is applied in validate.py. A new kind is an attribute of the token
(payload.py) and a line in GROUNDS: a reader raises NotFound (`gone`) as soon as its ground doesn't count. A
delegation made with a delegated token hangs on that one, so a token rests on a chain of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth.bounds import AccessRules, Bound
from skyhold.identity.auth.payload import Token
from skyhold.identity.auth.subjects import user_with_id
from skyhold.identity.delegation.tables import ACCESS_TOKENS, CREDENTIALS, TRUSTS
from skyhold.identity.tables import ACCESS_RULES, APP_CREDENTIALS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Reader = Callable[["Tx", Context, str], Bound]
"""Takes the ground's id. Raises NotFound when it doesn't count."""


def of_token(tx: Tx, ctx: Context, token: Token) -> Iterator[Bound]:
    """The bounds of this token: one for each ground it rests on, and for each that those hang on."""
    own = {name: id for name in GROUNDS if (id := getattr(token, name)) is not None}
    named = {link(name, id) for name, id in own.items()}
    for name, id in own.items():
        bound = GROUNDS[name](tx, ctx, id)
        if token.user_id not in bound.signers:
            raise gone("what it rests on is another's")
        yield bound
        yield from above(tx, ctx, bound.made_with, named)


def above(tx: Tx, ctx: Context, made_with: str | None, without: Collection[str] = ()) -> Iterator[Bound]:
    """The bounds of this delegation and of all that it hangs on, up to the first one of `without`."""
    while made_with is not None and made_with not in without:
        name, _, id = made_with.partition(":")
        bound = GROUNDS[name](tx, ctx, id)
        yield msgspec.structs.replace(bound, speaks_as=None, shown={})
        made_with = bound.made_with


def link(name: str, id: str) -> str:
    """How the column `made_with` names a delegation: by the token's attribute."""
    return f"{name}:{id}"


def generation(bounds: Iterable[Bound]) -> int:
    return sum(bound.generation for bound in bounds)


@cache
def by_id(table: sa.Table) -> sa.Select[Any]:
    return sa.select(*table.c).where(table.c.id == sa.bindparam("id"))


def application_credential(tx: Tx, ctx: Context, id: str) -> Bound:
    row = tx.first(by_id(APP_CREDENTIALS), {"id": id})
    if row is None:
        raise gone("its application credential is gone")
    rules = access_rules(tx, row.access_rules)
    return Bound(
        project_id=row.project_id, role_ids=tuple(row.roles), ends_at=row.expires_at, access_rules=rules,
        passes_on=row.unrestricted, shown={"application_credential": printed(row, rules)},
        signers=(row.user_id,), made_with=row.made_with,
    )


def trust(tx: Tx, ctx: Context, id: str) -> Bound:
    """The roles of a trust that was passed on are those of the first trustor."""
    row = tx.first(by_id(TRUSTS), {"id": id})
    if row is None:
        raise gone("its trust is gone")
    trustor, trustee = (user_with_id(tx, user) for user in (row.trustor_user_id, row.trustee_user_id))
    if trustor is None or trustee is None:
        raise gone("the trustor or the trustee of its trust is disabled")
    shown = {
        "id": row.id, "impersonation": row.impersonation, "trustor_user": {"id": trustor.id},
        "trustee_user": {"id": trustee.id}, "redelegated_trust_id": row.redelegated_trust_id,
        "redelegation_count": row.redelegation_count,
    }
    return Bound(
        project_id=row.project_id, role_ids=tuple(row.roles) if row.project_id else None, all_roles=True,
        ends_at=row.expires_at, holder=trustor if row.redelegated_trust_id is None else None,
        generation=trustor.generation + trustee.generation, speaks_as=trustor if row.impersonation else None,
        shown={"OS-TRUST:trust": shown},
        # The trustor too: an EC2 key made under impersonation is the trustor's.
        signers=(trustee.id, trustor.id) if row.impersonation else (trustee.id,), made_with=row.made_with,
    )


def access_token(tx: Tx, ctx: Context, id: str) -> Bound:
    row = tx.first(by_id(ACCESS_TOKENS), {"id": id})
    if row is None:
        raise gone("its access token is gone")
    shown = {"access_token_id": row.id, "consumer_id": row.consumer_id}
    return Bound(
        project_id=row.project_id, role_ids=tuple(row.roles), ends_at=row.expires_at, signers=(row.user_id,),
        shown={"OS-OAUTH1": shown},
    )


def ec2_key(tx: Tx, ctx: Context, id: str) -> Bound:
    """It has all the roles that its owner, or what it was made with, has in its project."""
    row = tx.first(by_id(CREDENTIALS), {"id": id})
    if row is None:
        raise gone("its EC2 key is gone")
    return Bound(project_id=row.project_id, passes_on=True, signers=(row.user_id,), made_with=row.made_with)


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
    return tuple((row.id, row.service, row.method, row.path) for row in rows)


def gone(why: str) -> errors.NotFound:
    return errors.NotFound(f"This token is not valid: {why}.", reason="token_void")


GROUNDS: dict[str, Reader] = {
    "app_cred_id": application_credential, "trust_id": trust, "access_token_id": access_token,
    "ec2_key_id": ec2_key,
}
"""By the token's attribute. An identity provider is none, since it bounds nothing."""

FINAL = {
    "trust_id": "Using trust-scoped token to create another token. Create a new trust-scoped token instead.",
    "access_token_id": "Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead.",
}
"""Tokens on these grounds are not taken to another scope, as upstream has it."""
