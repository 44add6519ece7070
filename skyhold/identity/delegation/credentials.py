# SPDX-License-Identifier: Apache-2.0
"""Credentials: secrets of a user's that others check, such as EC2 keys and seeds of one-time passwords.

EC2 keys by their own address are ec2_keys.py, signing in with them is ec2_tokens.py; one-time passwords are
checked by auth/. The blob is sealed at rest; of an EC2 key it is JSON with `access` and `secret`, and says
with which delegation the key was made: such a key never gives more than that.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.identity import grants, links, permits, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.delegation import making, policy, sealing
from skyhold.identity.delegation.rows import credentials as store
from skyhold.identity.delegation.rows import discard
from skyhold.identity.delegation.tables import CREDENTIALS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, extra_of
from skyhold.identity.unique import duplicate, once

EC2 = "ec2"
BOUNDS = ("trust_id", "app_cred_id", "access_token_id")
"""Keys of an EC2 blob that say what the key is bounded by: ours to write."""
LONGEST_BLOB = 65_536

# ---- shape ---------------------------------------------------------------------------------


class CredentialCreate(OpenShape):
    type: str = field(min=1, max=255)
    blob: str = field(max=LONGEST_BLOB, secret=True)
    user_id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    project_id: str | None = field(default=None, min=1, max=64, pattern=ID)


class CredentialChange(OpenShape, min_fields=1):
    type: str | Absent = field(optional=True, min=1, max=255)
    blob: str | Absent = field(optional=True, max=LONGEST_BLOB, secret=True)
    user_id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    project_id: str | Absent | None = field(optional=True, min=1, max=64, pattern=ID)


class Credential(OpenShape):
    id: str
    type: str
    blob: str = field(secret=True)
    user_id: str
    project_id: str | None
    links: JsonObject


class CredentialQuery(ListQuery):
    user_id: str | None = field(default=None)
    type: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("credential", Credential)
AT = "/v3/credentials/{credential_id}"


@routes.get(
    "/v3/credentials", policy=policy.LIST_CREDENTIALS, query=CredentialQuery,
    reply=collection("credentials", Credential, links="links"),
)
async def index(ctx: Context, query: CredentialQuery) -> Page:
    """List credentials."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/credentials", policy=policy.CREATE_CREDENTIAL, body=envelope("credential", CredentialCreate), reply=ONE,
    status=201,
)
async def create(ctx: Context, want: CredentialCreate) -> Credential:
    """Create a credential."""
    return view(ctx, await ctx.write(insert, want))


@routes.get(AT, policy=policy.GET_CREDENTIAL, reply=ONE)
async def show(ctx: Context, id: str) -> Credential:
    """Show a credential."""
    return view(ctx, await ctx.read(get, id))


@routes.patch(AT, policy=policy.UPDATE_CREDENTIAL, body=envelope("credential", CredentialChange), reply=ONE)
async def update(ctx: Context, id: str, want: CredentialChange) -> Credential:
    """Change a credential's blob; type, user and project stay what they are."""
    return view(ctx, await ctx.write(change, id, want))


@routes.delete(AT, policy=policy.DELETE_CREDENTIAL)
async def delete(ctx: Context, id: str) -> None:
    """Delete a credential; tokens made with it are void at once."""
    await ctx.write(remove, id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: CredentialCreate) -> Any:
    """Raises Forbidden for another's, and for what would be worth more than the token it is made with."""
    user_id = ctx.user_id if want.user_id is ABSENT else want.user_id
    permits.demand(ctx, policy.CREATE_CREDENTIAL, {"target.credential.user_id": user_id})
    blob = want.blob
    if want.type == EC2:
        blob = msgspec.json.encode(bounded(ctx, ec2_blob(want.blob))).decode()
    return add(tx, ctx, user_id, want.project_id, want.type, blob, extra_of(want))


def add(
    tx: Tx, ctx: Context, user_id: str, project_id: str | None, kind: str, blob: str, extra: dict[str, Any]
) -> Any:
    permit(tx, ctx, kind)
    if users.store.find(tx, user_id, lock="stay") is None:
        raise users.store.not_found(user_id)
    check_project(tx, ctx, user_id, project_id, kind)
    found = access_hash(blob) if kind == EC2 else None
    with once(tx, duplicate("credential", "Duplicate entry: there is a key with this access", "access_taken")):
        row = store.insert(
            tx, id=found or permits.hex_id(ctx), user_id=user_id, project_id=project_id, type=kind,
            blob=sealing.seal(ctx, blob), access_hash=found, made_with=making.held_with(ctx), extra=extra,
        )
    journal.record(tx, "credential.create", row)
    return row


def permit(tx: Tx, ctx: Context, kind: str) -> None:
    """An EC2 key says what it is bounded by; of other types nobody could tell."""
    found = making.permit(tx, ctx, "credentials", ("trust_id", "access_token_id") if kind == EC2 else ())
    if kind != EC2:
        making.refuse_rules(found, "credentials")


def check_project(tx: Tx, ctx: Context, user_id: str, project_id: str | None, kind: str) -> None:
    """An EC2 key is for one project: of a user's own choice only where the user has a role."""
    making.refuse_foreign_project(ctx, project_id)
    if project_id is None:
        if kind == EC2:
            raise errors.Invalid("Expecting to find project_id in credential: an EC2 key is for one project.")
        return
    place = making.project(tx, project_id)
    if not ctx.allows(policy.CREATE_CREDENTIAL) and making.held_with(ctx) is None \
            and not grants.direct(tx, user_id, "project", place):
        raise errors.Forbidden(f"You have no role in project {project_id}.", reason="no_role")


def ec2_blob(text: str) -> dict[str, Any]:
    """Raises Invalid for what isn't a JSON object with `access`."""
    try:
        blob = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        blob = None
    if not isinstance(blob, dict):
        raise errors.Invalid("Invalid blob in credential: an EC2 key is a JSON object with access and secret.")
    if not all(isinstance(blob.get(name, ""), str) for name in ("access", "secret")) or not blob.get("access"):
        raise errors.Invalid("Expecting to find access and secret in blob, as strings.")
    return blob


def bounded(ctx: Context, blob: dict[str, Any]) -> dict[str, Any]:
    """What the key is bounded by is the caller's token's, whatever the body says."""
    kept = {name: value for name, value in blob.items() if name not in BOUNDS}
    return kept | {name: value for name in BOUNDS if (value := getattr(ctx.creds, name)) is not None}


def access_hash(blob: str) -> str:
    return hash_of(msgspec.json.decode(blob)["access"])


def hash_of(access: str) -> str:
    return hashlib.sha256(access.encode()).hexdigest()


def change(tx: Tx, ctx: Context, id: str, want: CredentialChange) -> Any:
    row = get(tx, ctx, id)
    permit(tx, ctx, row.type)
    for name in ("type", "user_id", "project_id"):
        given = getattr(want, name)
        if given is not ABSENT and given != getattr(row, name):
            raise errors.Invalid(f"{name} can not be updated for credential: delete it and create another.")
    values: dict[str, Any] = {"extra": row.extra | extra_of(want)}
    if want.blob is not ABSENT:
        values |= new_blob(ctx, row, want.blob)
    with once(tx, errors.Conflict("There is another key with this access.", reason="access_taken")):
        row = store.update(tx, row, **values)
    void(tx)
    journal.record(tx, "credential.update", row)
    return row


def new_blob(ctx: Context, row: Any, given: str) -> dict[str, Any]:
    if row.type != EC2:
        return {"blob": sealing.seal(ctx, given)}
    blob, before = ec2_blob(given), msgspec.json.decode(sealing.unseal(ctx, row.blob))
    for name in BOUNDS:
        if name in blob and blob[name] != before.get(name):
            raise errors.Invalid(f"{name} can not be updated for credential.", reason="bounded")
    kept = blob | {name: before[name] for name in BOUNDS if name in before}
    return {
        "blob": sealing.seal(ctx, msgspec.json.encode(kept).decode()), "access_hash": hash_of(blob["access"]),
    }


def remove(tx: Tx, ctx: Context, id: str) -> None:
    row = get(tx, ctx, id)
    permit(tx, ctx, row.type)
    discard(tx, store, row)


# ---- queries -------------------------------------------------------------------------------

def get(tx: Tx, ctx: Context, id: str) -> Any:
    row = store.get(tx, ctx, id)
    here = making.held_with(ctx)
    if here is not None and row.user_id == ctx.user_id and row.made_with != here:
        raise store.not_found(id)
    return row


def list_page(tx: Tx, ctx: Context, query: CredentialQuery) -> Page:
    return page(
        tx, ctx, store, query, "credentials", view, equal=["user_id", "type"],
        where=making.own_or_made_here(ctx, CREDENTIALS),
    )


def view(ctx: Context, row: Any) -> Credential:
    return Credential(
        id=row.id, type=row.type, blob=sealing.unseal(ctx, row.blob), user_id=row.user_id,
        project_id=row.project_id, links=links.to(ctx, f"credentials/{row.id}"), extra=row.extra,
    )
