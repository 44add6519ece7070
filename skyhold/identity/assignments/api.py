# SPDX-License-Identifier: Apache-2.0
"""Giving, checking and taking roles over HTTP, for each kind of place and actor.

What they do is ops.py, the list of all assignments listing.py. The sixteen kinds of address differ
only in their words, so they are declared in a loop: projects or domains, users or groups, as such or
inherited by the projects below (OS-INHERIT).
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Page, collection
from skyhold.identity import policy
from skyhold.identity.assignments import listing, ops
from skyhold.identity.assignments.ops import Place
from skyhold.identity.roles import MANY

routes = Routes()


def declare(base: str, tail: str, place: Place, rules: dict[str, Rule]) -> None:
    """The operations on one kind of grant; `tail` follows the role in the address."""
    one = f"{base}/{{role_id}}{tail}"

    @routes.get(f"{base}{tail}", policy=rules["list"], reply=MANY)
    async def index(ctx: Context, *ids: str) -> Page:
        """List the roles somebody has been given there."""
        return await ctx.read(ops.list_roles, place, ids)

    @routes.put(one, policy=rules["create"], status=204)
    async def create(ctx: Context, *ids: str) -> None:
        """Give a role."""
        await ctx.write(ops.give, place, ids)

    @routes.head(one, policy=rules["check"], status=204)
    async def check(ctx: Context, *ids: str) -> None:
        """Check whether somebody was given a role."""
        await ctx.read(ops.check, place, ids)

    @routes.get(one, policy=rules["check"], status=204)
    async def show(ctx: Context, *ids: str) -> None:
        """Check whether somebody was given a role."""
        await ctx.read(ops.check, place, ids)

    @routes.delete(one, policy=rules["revoke"])
    async def delete(ctx: Context, *ids: str) -> None:
        """Take a role away."""
        await ctx.write(ops.take, place, ids)


GRANTS = {
    "list": policy.LIST_GRANTS, "check": policy.CHECK_GRANT, "create": policy.CREATE_GRANT,
    "revoke": policy.REVOKE_GRANT,
}

for actor in ("user", "group"):
    for target in ("project", "domain"):
        where = f"/{target}s/{{{target}_id}}/{actor}s/{{{actor}_id}}/roles"
        declare(f"/v3{where}", "", Place(target, actor, False), GRANTS)
        declare(f"/v3/OS-INHERIT{where}", "/inherited_to_projects", Place(target, actor, True), GRANTS)
    declare(
        f"/v3/system/{actor}s/{{{actor}_id}}/roles", "", Place(
            "system", actor, False
        ), policy.SYSTEM_GRANTS[actor]
    )


@routes.get(
    "/v3/role_assignments", policy=policy.LIST_ROLE_ASSIGNMENTS, query=listing.AssignmentQuery,
    reply=collection("role_assignments", listing.Assignment, links="links"),
)
async def index(ctx: Context, query: listing.AssignmentQuery) -> Reply:
    """List assignments."""
    return Reply(await ctx.read(listing.list_page, query), content_type="application/json")
