# SPDX-License-Identifier: Apache-2.0
"""How a consumer comes to act for a user: it asks (request token), the user agrees (authorize), it is given
an access token.

Signatures are signed.py, using an access token signing_in.py, taking it back access_tokens.py. A request token is
exchanged once and by its consumer alone, and only with the verifier that the user was shown.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, envelope, field
from skyhold.identity import grants, permits
from skyhold.identity.auth.proof import denied
from skyhold.identity.delegation import making, policy, sealing
from skyhold.identity.delegation.oauth1 import signed
from skyhold.identity.delegation.oauth1.signed import HEADERS, Signed
from skyhold.identity.delegation.rows import access_tokens, consumers, request_tokens
from skyhold.identity.delegation.tables import REQUEST_TOKENS
from skyhold.identity.shapes import ID

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

REQUEST_LASTS_US = 28_800 * 1_000_000
ACCESS_LASTS_US = 86_400 * 1_000_000
PROJECT = "Requested-Project-Id"
FORM = "application/x-www-form-urlencoded"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"

# ---- shape ---------------------------------------------------------------------------------


class RoleRef(Shape, extra="ignore"):
    id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    name: str | Absent = field(optional=True, min=1, max=255)


class Authorization(Shape, extra="ignore"):
    roles: list[RoleRef] = field(min_items=1, max_items=500)


class Verifier(Shape):
    oauth_verifier: str = field(secret=True)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.post("/v3/OS-OAUTH1/request_token", policy=PUBLIC, headers=(*HEADERS, PROJECT), status=201)
async def request(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Ask for a request token, as a consumer."""
    given = demanded(ctx, headers, "/v3/OS-OAUTH1/request_token")
    row = await ctx.read(find_consumer, given)
    if not signed.is_right(given, signed.secret_of(ctx, row), "") or row is None:
        raise denied()
    return form(*await ctx.write(insert_request, given, headers[PROJECT]))


@routes.put(
    "/v3/OS-OAUTH1/authorize/{request_token_id}", policy=policy.AUTHORIZE_REQUEST_TOKEN, body=Authorization,
    reply=envelope("token", Verifier),
)
async def authorize(ctx: Context, request_token_id: str, want: Authorization) -> Verifier:
    """Let the consumer that asked have these of the own roles; it needs the verifier that this shows."""
    verifier = "".join(secrets.choice(LETTERS) for _ in range(8))
    await ctx.write(agree, request_token_id, want, verifier)
    return Verifier(oauth_verifier=verifier)


@routes.post("/v3/OS-OAUTH1/access_token", policy=PUBLIC, headers=HEADERS, status=201)
async def access(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Exchange an authorized request token for an access token, as a consumer."""
    given = demanded(ctx, headers, "/v3/OS-OAUTH1/access_token")
    consumer, asked = await ctx.read(find_request, given)
    right = signed.is_right(given, signed.secret_of(ctx, consumer), signed.secret_of(ctx, asked))
    if not right or consumer is None or asked is None:
        raise denied()
    return form(*await ctx.write(exchange, given))


# ---- operations ----------------------------------------------------------------------------


def demanded(ctx: Context, headers: Mapping[str, str | None], path: str) -> Signed:
    given = signed.read(ctx, headers, path)
    if given is None:
        raise errors.Unauthorized("This is asked for with an OAuth 1.0 signature.", reason="no_signature")
    return given


def find_consumer(tx: Tx, ctx: Context, given: Signed) -> Any:
    return signed.consumer(tx, given.consumer_id)


def insert_request(tx: Tx, ctx: Context, given: Signed, project_id: str | None) -> tuple[str, str, int]:
    """Raises Invalid without a project, NotFound for one that isn't there."""
    signed.use_nonce(tx, ctx, given)
    if not project_id:
        raise errors.Invalid(f"Expecting to find the header {PROJECT}.", reason="no_project")
    making.project(tx, project_id)
    if consumers.find(tx, given.consumer_id, lock="stay") is None:
        raise denied()
    secret = secrets.token_hex(32)
    row = request_tokens.insert(
        tx, id=permits.hex_id(ctx), consumer_id=given.consumer_id, project_id=project_id,
        secret=sealing.seal(ctx, secret), expires_at=ctx.now + REQUEST_LASTS_US,
    )
    journal.record(tx, "request_token.create", row)
    return row.id, secret, row.expires_at


def agree(tx: Tx, ctx: Context, request_token_id: str, want: Authorization, verifier: str) -> None:
    """Raises Unauthorized for a role that the caller doesn't have in the project that was asked for."""
    if making.held_with(ctx) is not None:
        raise errors.Forbidden(
            "Cannot authorize a request token with a token issued via delegation.", reason="restricted"
        )
    row = request_tokens.find(tx, request_token_id, lock=True)
    if row is None:
        raise request_tokens.not_found(request_token_id)
    if row.expires_at <= ctx.now:
        raise errors.Unauthorized("Request token is expired.", reason="expired")
    held = {name: id for id, name in grants.effective(tx, ctx.user_id, "project", making.project(tx, row.project_id))}
    row = request_tokens.update(
        tx, row, user_id=ctx.user_id, roles=sorted({role_id(ref, held) for ref in want.roles}),
        verifier_hash=hash_of(verifier),
    )
    journal.record(tx, "request_token.authorize", row)


def role_id(ref: RoleRef, held: dict[str, str]) -> str:
    if ref.id is ABSENT and ref.name is ABSENT:
        raise errors.Invalid("Expecting to find id or name in each role.")
    found = making.role_of(ref.id, ref.name, held)
    if found is None:
        raise errors.Unauthorized("Authorizing user does not have role required.", reason="role_not_held")
    return found


def find_request(tx: Tx, ctx: Context, given: Signed) -> tuple[Any, Any]:
    """The consumer, and its request token."""
    c = REQUEST_TOKENS.c
    asked = tx.first(sa.select(*c).where(c.id == given.token_id, c.consumer_id == given.consumer_id))
    return signed.consumer(tx, given.consumer_id), asked


def exchange(tx: Tx, ctx: Context, given: Signed) -> tuple[str, str, int]:
    """Raises Unauthorized unless it was authorized, isn't over, and the verifier is the one that was shown."""
    row = request_tokens.find(tx, given.token_id, lock=True)
    right = hmac.compare_digest((row and row.verifier_hash) or "", hash_of(given.params.get("verifier", "")))
    if row is None or not right or row.expires_at <= ctx.now:
        raise denied()
    signed.use_nonce(tx, ctx, given)
    request_tokens.delete(tx, row)
    secret = secrets.token_hex(32)
    made = access_tokens.insert(
        tx, id=permits.hex_id(ctx), consumer_id=row.consumer_id, user_id=row.user_id, project_id=row.project_id,
        secret=sealing.seal(ctx, secret), roles=row.roles, expires_at=ctx.now + ACCESS_LASTS_US,
    )
    journal.record(tx, "access_token.create", made)
    return made.id, secret, made.expires_at


def hash_of(verifier: str) -> str:
    return hashlib.sha256(verifier.encode()).hexdigest()


def form(id: str, secret: str, expires_at: int) -> Reply:
    """As OAuth's clients read it. The moment is in ISO 8601, as upstream prints it."""
    from skyhold.identity.auth.body import moment

    fields = {"oauth_token": id, "oauth_token_secret": secret, "oauth_expires_at": moment(expires_at)}
    return Reply(urlencode(fields).encode(), content_type=FORM)
