# SPDX-License-Identifier: Apache-2.0
"""A signed request of an EC2 or S3 client, turned into a token, for the services that receive such requests.

Checking signatures is logic/signatures.py, keys are ec2_keys.py. Only services and administrators may ask: who
has seen one signed request must not get a token for it. The token is worth what the key is worth, no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, Shape, field
from skyhold.identity.auth import issuing
from skyhold.identity.auth.proof import Proof, denied, fresh, limited
from skyhold.identity.auth.subjects import UserView, user_with_id
from skyhold.identity.delegation import policy, sealing
from skyhold.identity.delegation.credentials import BOUNDS, EC2, hash_of
from skyhold.identity.delegation.tables import CREDENTIALS
from skyhold.identity.logic.signatures import Signed, is_timely, matches, matches_s3

NOBODY = "a secret of no key, so that an unknown access takes as long"

# ---- shape ---------------------------------------------------------------------------------


class Ec2Request(Shape, extra="ignore"):
    access: str = field(max=4096)
    signature: str | Absent = field(optional=True, max=4096, secret=True)
    host: str = field(default="", max=1024)
    verb: str = field(default="", max=32)
    path: str = field(default="", max=8192)
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    body_hash: str = field(default="", max=256)


class Ec2Body(Shape, extra="ignore"):
    """Clients of old call it `ec2Credentials`, or `auth`."""

    credentials: Ec2Request | None = field(default=None)
    ec2: Ec2Request | None = field("ec2Credentials", default=None)


class S3Request(Shape, extra="ignore"):
    access: str = field(max=4096)
    signature: str = field(max=4096, secret=True)
    token: str = field(max=65_536)


class S3Body(Shape, extra="ignore"):
    credentials: S3Request


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.post("/v3/ec2tokens", policy=policy.EC2TOKENS_VALIDATE, body=Ec2Body)
async def of_ec2(ctx: Context, want: Ec2Body) -> Reply:
    """Turn a signed EC2 request into a token."""
    given = want.credentials or want.ec2
    if given is None:
        raise errors.Unauthorized("EC2 signature not supplied.", reason="no_signature")
    request = signed(given)
    proof = await proved(ctx, given.access, lambda secret: matches(secret, request))
    if not is_timely(request, ctx.now):
        raise errors.Unauthorized("The signature is too old, or of a time to come.", reason="not_timely")
    return await issuing.answer(ctx, await issuing.hand_out(ctx, proof), without_catalogue=False)


@routes.post("/v3/s3tokens", policy=policy.S3TOKENS_VALIDATE, body=S3Body)
async def of_s3(ctx: Context, want: S3Body) -> Reply:
    """Say whose S3 request this is. The token itself is not given away, as upstream has it."""
    given = want.credentials
    proof = await proved(ctx, given.access, lambda secret: matches_s3(secret, given.signature, given.token))
    known = await issuing.hand_out(ctx, proof)
    printed = await issuing.rendered(ctx, known, without_catalogue=False)
    return Reply(printed, headers=issuing.VARY, content_type="application/json")


# ---- what is checked -----------------------------------------------------------------------


def signed(given: Ec2Request) -> Signed:
    if not given.signature:
        raise errors.Unauthorized("EC2 signature not supplied.", reason="no_signature")
    return Signed(
        access=given.access, signature=given.signature, host=given.host, verb=given.verb, path=given.path,
        params=texts(given.params), headers=texts(given.headers), body_hash=given.body_hash,
    )


def texts(values: dict[str, Any]) -> dict[str, str]:
    """Numbers and booleans come as such from clients that parse before they send."""
    found = {name: str(value) for name, value in values.items() if isinstance(value, str | int | float)}
    if len(found) != len(values):
        raise errors.Invalid("Parameters and headers of the signed request must be strings.")
    return found


async def proved(ctx: Context, access: str, is_right: Callable[[str], bool]) -> Proof:
    """Raises Unauthorized, alike for a wrong signature and for an access that there isn't."""
    found = await ctx.read(key, access)
    blob: dict[str, Any] = found[1] if found else {}
    right = is_right(blob.get("secret") or NOBODY)
    if found is None or not right or not blob.get("secret"):
        raise denied()
    row, _, user = found
    bounds = {name: blob[name] for name in BOUNDS if name in blob}
    proof = fresh(ctx, user, "ec2credential", ec2_key_id=row.id, **bounds)
    return limited(proof, project_id=row.project_id, ends_at=None)


def key(tx: Tx, ctx: Context, access: str) -> tuple[Any, dict[str, Any], UserView] | None:
    c = CREDENTIALS.c
    row = tx.first(sa.select(*c).where(c.access_hash == hash_of(access), c.type == EC2))
    user = None if row is None else user_with_id(tx, row.user_id)
    if row is None or user is None:
        return None
    return row, msgspec.json.decode(sealing.unseal(ctx, row.blob)), user
