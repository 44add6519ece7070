# SPDX-License-Identifier: Apache-2.0
"""Users: people and programs that sign in.

Hashing is passwords.py, what a password must be like password_rules.py, signing in auth/. A new password and
disabling void every token of the user; nothing brings those back.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Routes
from skyhold.core.shapes import (
    ABSENT,
    Absent,
    JsonObject,
    OpenShape,
    Page,
    Shape,
    TimeMicrosZ,
    collection,
    envelope,
    field,
)
from skyhold.core.store import Store
from skyhold.identity import links, password_rules, permits, places, policy, standing
from skyhold.identity.auth import events
from skyhold.identity.auth.proof import denied
from skyhold.identity.auth.sessions import void
from skyhold.identity.auth.subjects import UserView, user_with_id
from skyhold.identity.directories import freshness, read_only
from skyhold.identity.federation import identities
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.passwords import LONGEST, passwords
from skyhold.identity.shapes import ID, NAME, extra_of, given, options_of
from skyhold.identity.tables import ASSIGNMENTS, USERS
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class UserOptions(Shape):
    ignore_change_password_upon_first_use: bool | Absent | None = field(optional=True)
    ignore_password_expiry: bool | Absent | None = field(optional=True)
    ignore_lockout_failure_attempts: bool | Absent | None = field(optional=True)
    ignore_user_inactivity: bool | Absent | None = field(optional=True)
    lock_password: bool | Absent | None = field(optional=True)
    multi_factor_auth_enabled: bool | Absent | None = field(optional=True)
    multi_factor_auth_rules: list[list[str]] | Absent | None = field(optional=True, max_items=32, unique_items=True)


class UserCreate(OpenShape):
    name: str = field(min=1, max=255, pattern=NAME)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    password: str | None = field(default=None, max=LONGEST, secret=True)
    default_project_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    description: str | Absent | None = field(optional=True)
    enabled: bool = field(default=True)
    options: UserOptions | Absent = field(optional=True)
    federated: list[identities.Federated] | Absent = field(optional=True, max_items=100)


class UserChange(OpenShape, min_fields=1):
    name: str | Absent = field(optional=True, min=1, max=255, pattern=NAME)
    domain_id: str | Absent | None = field(optional=True)
    password: str | Absent | None = field(optional=True, max=LONGEST, secret=True)
    default_project_id: str | Absent | None = field(optional=True, min=1, max=64, pattern=ID)
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)
    options: UserOptions | Absent = field(optional=True)
    federated: list[identities.Federated] | Absent = field(optional=True, max_items=100)


class PasswordChange(Shape):
    original_password: str = field(secret=True, max=LONGEST)
    password: str = field(secret=True, max=LONGEST)


class User(OpenShape):
    id: str
    name: str
    domain_id: str
    enabled: bool
    default_project_id: str | Absent = field(optional=True)
    password_expires_at: TimeMicrosZ | None
    options: JsonObject
    federated: list[Any] | Absent = field(optional=True)
    links: JsonObject


class UserQuery(NamedQuery):
    domain_id: str | None = field(default=None)
    enabled: str | None = field(default=None)
    password_expires_at: str | None = field(default=None)
    idp_id: str | None = field(default=None)
    protocol_id: str | None = field(default=None)
    unique_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("user", User)
MANY = collection("users", User, links="links")


@routes.get("/v3/users", policy=policy.LIST_USERS, query=UserQuery, reply=MANY)
async def index(ctx: Context, query: UserQuery) -> Page:
    """List users."""
    await freshness.freshen_asked(ctx, "user", query.domain_id)
    return await ctx.read(list_page, query)


@routes.post("/v3/users", policy=policy.CREATE_USER, body=envelope("user", UserCreate), reply=ONE, status=201)
async def create(ctx: Context, want: UserCreate) -> User:
    """Create a user."""
    hashed = None if want.password is None else await hashed_new(ctx, want.password)
    return await ctx.write(insert, want, hashed)


@routes.get("/v3/users/{user_id}", policy=policy.GET_USER, reply=ONE)
async def show(ctx: Context, user_id: str) -> User:
    """Show a user."""
    await freshness.freshen_one(ctx, store, user_id)
    return await ctx.read(get, user_id)


@routes.patch("/v3/users/{user_id}", policy=policy.UPDATE_USER, body=envelope("user", UserChange), reply=ONE)
async def update(ctx: Context, user_id: str, want: UserChange) -> User:
    """Change a user; a password given here replaces the old one."""
    await ctx.read(store.get, user_id)
    hashed = await hashed_new(ctx, want.password) if isinstance(want.password, str) else None
    return await ctx.write(change, user_id, want, hashed)


@routes.delete("/v3/users/{user_id}", policy=policy.DELETE_USER)
async def delete(ctx: Context, user_id: str) -> None:
    """Delete a user."""
    await ctx.write(remove, user_id)


@routes.post(
    "/v3/users/{user_id}/password", policy=PUBLIC, body=envelope("user", PasswordChange), status=204
)
async def change_password(ctx: Context, user_id: str, want: PasswordChange) -> None:
    """Change the own password; the original one is the proof, no token is needed."""
    user = await prove(ctx, user_id, want.original_password)
    if want.password == want.original_password:
        raise errors.Invalid("The new password must differ from the original one.", reason="same_password")
    await password_rules.check_history(ctx, want.password, await ctx.read(password_rules.history, user_id))
    hashed = await hashed_new(ctx, want.password)
    await ctx.write(set_own_password, user_id, user.password_hash, hashed)


async def prove(ctx: Context, user_id: str, secret: str) -> UserView:
    """The user whose password this is; one that has expired is still good for choosing the next."""
    user = await ctx.read(enabled_user, user_id)
    if user is not None:
        await standing.demand(ctx, user)
    matches = await passwords(ctx.core).matches(user and user.password_hash, secret)
    if user is None:
        raise denied()
    if not matches:
        await standing.failed(ctx, user)
        raise denied()
    await standing.succeeded(ctx, user)
    return user


async def hashed_new(ctx: Context, secret: str) -> str:
    """Raises Invalid for a password that isn't what the operator asks for."""
    password_rules.check_strength(ctx, secret)
    return await passwords(ctx.core).hash(secret)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: UserCreate, hashed: str | None) -> User:
    """Raises Conflict for a name that is taken in the domain."""
    domain_id = want.domain_id or permits.own_domain(ctx)
    permits.demand(ctx, policy.CREATE_USER, {"target.user.domain_id": domain_id})
    places.domain(tx, domain_id)
    read_only.refuse_new(tx, domain_id, "user")
    refuse_domain(tx, want.default_project_id)
    options = permits.options_after({}, check_rules(options_of(want.options)))
    with once(tx, taken(want.name)):
        row = store.insert(
            tx, id=permits.hex_id(ctx), domain_id=domain_id, name=want.name, enabled=want.enabled,
            default_project_id=want.default_project_id, password_hash=hashed, extra=described(want),
            password_expires_at=hashed and password_rules.expires_at(ctx, options, chosen=False),
            options=options, generation=0,
        )
    if hashed is not None:
        password_rules.keep(tx, ctx, row.id, hashed, chosen=False)
    identities.replace(tx, ctx, row, want.federated)
    journal.record(tx, "user.create", row)
    return viewed(tx, ctx, [row])[0]


def change(tx: Tx, ctx: Context, user_id: str, want: UserChange, hashed: str | None) -> User:
    row = store.get(tx, ctx, user_id)
    read_only.refuse_change(tx, row.id, "user")
    if want.domain_id is not ABSENT and want.domain_id != row.domain_id:
        raise errors.Invalid("Cannot change Domain ID.")
    values = given(name=want.name, enabled=want.enabled, default_project_id=want.default_project_id)
    refuse_domain(tx, values.get("default_project_id"))
    options = permits.options_after(row.options, check_rules(options_of(want.options)))
    if want.password is not ABSENT:
        values["password_hash"] = hashed
        values["password_expires_at"] = hashed and password_rules.expires_at(ctx, options, chosen=False)
    if want.password is not ABSENT or (row.enabled and want.enabled is False):
        values["generation"] = row.generation + 1
    with once(tx, taken(want.name)):
        row = store.update(tx, row, **values, extra=row.extra | described(want), options=options)
    if hashed is not None:
        password_rules.keep(tx, ctx, row.id, hashed, chosen=False)
    if "generation" in values:
        events.tell(tx, user_id=row.id)
    if want.enabled is True:
        standing.welcome_back(tx, ctx, row.id)
    identities.replace(tx, ctx, row, want.federated)
    void(tx)
    journal.record(tx, "user.update", row)
    return viewed(tx, ctx, [row])[0]


def check_rules(options: dict[str, Any]) -> dict[str, Any]:
    """Raises Invalid for a rule of several factors that is empty or names a method twice."""
    for rule in options.get("multi_factor_auth_rules") or ():
        if not rule or len(set(rule)) != len(rule):
            raise errors.Invalid("Each rule in multi_factor_auth_rules is a list of different methods, at least one.")
    return options


def described(want: UserCreate | UserChange) -> JsonObject:
    """What is kept beside the columns: what nobody declared, and the description, which only some users have."""
    return extra_of(want) | given(description=want.description)


def refuse_domain(tx: Tx, project_id: str | None) -> None:
    place = places.projects.find(tx, project_id) if project_id else None
    if place is not None and place.is_domain:
        raise errors.Invalid("The default project of a user can't be a domain.")


def set_own_password(tx: Tx, ctx: Context, user_id: str, proved_hash: str | None, hashed: str) -> None:
    """Only while the password is still the one that was proved: else somebody else was first."""
    row = store.find(tx, user_id, lock=True)
    if row is None or row.password_hash != proved_hash or enabled_user(tx, ctx, user_id) is None:
        raise denied()
    if row.options.get("lock_password"):
        raise errors.Invalid(
            "You cannot change your password at this time due to password policy disallowing password changes. "
            "Please contact your administrator to reset your password.", reason="password_locked",
        )
    password_rules.check_age(tx, ctx, user_id)
    row = store.update(
        tx, row, password_hash=hashed, generation=row.generation + 1,
        password_expires_at=password_rules.expires_at(ctx, row.options, chosen=True),
    )
    password_rules.keep(tx, ctx, user_id, hashed, chosen=True)
    events.tell(tx, user_id=user_id)
    void(tx)
    journal.record(tx, "user.password", row)


def remove(tx: Tx, ctx: Context, user_id: str) -> None:
    row = store.get(tx, ctx, user_id)
    read_only.refuse_change(tx, row.id, "user")
    remove_row(tx, row)
    void(tx)


def remove_row(tx: Tx, row: Any) -> None:
    """With assignments; memberships and application credentials go along by themselves."""
    tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.actor_id == row.id))
    store.delete(tx, row)
    events.tell(tx, user_id=row.id)
    journal.record(tx, "user.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(
    USERS, service="identity", kind="user", label="User", secrets=["password_hash"],
    targets={"target.user.domain_id": "domain_id", "target.user.id": "id"},
    alive=USERS.c.id.not_in(read_only.GONE),
)


def get(tx: Tx, ctx: Context, user_id: str) -> User:
    return viewed(tx, ctx, [store.get(tx, ctx, user_id)])[0]


def viewed(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[User]:
    """With what identity providers know them by."""
    known = identities.of(tx, [row.id for row in rows])
    return [view(ctx, row, known.get(row.id, ABSENT)) for row in rows]


def view(ctx: Context, row: Any, federated: Any = ABSENT) -> User:
    return User(
        id=row.id, name=row.name, domain_id=row.domain_id, enabled=row.enabled,
        default_project_id=row.default_project_id or ABSENT, password_expires_at=row.password_expires_at,
        options=row.options, federated=federated, links=links.to(ctx, f"users/{row.id}"), extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: UserQuery, where: Any = ()) -> Page:
    where = [*where, *identities.known_by(query.idp_id, query.protocol_id, query.unique_id)]
    if query.password_expires_at is not None:
        where.append(expiring(query.password_expires_at))
    found = page(
        tx, ctx, store, query, "users", lambda ctx, row: row, equal=["name", "domain_id"], flags=["enabled"],
        where=where,
    )
    return Page(viewed(tx, ctx, list(found.items)), found.links)


COMPARE = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge, "eq": operator.eq, "neq": operator.ne,
}


def expiring(text: str) -> Any:
    """The clause of `lt:2026-01-01T00:00:00Z`; a password that never expires matches none."""
    how, _, moment = text.partition(":")
    compare = COMPARE.get(how)
    if compare is None:
        raise errors.Invalid(f"password_expires_at must be one of {', '.join(COMPARE)}, a colon and a moment.")
    try:
        when = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise errors.Invalid("password_expires_at takes a moment such as 2026-01-01T00:00:00Z.") from None
    return compare(USERS.c.password_expires_at, int(when.timestamp()) * 1_000_000)


def enabled_user(tx: Tx, ctx: Context, user_id: str) -> UserView | None:
    return user_with_id(tx, user_id)


def taken(name: object) -> errors.Conflict:
    return duplicate("user", f"Duplicate entry found with name {name} in the same domain")
