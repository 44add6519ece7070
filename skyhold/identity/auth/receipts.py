# SPDX-License-Identifier: Apache-2.0
"""Receipts: what a user gets who proved something, but not yet all that the user's rules ask for.

The rules are logic/factors.py. A receipt comes in the header Openstack-Auth-Receipt with status 401, and is sent
back in the same header with the methods that are missing. It is sealed like a token, by keys of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply
from skyhold.core.keyring import KeySet
from skyhold.identity.auth import body, payload
from skyhold.identity.auth.payload import METHODS, SECOND_US, long, short
from skyhold.identity.auth.proof import Proof, denied
from skyhold.identity.auth.subjects import UserView, user_with_id
from skyhold.identity.logic import factors

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

HEADER = "Openstack-Auth-Receipt"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """`user_generation` as in a token: what voids the user's tokens voids it. Microseconds, whole seconds."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: int
    expires_at: int
    user_generation: int


class Packed(msgspec.Struct, frozen=True, array_like=True):
    user_id: Any
    methods: int
    issued_s: int
    lifetime_s: int
    user_generation: int


def keys(ctx: Context) -> KeySet:
    shelf = ctx.core.shelf
    found: KeySet | None = shelf.get("identity.receipts")
    if found is None:
        found = shelf["identity.receipts"] = KeySet(ctx.core.settings.receipt_keys_dir)
    return found


def seal(found: KeySet, receipt: Receipt) -> str:
    packed = Packed(
        short(receipt.user_id), payload.bits_of(receipt.methods), receipt.issued_at // SECOND_US,
        (receipt.expires_at - receipt.issued_at) // SECOND_US, receipt.user_generation,
    )
    return found.seal(msgspec.msgpack.encode(packed)).rstrip("=")


def open_one(ctx: Context, text: str) -> Receipt:
    """Raises Unauthorized for what isn't a receipt of ours, or no longer."""
    try:
        opened = keys(ctx).open(text[: payload.LONGEST] + "=" * (-len(text) % 4))
        packed = msgspec.msgpack.decode(opened, type=Packed)
    except (ValueError, msgspec.DecodeError):
        raise denied() from None
    issued_at = packed.issued_s * SECOND_US
    receipt = Receipt(
        user_id=long(packed.user_id), methods=payload.methods_of(packed.methods), issued_at=issued_at,
        expires_at=issued_at + packed.lifetime_s * SECOND_US, user_generation=packed.user_generation,
    )
    if receipt.expires_at <= ctx.now:
        raise denied()
    return receipt


def added(ctx: Context, proof: Proof, text: str) -> Proof:
    """The proof with what the receipt says was proved before. Raises Unauthorized for another user's."""
    receipt = open_one(ctx, text)
    if (receipt.user_id, receipt.user_generation) != (proof.user_id, proof.user_generation):
        raise denied()
    return msgspec.structs.replace(proof, methods=tuple(dict.fromkeys(receipt.methods + proof.methods)))


def lacking(proof: Proof) -> list[list[str]] | None:
    """The rules that the user may go on with, or None when the proof suffices."""
    rules = factors.rules_of(proof.options, METHODS)
    return None if factors.suffices(rules, proof.methods) else factors.begun(rules, proof.methods)


async def offer(ctx: Context, proof: Proof, rules: list[list[str]]) -> Reply:
    """The answer to a proof that doesn't suffice. One that is bounded by a delegation can't be added to."""
    if proof.carries or proof.parent is not None or proof.only_project_id is not None:
        raise errors.Unauthorized("Additional authentications steps required.", reason="more_methods_needed")
    now = ctx.now // SECOND_US * SECOND_US
    receipt = Receipt(
        user_id=proof.user_id, methods=proof.methods, issued_at=now, user_generation=proof.user_generation,
        expires_at=now + ctx.core.settings.identity.receipt_lifetime_s * SECOND_US,
    )
    user = await ctx.read(user_of, proof.user_id)
    printed = {"receipt": shown(receipt, user), "required_auth_methods": rules}
    headers = {
        HEADER: seal(keys(ctx), receipt), "Vary": "X-Auth-Token",
        "WWW-Authenticate": f'Keystone uri="{ctx.core.settings.public_url}/identity"',
    }
    return Reply(printed, status=401, headers=headers)


def user_of(tx: Tx, ctx: Context, user_id: str) -> UserView:
    found = user_with_id(tx, user_id)
    if found is None:
        raise denied()
    return found


def shown(receipt: Receipt, user: UserView) -> dict[str, Any]:
    return {
        "methods": list(receipt.methods), "expires_at": body.moment(receipt.expires_at),
        "issued_at": body.moment(receipt.issued_at),
        "user": {
            "id": user.id, "name": user.name, "domain": {"id": user.domain_id, "name": user.domain_name},
            "password_expires_at": body.moment(user.password_expires_at),
        },
    }
