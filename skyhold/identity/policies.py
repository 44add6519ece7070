# SPDX-License-Identifier: Apache-2.0
"""Policies: texts that an operator keeps here for other services to fetch.

Which endpoint uses which is endpoint_policies.py. They are not the rules of this program, which are in
each service's policy.py: nothing here reads what such a text says.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, policy
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import extra_of, given
from skyhold.identity.tables import POLICIES

LONGEST_BLOB = 2**20

# ---- shape ---------------------------------------------------------------------------------


class PolicyCreate(OpenShape):
    blob: str = field(max=LONGEST_BLOB)
    type: str = field(max=255)


class PolicyChange(OpenShape, min_fields=1):
    blob: str | Absent = field(optional=True, max=LONGEST_BLOB)
    type: str | Absent = field(optional=True, max=255)


class Policy(OpenShape):
    id: str
    blob: str
    type: str
    links: JsonObject


class PolicyQuery(ListQuery):
    type: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("policy", Policy)
MANY = collection("policies", Policy, links="links")


@routes.get("/v3/policies", policy=policy.LIST_POLICIES, query=PolicyQuery, reply=MANY)
async def index(ctx: Context, query: PolicyQuery) -> Page:
    """List policies."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/policies", policy=policy.CREATE_POLICY, body=envelope("policy", PolicyCreate), reply=ONE, status=201
)
async def create(ctx: Context, want: PolicyCreate) -> Policy:
    """Create a policy."""
    return await ctx.write(insert, want)


@routes.get("/v3/policies/{policy_id}", policy=policy.GET_POLICY, reply=ONE)
async def show(ctx: Context, policy_id: str) -> Policy:
    """Show a policy."""
    return view(ctx, await ctx.read(store.get, policy_id))


@routes.patch(
    "/v3/policies/{policy_id}", policy=policy.UPDATE_POLICY, body=envelope("policy", PolicyChange), reply=ONE
)
async def update(ctx: Context, policy_id: str, want: PolicyChange) -> Policy:
    """Change a policy."""
    return await ctx.write(change, policy_id, want)


@routes.delete("/v3/policies/{policy_id}", policy=policy.DELETE_POLICY)
async def delete(ctx: Context, policy_id: str) -> None:
    """Delete a policy; who used it, uses none."""
    await ctx.write(remove, policy_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: PolicyCreate) -> Policy:
    row = store.insert(tx, id=permits.hex_id(ctx), type=want.type, blob=want.blob, extra=extra_of(want))
    journal.record(tx, "policy.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, policy_id: str, want: PolicyChange) -> Policy:
    row = store.get(tx, ctx, policy_id)
    row = store.update(tx, row, **given(type=want.type, blob=want.blob), extra=row.extra | extra_of(want))
    journal.record(tx, "policy.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, policy_id: str) -> None:
    row = store.get(tx, ctx, policy_id)
    store.delete(tx, row)
    journal.record(tx, "policy.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(POLICIES, service="identity", kind="policy", label="Policy")


def view(ctx: Context, row: Any) -> Policy:
    return Policy(
        id=row.id, type=row.type, blob=row.blob, links=links.to(ctx, f"policies/{row.id}"), extra=row.extra
    )


def list_page(tx: Tx, ctx: Context, query: PolicyQuery) -> Page:
    return page(tx, ctx, store, query, "policies", view, equal=["type"])
