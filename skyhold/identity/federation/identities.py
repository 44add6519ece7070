# SPDX-License-Identifier: Apache-2.0
"""The `federated` attribute of users: by which ids which identity providers know them.

Users are ../users.py. An operator may enter it beforehand, so that somebody's first sign-in finds a user that
has roles already. It is replaced as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT, Shape, field
from skyhold.identity import permits
from skyhold.identity.federation import policy
from skyhold.identity.federation.tables import FEDERATED_USERS, PROTOCOLS, PROVIDERS
from skyhold.identity.tables import USERS
from skyhold.identity.unique import duplicate, once

LONGEST = 255


class KnownBy(Shape, extra="ignore"):
    protocol_id: str = field(min=1, max=64)
    unique_id: str = field(min=1, max=LONGEST)


class Federated(Shape, extra="ignore"):
    idp_id: str = field(min=1, max=64)
    protocols: list[KnownBy] = field(min_items=1, max_items=100)


def replace(tx: Tx, ctx: Context, user: Any, federated: Sequence[Federated] | Any) -> None:
    """Raises Invalid for a provider or protocol that isn't there, Conflict for an id that another user has.

    In the domain of a provider its users are the domain's to manage; elsewhere it takes whoever may change
    the provider: else a domain's manager could catch those who come by another's.
    """
    if federated is ABSENT:
        return
    told = sorted({
        (each.idp_id, one.protocol_id, one.unique_id) for each in federated or () for one in each.protocols
    })
    pairs = {(idp_id, protocol_id) for idp_id, protocol_id, _ in told}
    check(tx, pairs)
    if foreign(tx, user.domain_id, {idp_id for idp_id, _ in pairs}):
        permits.demand(ctx, policy.UPDATE_IDENTITY_PROVIDER)
    tx.execute(FEDERATED_USERS.delete().where(FEDERATED_USERS.c.user_id == user.id))
    known = duplicate("federated_user", "Duplicate entry: another user is known by this id", "unique_id_taken")
    with once(tx, known):
        for idp_id, protocol_id, unique_id in told:
            link(tx, user.id, idp_id, protocol_id, unique_id)


def foreign(tx: Tx, domain_id: str, provider_ids: set[str]) -> bool:
    """Whether one of these providers has another domain than this."""
    p = PROVIDERS.c
    there = sa.select(p.id).where(p.id.in_(sorted(provider_ids)), p.domain_id != domain_id).limit(1)
    return bool(provider_ids) and tx.first(there) is not None


def link(tx: Tx, user_id: str, provider_id: str, protocol_id: str, unique_id: str) -> None:
    tx.execute(FEDERATED_USERS.insert(), {
        "id": key_of(provider_id, protocol_id, unique_id), "user_id": user_id, "provider_id": provider_id,
        "protocol_id": protocol_id, "unique_id": unique_id, "created_at": tx.now,
    })


def key_of(provider_id: str, protocol_id: str, unique_id: str) -> str:
    told = "\0".join((provider_id, protocol_id, unique_id))
    return hashlib.sha256(told.encode()).hexdigest()


def check(tx: Tx, pairs: set[tuple[str, str]]) -> None:
    p = PROTOCOLS.c
    providers = sorted({provider for provider, _ in pairs})
    rows = tx.all(sa.select(p.provider_id, p.name).where(p.provider_id.in_(providers))) if pairs else []
    missing = sorted(pairs - {(row.provider_id, row.name) for row in rows})
    if missing:
        provider, protocol = missing[0]
        raise errors.Invalid(
            f"There is no protocol {protocol} of an identity provider {provider}.", reason="no_protocol"
        )


def of(tx: Tx, user_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """By user, as the API prints it; users whom no provider knows are left out."""
    f = FEDERATED_USERS.c
    rows = tx.all(
        sa.select(f.user_id, f.provider_id, f.protocol_id, f.unique_id)
        .where(f.user_id.in_(list(user_ids))).order_by(f.user_id, f.provider_id, f.protocol_id, f.unique_id)
    )
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    for user_id, provider_id, protocol_id, unique_id in rows:
        one = {"protocol_id": protocol_id, "unique_id": unique_id}
        found.setdefault(user_id, {}).setdefault(provider_id, []).append(one)
    return {
        user_id: [{"idp_id": provider, "protocols": told} for provider, told in by_provider.items()]
        for user_id, by_provider in found.items()
    }


def known_by(idp_id: str | None, protocol_id: str | None, unique_id: str | None) -> list[Any]:
    """Clauses over users for a list's filters of those names."""
    f = FEDERATED_USERS.c
    given = {f.provider_id: idp_id, f.protocol_id: protocol_id, f.unique_id: unique_id}
    clauses = [column == value for column, value in given.items() if value is not None]
    return [USERS.c.id.in_(sa.select(f.user_id).where(*clauses))] if clauses else []
