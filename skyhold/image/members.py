# SPDX-License-Identifier: Apache-2.0
"""Members: the projects that a shared image is shared with, and whether they accepted it.

Which images a member sees is images/store.py. The owner adds and removes members; only the member
decides on its status, and sees nobody but itself.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Shape, Time, field
from skyhold.image import policy, states
from skyhold.image.images.ops import check_number
from skyhold.image.images.store import get, store
from skyhold.image.tables import MEMBERS

# ---- shape ---------------------------------------------------------------------------------


class MemberCreate(Shape, extra="ignore"):
    member: str = field(min=1, max=64)


class MemberUpdate(Shape, extra="ignore"):
    status: str = field(enum=states.MEMBER)


class Member(Shape):
    image_id: str
    member_id: str
    status: str
    created_at: Time
    updated_at: Time
    schema: str = "/v2/schemas/member"


class MemberList(Shape):
    members: list[Member]
    schema: str = "/v2/schemas/members"


def shown(row: Any) -> Member:
    return Member(
        image_id=row.image_id, member_id=row.member_id, status=row.status,
        created_at=row.created_at, updated_at=row.updated_at,
    )


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2/images/{image_id}/members", policy=policy.GET_MEMBERS, reply=MemberList)
async def index(ctx: Context, image_id: str) -> MemberList:
    """List the projects an image is shared with."""
    return MemberList(members=[shown(row) for row in await ctx.read(list_all, image_id)])


@routes.post("/v2/images/{image_id}/members", policy=policy.ADD_MEMBER, body=MemberCreate, reply=Member)
async def create(ctx: Context, image_id: str, want: MemberCreate) -> Member:
    """Share an image with a project."""
    return shown(await ctx.write(insert, image_id, want.member))


@routes.get("/v2/images/{image_id}/members/{member_id}", policy=policy.GET_MEMBER, reply=Member)
async def show(ctx: Context, image_id: str, member_id: str) -> Member:
    """Show one membership."""
    return shown(await ctx.read(find, image_id, member_id))


@routes.put(
    "/v2/images/{image_id}/members/{member_id}", policy=policy.MODIFY_MEMBER, body=MemberUpdate, reply=Member
)
async def update(ctx: Context, image_id: str, member_id: str, want: MemberUpdate) -> Member:
    """Accept or reject a shared image."""
    return shown(await ctx.write(decide, image_id, member_id, want.status))


@routes.delete("/v2/images/{image_id}/members/{member_id}", policy=policy.DELETE_MEMBER)
async def delete(ctx: Context, image_id: str, member_id: str) -> None:
    """Stop sharing an image with a project."""
    await ctx.write(remove, image_id, member_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, image_id: str, member_id: str) -> Any:
    """Raises Conflict for a member that is there already, Forbidden when the image isn't shared."""
    image = owned(tx, ctx, image_id, policy.ADD_MEMBER)
    count = tx.scalar(sa.select(sa.func.count()).select_from(MEMBERS).where(MEMBERS.c.image_id == image.id))
    check_number("members", count + 1, ctx.core.settings.image.image_member_quota)
    values = {
        "image_id": image.id, "member_id": member_id, "status": states.PENDING,
        "created_at": tx.now, "updated_at": tx.now,
    }
    if not tx.add(MEMBERS, values):
        raise errors.Conflict(f"Member {member_id} is duplicated for image {image_id}")
    journal.record(tx, "image.member.create", image)
    return one(tx, image.id, member_id)


def decide(tx: Tx, ctx: Context, image_id: str, member_id: str, status: str) -> Any:
    image = with_members(get(tx, ctx, image_id))
    if member_id != ctx.project_id and "admin" not in ctx.creds.roles:
        if image.project_id == ctx.project_id:
            raise errors.Forbidden(f"Not allowed to update members for image {image_id}: only the member decides.")
        raise not_found(image_id, member_id)
    row = one(tx, image.id, member_id)
    mine = (MEMBERS.c.image_id == image.id) & (MEMBERS.c.member_id == member_id)
    tx.execute(MEMBERS.update().where(mine).values(status=status, updated_at=tx.now))
    journal.record(tx, "image.member.update", image)
    return one(tx, image.id, row.member_id)


def remove(tx: Tx, ctx: Context, image_id: str, member_id: str) -> None:
    image = owned(tx, ctx, image_id, policy.DELETE_MEMBER)
    one(tx, image.id, member_id)
    mine = (MEMBERS.c.image_id == image.id) & (MEMBERS.c.member_id == member_id)
    tx.execute(MEMBERS.delete().where(mine))
    journal.record(tx, "image.member.delete", image)


def owned(tx: Tx, ctx: Context, image_id: str, rule: Rule) -> Any:
    return with_members(store.get(tx, ctx, image_id, may=rule))


def with_members(image: Any) -> Any:
    if image.visibility != "shared":
        raise errors.Forbidden(f"Only shared images have members; image {image.id} is {image.visibility}.")
    return image


# ---- queries -------------------------------------------------------------------------------


def find(tx: Tx, ctx: Context, image_id: str, member_id: str) -> Any:
    image = get(tx, ctx, image_id)
    if member_id != ctx.project_id and not sees_all(ctx, image):
        raise not_found(image_id, member_id)
    return one(tx, image.id, member_id)


def list_all(tx: Tx, ctx: Context, image_id: str) -> list[Any]:
    """All members for the owner; for a member only itself."""
    image = with_members(get(tx, ctx, image_id))
    statement = sa.select(MEMBERS).where(MEMBERS.c.image_id == image.id)
    if not sees_all(ctx, image):
        statement = statement.where(MEMBERS.c.member_id == ctx.project_id)
    return list(tx.all(statement.order_by(MEMBERS.c.created_at, MEMBERS.c.member_id)))


def sees_all(ctx: Context, image: Any) -> bool:
    return image.project_id == ctx.project_id or "admin" in ctx.creds.roles


def one(tx: Tx, image_id: str, member_id: str) -> Any:
    row = tx.first(sa.select(MEMBERS).where(MEMBERS.c.image_id == image_id, MEMBERS.c.member_id == member_id))
    if row is None:
        raise not_found(image_id, member_id)
    return row


def not_found(image_id: str, member_id: str) -> errors.NotFound:
    return errors.NotFound(f"{member_id} not found in the member list of the image {image_id}.")
