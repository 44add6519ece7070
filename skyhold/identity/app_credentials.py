# SPDX-License-Identifier: Apache-2.0
"""Application credentials: a secret of a user's for one project, with no more roles than asked for.

Signing in with one is auth/methods.py, its limits auth/validate.py; the rules for what it may call are
access_rules.py. One made through another must be unrestricted, and never gets more than that one has.
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, TimeMicros, collection, envelope, field
from skyhold.identity import access_rules, grants, links, permits, policy, users
from skyhold.identity.delegation import making
from skyhold.identity.delegation.rows import app_credentials as store
from skyhold.identity.delegation.rows import discard
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.passwords import LONGEST, passwords
from skyhold.identity.shapes import ID, NAME
from skyhold.identity.tables import APP_CREDENTIALS, ROLES
from skyhold.identity.unique import duplicate, once

WHAT = "additional application credentials"

# ---- shape ---------------------------------------------------------------------------------


class RoleRef(Shape):
    id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    name: str | Absent = field(optional=True, min=1, max=255)
    domain: JsonObject | Absent = field(optional=True)


class AppCredentialCreate(Shape, extra="ignore"):
    name: str = field(min=1, max=255, pattern=NAME)
    description: str | None = field(default=None)
    secret: str | None = field(default=None, min=1, max=LONGEST, secret=True)
    expires_at: TimeMicros | None = field(default=None)
    roles: list[RoleRef] | None = field(default=None, max_items=500)
    unrestricted: bool = field(default=False)
    project_id: str | None = field(default=None)
    access_rules: list[access_rules.RuleRef] | None = field(default=None, max_items=500)


class AppCredential(Shape):
    id: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    roles: list[Any]
    expires_at: TimeMicros | None
    unrestricted: bool
    access_rules: list[Any] | Absent = field(optional=True)
    system: str | None = None
    secret: str | Absent = field(optional=True, secret=True)
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/users/{user_id}/application_credentials"
ONE = ALL + "/{application_credential_id}"


@routes.get(
    ALL, policy=policy.LIST_APPLICATION_CREDENTIALS, query=NamedQuery,
    reply=collection("application_credentials", AppCredential, links="links"),
)
async def index(ctx: Context, user_id: str, query: NamedQuery) -> Page:
    """List a user's application credentials."""
    return await ctx.read(list_page, user_id, query)


@routes.post(
    ALL, policy=policy.CREATE_APPLICATION_CREDENTIAL, body=envelope(
        "application_credential", AppCredentialCreate
    ),
    reply=envelope("application_credential", AppCredential), status=201,
)
async def create(ctx: Context, user_id: str, want: AppCredentialCreate) -> AppCredential:
    """Create an application credential; the secret is shown this once."""
    permits.demand(ctx, policy.CREATE_APPLICATION_CREDENTIAL, {"target.user.id": user_id})
    secret = want.secret or secrets.token_urlsafe(64)
    hashed = await passwords(ctx.core).hash(secret)
    return await ctx.write(insert, user_id, want, secret, hashed)


@routes.get(
    ONE, policy=policy.GET_APPLICATION_CREDENTIAL, reply=envelope("application_credential", AppCredential)
)
async def show(ctx: Context, user_id: str, id: str) -> AppCredential:
    """Show an application credential."""
    return await ctx.read(get, user_id, id)


@routes.delete(ONE, policy=policy.DELETE_APPLICATION_CREDENTIAL)
async def delete(ctx: Context, user_id: str, id: str) -> None:
    """Delete an application credential; its tokens are void at once."""
    await ctx.write(remove, user_id, id)


# ---- operations ----------------------------------------------------------------------------


def insert(
    tx: Tx, ctx: Context, user_id: str, want: AppCredentialCreate, secret: str, hashed: str
) -> AppCredential:
    """Raises Forbidden for what would give more than the caller has, Invalid for a role not held."""
    bounds = making.permit(tx, ctx, WHAT)
    making.refuse_rules(bounds, WHAT)
    if ctx.creds.scope != "project" or not ctx.project_id:
        raise errors.Invalid("An application credential is made with a token for a project.")
    if want.expires_at is not None and want.expires_at <= ctx.now:
        raise errors.Invalid("Invalid input for field 'expires_at': the moment lies in the past.")
    if users.store.find(tx, user_id, lock="stay") is None:
        raise users.store.not_found(user_id)
    role_ids = chosen_roles(tx, ctx, want.roles)
    # Clients that want no limit send an empty list.
    rule_ids = access_rules.ensure(tx, ctx, user_id, want.access_rules) if want.access_rules else None
    with once(tx, duplicate("application_credential", f"Duplicate entry found with name {want.name}")):
        row = store.insert(
            tx, id=permits.hex_id(ctx), user_id=user_id, project_id=ctx.project_id, name=want.name,
            description=want.description, secret_hash=hashed, unrestricted=want.unrestricted,
            expires_at=making.earliest(want.expires_at, *[bound.ends_at for bound in bounds]), roles=role_ids,
            access_rules=rule_ids, made_with=making.held_with(ctx),
        )
    journal.record(tx, "application_credential.create", row)
    return view(tx, ctx, [row], secret)[0]


def chosen_roles(tx: Tx, ctx: Context, asked: list[RoleRef] | None) -> list[str]:
    """Ids of roles that the token has; all of them unless some are named."""
    held = {row.name: row.id for row in tx.all(
        sa.select(ROLES.c.id, ROLES.c.name).where(
            ROLES.c.domain_id == "", ROLES.c.name.in_(list(ctx.creds.roles))
        )
    )}
    if not asked:
        return sorted(held.values())
    found: set[str] = set()
    for ref in asked:
        role_id = making.role_of(ref.id, ref.name, held)
        if role_id is None:
            raise errors.Invalid(
                "Invalid application credential: Could not find role assignment with role: "
                f"{ref.id if ref.id is not ABSENT else ref.name}, user or group: {ctx.user_id}, project: "
                f"{ctx.project_id}.", reason="role_not_held",
            )
        found.add(role_id)
    return sorted(found)


def remove(tx: Tx, ctx: Context, user_id: str, id: str) -> None:
    """With all that was made with it."""
    making.permit(tx, ctx, WHAT)
    discard(tx, store, of_user(tx, ctx, user_id, id))


# ---- queries -------------------------------------------------------------------------------

def get(tx: Tx, ctx: Context, user_id: str, id: str) -> AppCredential:
    return view(tx, ctx, [of_user(tx, ctx, user_id, id)])[0]


def of_user(tx: Tx, ctx: Context, user_id: str, id: str) -> Any:
    """The address names the owner too: what isn't that user's isn't there."""
    row = store.get(tx, ctx, id)
    if row.user_id != user_id:
        raise store.not_found(id)
    return row


def list_page(tx: Tx, ctx: Context, user_id: str, query: NamedQuery) -> Page:
    permits.demand(ctx, policy.LIST_APPLICATION_CREDENTIALS, {"target.user.id": user_id})
    if users.store.find(tx, user_id) is None:
        raise users.store.not_found(user_id)
    path = f"users/{user_id}/application_credentials"
    found = page(
        tx, ctx, store, query, path, lambda ctx, row: row, equal=["name"],
        where=[APP_CREDENTIALS.c.user_id == user_id],
    )
    return Page(view(tx, ctx, list(found.items)), found.links)


def view(tx: Tx, ctx: Context, rows: list[Any], secret: str | None = None) -> list[AppCredential]:
    known = grants.Implications(tx).roles if rows else {}
    rules = access_rules.by_id(tx, {id for row in rows for id in row.access_rules or ()})
    return [
        AppCredential(
            id=row.id, name=row.name, description=row.description, project_id=row.project_id,
            user_id=row.user_id,
            roles=[
                {"id": id, "name": known[id].name, "domain_id": known[id].domain_id or None}
                for id in row.roles if id in known
            ],
            expires_at=row.expires_at, unrestricted=row.unrestricted,
            access_rules=ABSENT if row.access_rules is None else [
                rules[id] for id in row.access_rules if id in rules
            ],
            secret=secret or ABSENT,
            links=links.to(ctx, f"users/{row.user_id}/application_credentials/{row.id}"),
        )
        for row in rows
    ]
