# SPDX-License-Identifier: Apache-2.0
"""What roles imply: whoever has the prior role has the implied one too.

Following implications is grants.py. The role `admin` can't be implied, so that no chain of
implications ends in more than anybody meant to give.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.identity import links, permits, policy, roles
from skyhold.identity.auth.sessions import void
from skyhold.identity.tables import IMPLIED_ROLES, ROLES

routes = Routes()

ALL = "/v3/roles/{role_id}/implies"
ONE = ALL + "/{implied_id}"
NEVER_IMPLIED = "admin"


@routes.get("/v3/role_inferences", policy=policy.LIST_ROLE_INFERENCE_RULES)
async def inferences(ctx: Context) -> dict[str, Any]:
    """List all implications."""
    return await ctx.read(list_all)


@routes.get(ALL, policy=policy.LIST_IMPLIED_ROLES)
async def index(ctx: Context, role_id: str) -> dict[str, Any]:
    """List what a role implies."""
    return await ctx.read(list_of, role_id)


@routes.put(ONE, policy=policy.CREATE_IMPLIED_ROLE, status=201)
async def create(ctx: Context, role_id: str, implied_id: str) -> dict[str, Any]:
    """Let a role imply another."""
    return await ctx.write(insert, role_id, implied_id)


@routes.get(ONE, policy=policy.GET_IMPLIED_ROLE)
async def show(ctx: Context, role_id: str, implied_id: str) -> dict[str, Any]:
    """Show an implication."""
    return await ctx.read(get, role_id, implied_id)


@routes.head(ONE, policy=policy.CHECK_IMPLIED_ROLE, status=204)
async def check(ctx: Context, role_id: str, implied_id: str) -> None:
    """Check an implication."""
    await ctx.read(get, role_id, implied_id)


@routes.delete(ONE, policy=policy.DELETE_IMPLIED_ROLE)
async def delete(ctx: Context, role_id: str, implied_id: str) -> None:
    """End an implication."""
    await ctx.write(remove, role_id, implied_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, role_id: str, implied_id: str) -> dict[str, Any]:
    prior, implied = roles.store.get(tx, ctx, role_id), roles.store.get(tx, ctx, implied_id)
    if implied.name == NEVER_IMPLIED and not implied.domain_id:
        raise errors.Forbidden(f"{implied.id} cannot be an implied role.")
    if implied.domain_id and not prior.domain_id:
        raise errors.Forbidden("A global role cannot imply a role of a domain.")
    if not exists(tx, role_id, implied_id):
        if not tx.add(IMPLIED_ROLES, {"prior_id": role_id, "implied_id": implied_id}):
            if not exists(tx, role_id, implied_id):
                raise permits.gone_meanwhile("implied role")
            return printed(ctx, prior, implied)
        void(tx)
        journal.record(tx, "role.imply", prior)
    return printed(ctx, prior, implied)


def remove(tx: Tx, ctx: Context, role_id: str, implied_id: str) -> None:
    prior = roles.store.get(tx, ctx, role_id)
    c = IMPLIED_ROLES.c
    if not tx.changed(IMPLIED_ROLES.delete().where(c.prior_id == role_id, c.implied_id == implied_id)):
        raise missing(role_id, implied_id)
    void(tx)
    journal.record(tx, "role.imply_no_more", prior)


def get(tx: Tx, ctx: Context, role_id: str, implied_id: str) -> dict[str, Any]:
    prior, implied = roles.store.get(tx, ctx, role_id), roles.store.get(tx, ctx, implied_id)
    if not exists(tx, role_id, implied_id):
        raise missing(role_id, implied_id)
    return printed(ctx, prior, implied)


# ---- queries -------------------------------------------------------------------------------


def exists(tx: Tx, role_id: str, implied_id: str) -> bool:
    c = IMPLIED_ROLES.c
    return tx.first(
        sa.select(c.prior_id).where(c.prior_id == role_id, c.implied_id == implied_id)
    ) is not None


def list_of(tx: Tx, ctx: Context, role_id: str) -> dict[str, Any]:
    prior = roles.store.get(tx, ctx, role_id)
    c = IMPLIED_ROLES.c
    found = tx.all(
        sa.select(ROLES.c.id, ROLES.c.name).join(IMPLIED_ROLES, c.implied_id == ROLES.c.id)
        .where(c.prior_id == role_id).order_by(ROLES.c.name)
    )
    inference = {"prior_role": brief(ctx, prior), "implies": [brief(ctx, row) for row in found]}
    return {"role_inference": inference, "links": links.to(ctx, f"roles/{role_id}/implies")}


def list_all(tx: Tx, ctx: Context) -> dict[str, Any]:
    names = {row.id: row for row in tx.all(sa.select(ROLES.c.id, ROLES.c.name))}
    found: dict[str, list[Any]] = {}
    for row in tx.all(sa.select(IMPLIED_ROLES.c.prior_id, IMPLIED_ROLES.c.implied_id)):
        found.setdefault(row.prior_id, []).append(brief(ctx, names[row.implied_id]))
    inferences = [{"prior_role": brief(ctx, names[id]), "implies": implied} for id, implied in found.items()]
    return {"role_inferences": inferences, "links": links.of_list(ctx, "role_inferences")}


def printed(ctx: Context, prior: Any, implied: Any) -> dict[str, Any]:
    return {
        "role_inference": {"prior_role": brief(ctx, prior), "implies": brief(ctx, implied)},
        "links": links.to(ctx, f"roles/{prior.id}/implies/{implied.id}"),
    }


def brief(ctx: Context, row: Any) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": links.to(ctx, f"roles/{row.id}")}


def missing(role_id: str, implied_id: str) -> errors.NotFound:
    return errors.NotFound(f"{role_id} does not imply {implied_id}.", kind="implication")
