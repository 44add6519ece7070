# SPDX-License-Identifier: Apache-2.0
"""Users: people and programs that sign in.

Hashing is passwords.py, signing in auth/. A new password and disabling void every token of the user;
nothing brings those back.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Routes
from skyhold.core.shapes import ABSENT, JsonObject, Page, Shape, TimeMicrosZ, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, places, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.passwords import LONGEST, passwords
from skyhold.identity.shapes import ID, NAME, extra_of, given, options_of
from skyhold.identity.tables import ASSIGNMENTS, USERS

# ---- shape ---------------------------------------------------------------------------------


class UserOptions(Shape):
    ignore_change_password_upon_first_use: bool | None = field(optional=True)
    ignore_password_expiry: bool | None = field(optional=True)
    ignore_lockout_failure_attempts: bool | None = field(optional=True)
    ignore_user_inactivity: bool | None = field(optional=True)
    lock_password: bool | None = field(optional=True)
    multi_factor_auth_enabled: bool | None = field(optional=True)
    multi_factor_auth_rules: list[Any] | None = field(optional=True)


class UserCreate(Shape, extra="keep"):
    name: str = field(min=1, max=255, pattern=NAME)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    password: str | None = field(default=None, max=LONGEST, secret=True)
    default_project_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    enabled: bool = field(default=True)
    options: UserOptions = field(optional=True)


class UserChange(Shape, extra="keep"):
    name: str = field(optional=True, min=1, max=255, pattern=NAME)
    domain_id: str | None = field(optional=True)
    password: str | None = field(optional=True, max=LONGEST, secret=True)
    default_project_id: str | None = field(optional=True, min=1, max=64, pattern=ID)
    enabled: bool = field(optional=True)
    options: UserOptions = field(optional=True)


class PasswordChange(Shape):
    original_password: str = field(secret=True, max=LONGEST)
    password: str = field(secret=True, max=LONGEST)


class User(Shape, extra="keep"):
    id: str
    name: str
    domain_id: str
    enabled: bool
    default_project_id: str = field(optional=True)
    password_expires_at: TimeMicrosZ | None
    options: JsonObject
    links: JsonObject


class UserQuery(NamedQuery, extra="keep"):
    domain_id: str | None = field(default=None)
    enabled: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("user", User)
MANY = collection("users", User, links="links")


@routes.get("/v3/users", policy=policy.LIST_USERS, query=UserQuery, reply=MANY)
async def index(ctx: Context, query: UserQuery) -> Page:
    """List users."""
    return await ctx.read(list_page, query)


@routes.post("/v3/users", policy=policy.CREATE_USER, body=envelope("user", UserCreate), reply=ONE, status=201)
async def create(ctx: Context, want: UserCreate) -> User:
    """Create a user."""
    hashed = None if want.password is None else await passwords(ctx.core).hash(want.password)
    return await ctx.write(insert, want, hashed)


@routes.get("/v3/users/{user_id}", policy=policy.GET_USER, reply=ONE)
async def show(ctx: Context, user_id: str) -> User:
    """Show a user."""
    return view(ctx, await ctx.read(store.get, user_id))


@routes.patch("/v3/users/{user_id}", policy=policy.UPDATE_USER, body=envelope("user", UserChange), reply=ONE)
async def update(ctx: Context, user_id: str, want: UserChange) -> User:
    """Change a user; a password given here replaces the old one."""
    await ctx.read(store.get, user_id)
    hashed = await passwords(ctx.core).hash(want.password) if isinstance(want.password, str) else None
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
    row = await ctx.read(enabled_row, user_id)
    keeper = passwords(ctx.core)
    if not await keeper.matches(row and row.password_hash, want.original_password):
        raise errors.Unauthorized("The request you have made requires authentication.", reason="denied")
    if want.password == want.original_password:
        raise errors.Invalid("The new password must differ from the original one.", reason="same_password")
    hashed = await keeper.hash(want.password)
    await ctx.write(set_own_password, user_id, row.password_hash, hashed)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: UserCreate, hashed: str | None) -> User:
    """Raises Conflict for a name that is taken in the domain."""
    domain_id = want.domain_id or permits.own_domain(ctx)
    permits.demand(ctx, policy.CREATE_USER, {"target.user.domain_id": domain_id})
    places.domain(tx, domain_id)
    refuse_domain(tx, want.default_project_id)
    try:
        with tx.nested():
            row = store.insert(
                tx, id=permits.hex_id(ctx), domain_id=domain_id, name=want.name, enabled=want.enabled,
                default_project_id=want.default_project_id, password_hash=hashed, extra=extra_of(want),
                options=permits.options_after({}, options_of(want.options)), generation=0,
            )
    except sa.exc.IntegrityError:
        raise taken(want.name) from None
    journal.record(tx, "user.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, user_id: str, want: UserChange, hashed: str | None) -> User:
    row = store.get(tx, ctx, user_id)
    if want.domain_id is not ABSENT and want.domain_id != row.domain_id:
        raise errors.Invalid("Cannot change Domain ID.")
    values = given(name=want.name, enabled=want.enabled, default_project_id=want.default_project_id)
    refuse_domain(tx, values.get("default_project_id"))
    if want.password is not ABSENT:
        values["password_hash"] = hashed
    if want.password is not ABSENT or (row.enabled and want.enabled is False):
        values["generation"] = row.generation + 1
    try:
        with tx.nested():
            row = store.update(
                tx, row, **values, extra=row.extra | extra_of(want),
                options=permits.options_after(row.options, options_of(want.options)),
            )
    except sa.exc.IntegrityError:
        raise taken(want.name) from None
    void(tx)
    journal.record(tx, "user.update", row)
    return view(ctx, row)


def refuse_domain(tx: Tx, project_id: str | None) -> None:
    place = places.projects.find(tx, project_id) if project_id else None
    if place is not None and place.is_domain:
        raise errors.Invalid("The default project of a user can't be a domain.")


def set_own_password(tx: Tx, ctx: Context, user_id: str, proved_hash: str, hashed: str) -> None:
    """Only while the password is still the one that was proved: else somebody else was first."""
    row = enabled_row(tx, ctx, user_id, lock=True)
    if row is None or row.password_hash != proved_hash:
        raise errors.Unauthorized("The request you have made requires authentication.", reason="denied")
    if row.options.get("lock_password"):
        raise errors.Forbidden(
            "This password is locked: an administrator must change it.", reason="password_locked"
        )
    row = store.update(tx, row, password_hash=hashed, generation=row.generation + 1)
    void(tx)
    journal.record(tx, "user.password", row)


def remove(tx: Tx, ctx: Context, user_id: str) -> None:
    remove_row(tx, store.get(tx, ctx, user_id))
    void(tx)


def remove_row(tx: Tx, row: Any) -> None:
    """With assignments; memberships and application credentials go along by themselves."""
    tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.actor_id == row.id))
    store.delete(tx, row)
    journal.record(tx, "user.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(
    USERS, service="identity", kind="user", label="User", secrets=["password_hash"],
    targets={"target.user.domain_id": "domain_id", "target.user.id": "id"},
)


def view(ctx: Context, row: Any) -> User:
    return User(
        id=row.id, name=row.name, domain_id=row.domain_id, enabled=row.enabled,
        default_project_id=row.default_project_id or ABSENT, password_expires_at=row.password_expires_at,
        options=row.options, links=links.to(ctx, f"users/{row.id}"), extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: UserQuery, where: Any = ()) -> Page:
    return page(
        tx, ctx, store, query, "users", view, equal=["name", "domain_id"], flags=["enabled"], where=where
    )


def enabled_row(tx: Tx, ctx: Context, user_id: str, lock: bool = False) -> Any:
    row = store.find(tx, user_id, lock=lock)
    if row is None or not row.enabled:
        return None
    domain = places.domains.find(tx, row.domain_id)
    return row if domain is not None and domain.enabled else None


def taken(name: object) -> errors.Conflict:
    return errors.Conflict(
        f"Conflict occurred attempting to store user - Duplicate entry found with name {name} in the same "
        "domain.",
        reason="name_taken",
    )
