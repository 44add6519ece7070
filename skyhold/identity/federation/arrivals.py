# SPDX-License-Identifier: Apache-2.0
"""Somebody arrives with the word of an identity provider: from an assertion that was verified to a proof.

Verifying it is oidc/ and saml/; nothing here believes a client. What the mapping makes of it is
../logic/mapping.py, the user and groups shadows.py. The token is handed out as any other: ../auth/issuing.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.identity.auth import shape
from skyhold.identity.auth.proof import Proof, denied, fresh
from skyhold.identity.auth.subjects import UserView, named_user, user_with_id
from skyhold.identity.federation import mappings, protocols, providers, shadows
from skyhold.identity.federation.agreements import agreements
from skyhold.identity.federation.tables import SAML_ASSERTIONS
from skyhold.identity.logic.mapping import Assertion, Outcome, User, parse


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified: who says it (`remote_id`), by which agreement, and what. `ends_at` bounds the token;
    `once` names a word that may be heard only once, `forget_at` is when nobody would take it anyway."""

    provider_id: str
    protocol_id: str
    remote_id: str
    assertion: Assertion
    ends_at: int | None = None
    once: str | None = None
    forget_at: int = 0


async def arrive(ctx: Context, word: Word) -> Proof:
    """Raises Unauthorized when the mapping makes nobody of it, Forbidden for a provider that is disabled."""
    proof = await ctx.write(admit, word)
    if word.ends_at is not None:
        proof = msgspec.structs.replace(proof, ends_at=min(proof.ends_at, word.ends_at))
    return proof


def admit(tx: Tx, ctx: Context, word: Word) -> Proof:
    if word.once is not None:
        use_up(tx, word.once, word.forget_at)
    provider, outcome = heard(tx, word)
    who = named(outcome, word)
    if who.local:
        return fresh(ctx, local_user(tx, who), "mapped")
    domain_id = shadows.domain_of(tx, who.domain) if who.domain else provider.domain_id
    if domain_id is None:
        raise errors.Unauthorized("The mapping puts the user into a domain that does not exist.")
    row = shadows.ensure(
        tx, ctx, word.provider_id, word.protocol_id, who.id or who.name or "", name=who.name or who.id or "",
        email=who.email, domain_id=domain_id,
    )
    groups = shadows.group_ids(tx, outcome.group_ids, outcome.groups, provider.domain_id)
    ttl_min = agreements(ctx.core).authorization_ttl_min if provider.authorization_ttl is None \
        else provider.authorization_ttl
    shadows.belong(tx, row.id, word.provider_id, groups, ttl_min)
    if outcome.projects or outcome.follows:
        shadows.provide(tx, ctx, row.id, outcome.projects, provider.domain_id, follows=outcome.follows)
    user = user_with_id(tx, row.id)
    if user is None:
        raise denied()
    return fresh(ctx, user, "mapped", idp_id=word.provider_id, protocol_id=word.protocol_id, group_ids=groups)


def use_up(tx: Tx, once: str, forget_at: int) -> None:
    """Raises Unauthorized for what was heard before."""
    if not tx.add(SAML_ASSERTIONS, {"id": hashlib.sha256(once.encode()).hexdigest(), "ends_at": forget_at}):
        raise errors.Unauthorized("This assertion was used before.", reason="replayed")


async def forget(ctx: Context) -> None:
    """A loop's work."""
    await ctx.write(drop_ended)


def drop_ended(tx: Tx, ctx: Context) -> None:
    tx.execute(SAML_ASSERTIONS.delete().where(SAML_ASSERTIONS.c.ends_at <= ctx.now))


def heard(tx: Tx, word: Word) -> tuple[Any, Outcome]:
    """The provider, and what the mapping of its protocol makes of its word."""
    provider = providers.store.find(tx, word.provider_id, lock="stay")
    if provider is None:
        raise providers.store.not_found(word.provider_id)
    if not provider.enabled:
        raise errors.Forbidden(f"Identity Provider {word.provider_id} is disabled.", reason="provider_disabled")
    protocol = protocols.by_name(tx, word.provider_id, word.protocol_id)
    if protocol is None:
        raise protocols.store.not_found(word.protocol_id)
    check_remote(tx, word, protocol.remote_id_attribute)
    mapping = mappings.store.find(tx, protocol.mapping_id)
    if mapping is None:
        raise mappings.store.not_found(protocol.mapping_id)
    return provider, parse(mapping.rules, mapping.schema_version).apply(word.assertion)


def check_remote(tx: Tx, word: Word, attribute: str | None) -> None:
    """A provider with remote ids speaks under one of them; where the protocol names the attribute that holds
    it, under the one that stands there."""
    mine = providers.remote_ids_of(tx, [word.provider_id]).get(word.provider_id, [])
    said = word.assertion.get(attribute, ()) if attribute else (word.remote_id,)
    if (mine or attribute) and not set(said) & set(mine):
        raise errors.Forbidden(
            "Incoming identity provider identifier is not among the accepted identifiers of "
            f"{word.provider_id}.", reason="unknown_remote_id",
        )


def named(outcome: Outcome, word: Word) -> User:
    """Without an id or a name in the mapping, whoever the protocol itself calls the user."""
    who = outcome.user
    if who is not None and (who.id or who.name):
        return who
    remote = word.assertion.get("REMOTE_USER", ())
    groups = outcome.group_ids or outcome.groups or outcome.projects
    if not remote or (who is None and not groups):
        raise errors.Unauthorized(
            "Could not map any federated user properties to identity values: no rule of the mapping names a user.",
            reason="not_mapped",
        )
    if who is None:
        return User(None, remote[0], None, None, local=False)
    return User(None, remote[0], who.email, who.domain, who.local)


def local_user(tx: Tx, who: User) -> UserView:
    """One that is here already; the provider's groups give it nothing."""
    domain = None if who.domain is None else shape.DomainRef(id=who.domain.id, name=who.domain.name)
    found = named_user(tx, shape.UserRef(id=who.id, name=who.name, domain=domain))
    if found is None:
        raise denied()
    return found
