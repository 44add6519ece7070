# SPDX-License-Identifier: Apache-2.0
"""Trusts: a user's (the trustor's) roles in a project, for another user (the trustee) to use as long as it holds.

Getting a token for one is auth/trusting.py, how far it reaches auth/grounds.py. A trust that allows it is
passed on with a token for it: the new trust hangs on the old one, is no wider, and goes with it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, TimeMicrosZ, collection, envelope, field
from skyhold.identity import grants, links, permits, roles, users
from skyhold.identity.delegation import making, policy
from skyhold.identity.delegation.rows import discard
from skyhold.identity.delegation.rows import trusts as store
from skyhold.identity.delegation.tables import TRUSTS
from skyhold.identity.listing import ListQuery, printed
from skyhold.identity.shapes import ID
from skyhold.identity.tables import ROLES

MOST_REDELEGATIONS = 3
WHAT = "trusts"

# ---- shape ---------------------------------------------------------------------------------


class RoleRef(Shape, extra="ignore"):
    id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    name: str | Absent = field(optional=True, min=1, max=255)


class TrustCreate(Shape, extra="ignore"):
    trustor_user_id: str = field(min=1, max=64, pattern=ID)
    trustee_user_id: str = field(min=1, max=64, pattern=ID)
    impersonation: bool
    project_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    roles: list[RoleRef] = field(default_factory=list, max_items=500)
    expires_at: TimeMicrosZ | None = field(default=None)
    remaining_uses: int | None = field(default=None, min=1)
    allow_redelegation: bool | None = field(default=None)
    redelegation_count: int | None = field(default=None, min=0)


class Trust(Shape):
    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str | None
    impersonation: bool
    expires_at: TimeMicrosZ | None
    deleted_at: None
    remaining_uses: int | None
    redelegation_count: int
    redelegated_trust_id: str | Absent = field(optional=True)
    roles: list[roles.Role] | Absent = field(optional=True)
    roles_links: JsonObject | Absent = field(optional=True)
    links: JsonObject


class TrustQuery(ListQuery):
    trustor_user_id: str | None = field(default=None)
    trustee_user_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-TRUST/trusts"
AT = ALL + "/{trust_id}"
ONE = envelope("trust", Trust)


@routes.get(
    ALL, policy=policy.LIST_TRUSTS_FOR_TRUSTOR, query=TrustQuery, reply=collection("trusts", Trust, links="links")
)
async def index(ctx: Context, query: TrustQuery) -> Page:
    """List trusts; but for administrators only those of a trustor or a trustee."""
    return await ctx.read(list_page, query)


@routes.post(ALL, policy=policy.CREATE_TRUST, body=envelope("trust", TrustCreate), reply=ONE, status=201)
async def create(ctx: Context, want: TrustCreate) -> Trust:
    """Create a trust of the own roles, or with a token for one pass that on."""
    return await ctx.write(insert, want)


@routes.get(AT, policy=policy.GET_TRUST, reply=ONE)
async def show(ctx: Context, trust_id: str) -> Trust:
    """Show a trust."""
    return await ctx.read(with_roles, trust_id)


@routes.delete(AT, policy=policy.DELETE_TRUST)
async def delete(ctx: Context, trust_id: str) -> None:
    """Delete a trust; its tokens, and trusts made of it, are void at once."""
    await ctx.write(remove, trust_id)


@routes.get(AT + "/roles", policy=policy.LIST_ROLES_FOR_TRUST, reply=roles.MANY)
async def list_roles(ctx: Context, trust_id: str) -> Page:
    """List the roles that a trust gives."""
    return Page(await ctx.read(roles_of, trust_id), links.of_list(ctx, f"OS-TRUST/trusts/{trust_id}/roles"))


@routes.get(AT + "/roles/{role_id}", policy=policy.GET_ROLE_FOR_TRUST, reply=roles.ONE)
async def show_role(ctx: Context, trust_id: str, role_id: str) -> roles.Role:
    """Show a role that a trust gives."""
    given = await ctx.read(roles_of, trust_id)
    found = next((role for role in given if role.id == role_id), None)
    if found is None:
        raise errors.NotFound(f"Could not find role: {role_id} is not given by this trust.", kind="role", id=role_id)
    return found


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: TrustCreate) -> Trust:
    """Raises Forbidden for another's roles and for more than the token has, NotFound for a role not held."""
    permits.demand(ctx, policy.CREATE_TRUST, {"target.trust.trustor_user_id": want.trustor_user_id})
    bounds = making.permit(tx, ctx, WHAT, through=["trust_id"])
    making.refuse_rules(bounds, WHAT)
    making.refuse_foreign_project(ctx, want.project_id)
    if want.expires_at is not None and want.expires_at <= ctx.now:
        raise errors.Invalid("The 'expires_at' must not be before now.", reason="expired")
    if users.store.find(tx, want.trustee_user_id, lock="stay") is None:
        raise users.store.not_found(want.trustee_user_id)
    parent = store.find(tx, ctx.creds.trust_id, lock="stay") if ctx.creds.trust_id else None
    row = store.insert(
        tx, id=permits.hex_id(ctx), trustor_user_id=want.trustor_user_id, trustee_user_id=want.trustee_user_id,
        project_id=want.project_id, impersonation=want.impersonation, roles=chosen_roles(tx, ctx, want),
        expires_at=ends_at(want, parent, [bound.ends_at for bound in bounds]), remaining_uses=want.remaining_uses,
        redelegation_count=count_of(want) if parent is None else passed_on(want, parent),
        redelegated_trust_id=parent and parent.id, made_with=making.held_with(ctx),
    )
    journal.record(tx, "trust.create", row)
    return view(ctx, row, role_rows(tx, row.roles))


def chosen_roles(tx: Tx, ctx: Context, want: TrustCreate) -> list[str]:
    """Ids of roles that the trustor has in the project, and that a delegated token has."""
    if want.project_id is None:
        if want.roles:
            raise errors.Invalid("A trust gives roles in a project: Expecting to find project_id in trust.")
        return []
    if not want.roles:
        raise errors.Forbidden("At least one role should be specified.", reason="no_roles")
    held = held_roles(tx, ctx, making.project(tx, want.project_id))
    return sorted({role_id(ref, held) for ref in want.roles})


def held_roles(tx: Tx, ctx: Context, project: Any) -> dict[str, str]:
    """Name to id. Of a delegated token only what it has itself counts."""
    if making.held_with(ctx) is None:
        return {name: id for id, name in grants.effective(tx, ctx.user_id, "project", project)}
    c = ROLES.c
    rows = tx.all(sa.select(c.name, c.id).where(c.domain_id == "", c.name.in_(list(ctx.creds.roles))))
    return {row.name: row.id for row in rows}


def role_id(ref: RoleRef, held: dict[str, str]) -> str:
    if ref.id is ABSENT and ref.name is ABSENT:
        raise errors.Invalid("Expecting to find id or name in each role of trust.")
    found = making.role_of(ref.id, ref.name, held)
    if found is None:
        named = ref.id if ref.id is not ABSENT else ref.name
        raise errors.NotFound(f"Could not find role: {named} is not yours to give in this project.", kind="role")
    return found


def ends_at(want: TrustCreate, parent: Any, ends: list[int | None]) -> int | None:
    latest = making.earliest(*ends)
    if parent is not None and want.expires_at is not None and latest is not None and want.expires_at > latest:
        raise errors.Forbidden(
            "Requested expiration time is more than redelegated trust can provide.", reason="longer"
        )
    return making.earliest(want.expires_at, latest)


def count_of(want: TrustCreate) -> int:
    if not want.allow_redelegation:
        return 0
    refuse_uses(want)
    if want.redelegation_count is None:
        return MOST_REDELEGATIONS
    if want.redelegation_count > MOST_REDELEGATIONS:
        raise errors.Forbidden(
            f"Requested redelegation depth of {want.redelegation_count} is greater than allowed "
            f"{MOST_REDELEGATIONS}.", reason="too_deep",
        )
    return want.redelegation_count


def passed_on(want: TrustCreate, parent: Any) -> int:
    """What is left for the new trust; raises Forbidden where the old one doesn't reach so far."""
    if not 0 < parent.redelegation_count <= MOST_REDELEGATIONS:
        raise errors.Forbidden(
            f"Remaining redelegation depth of {parent.redelegation_count} out of allowed range of "
            f"[1..{MOST_REDELEGATIONS}].", reason="too_deep",
        )
    if want.impersonation and not parent.impersonation:
        raise errors.Forbidden(
            "Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated "
            f"trust id: {parent.id}", reason="no_impersonation",
        )
    refuse_uses(want)
    left = parent.redelegation_count - 1
    if want.allow_redelegation is False:
        return 0
    if want.redelegation_count is not None and want.redelegation_count > left:
        raise errors.Forbidden(
            f"Requested redelegation depth of {want.redelegation_count} is greater than allowed {left}.",
            reason="too_deep",
        )
    return left if want.redelegation_count is None else want.redelegation_count


def refuse_uses(want: TrustCreate) -> None:
    """Uses are counted where a token is asked for; those of a trust made of this one would escape."""
    if want.remaining_uses is not None:
        raise errors.Invalid("remaining_uses must not be set if redelegation is allowed.", reason="uses")


def remove(tx: Tx, ctx: Context, trust_id: str) -> None:
    """With every trust and EC2 key that was made of it."""
    row = get(tx, ctx, trust_id, policy.DELETE_TRUST)
    # With a trust's token only what was made of that trust: not all that its trustor ever trusted.
    making.permit(tx, ctx, WHAT, through=["trust_id"] if row.made_with == making.held_with(ctx) else [])
    discard(tx, store, row)


# ---- queries -------------------------------------------------------------------------------


def get(tx: Tx, ctx: Context, trust_id: str, may: Rule = policy.GET_TRUST) -> Any:
    """One that has ended or is used up isn't there any more, though tokens of it may still live."""
    row = store.get(tx, ctx, trust_id, may=may)
    if row.remaining_uses == 0 or (row.expires_at is not None and row.expires_at <= ctx.now):
        raise store.not_found(trust_id)
    return row


def with_roles(tx: Tx, ctx: Context, trust_id: str) -> Trust:
    row = get(tx, ctx, trust_id)
    return view(ctx, row, role_rows(tx, row.roles))


def roles_of(tx: Tx, ctx: Context, trust_id: str) -> list[roles.Role]:
    return [roles.view(ctx, row) for row in role_rows(tx, get(tx, ctx, trust_id).roles)]


def role_rows(tx: Tx, ids: list[str]) -> list[Any]:
    return [roles.store.Row._make(row) for row in tx.all(
        sa.select(*ROLES.c).where(ROLES.c.id.in_(ids)).order_by(ROLES.c.id)
    )] if ids else []


def list_page(tx: Tx, ctx: Context, query: TrustQuery) -> Page:
    if query.trustor_user_id is None and query.trustee_user_id is None:
        permits.demand(ctx, policy.LIST_TRUSTS)
    if query.trustor_user_id is not None:
        asked = {"target.trust.trustor_user_id": query.trustor_user_id}
        permits.demand(ctx, policy.LIST_TRUSTS_FOR_TRUSTOR, asked)
    if query.trustee_user_id is not None:
        asked = {"target.trust.trustee_user_id": query.trustee_user_id}
        permits.demand(ctx, policy.LIST_TRUSTS_FOR_TRUSTEE, asked)
    c = TRUSTS.c
    rows = store.page(
        tx, ctx, may=policy.GET_TRUST, sort=[("id", "asc")], limit=query.limit, marker=query.marker,
        filters=[(name, "eq", value) for name in ("trustor_user_id", "trustee_user_id")
                 if (value := getattr(query, name)) is not None],
        where=[
            sa.or_(c.remaining_uses.is_(None), c.remaining_uses > 0),
            sa.or_(c.expires_at.is_(None), c.expires_at > ctx.now),
        ],
    )
    return printed(ctx, [view(ctx, row) for row in rows], rows, query, "OS-TRUST/trusts")


def view(ctx: Context, row: Any, given: list[Any] | None = None) -> Trust:
    path = f"OS-TRUST/trusts/{row.id}"
    return Trust(
        id=row.id, trustor_user_id=row.trustor_user_id, trustee_user_id=row.trustee_user_id,
        project_id=row.project_id, impersonation=row.impersonation, expires_at=row.expires_at, deleted_at=None,
        remaining_uses=row.remaining_uses, redelegation_count=row.redelegation_count,
        redelegated_trust_id=row.redelegated_trust_id or ABSENT,
        roles=ABSENT if given is None else [roles.view(ctx, each) for each in given],
        roles_links=ABSENT if given is None else links.of_list(ctx, path + "/roles"), links=links.to(ctx, path),
    )
