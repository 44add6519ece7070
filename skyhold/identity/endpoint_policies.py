# SPDX-License-Identifier: Apache-2.0
"""Which endpoint uses which policy (OS-ENDPOINT-POLICY): by endpoint, by service, by service and region.

The policies themselves are policies.py, which of several associations counts is logic/policy_choice.py.
Each of these has one policy at most: associating another replaces it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Page
from skyhold.core.store import Store
from skyhold.identity import endpoints, links, permits, policies, policy, regions, services
from skyhold.identity.logic.policy_choice import Whose, chosen
from skyhold.identity.tables import ENDPOINTS, POLICY_ASSOCIATIONS, REGIONS

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
OF_POLICY = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"


@routes.get(f"{OF_POLICY}/policy", policy=policy.GET_POLICY, reply=policies.ONE)
async def show(ctx: Context, policy_id: str) -> policies.Policy:
    """Show a policy that can be associated."""
    return policies.view(ctx, await ctx.read(policies.store.get, policy_id))


@routes.get(
    "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", policy=policy.GET_POLICY_FOR_ENDPOINT,
    reply=policies.ONE,
)
async def in_force(ctx: Context, endpoint_id: str) -> policies.Policy:
    """Show the policy that an endpoint uses."""
    return await ctx.read(policy_of, endpoint_id)


@routes.get(f"{OF_POLICY}/endpoints", policy=policy.LIST_ENDPOINTS_FOR_POLICY, reply=endpoints.MANY)
async def index(ctx: Context, policy_id: str) -> Page:
    """List the endpoints that use a policy."""
    return await ctx.read(endpoints_of, policy_id)


def declare(tail: str, names: tuple[str, ...], rules: Mapping[str, Rule]) -> None:
    """The operations on one kind of association; `names` are the columns that the address fills."""
    path = OF_POLICY + tail

    @routes.put(path, policy=rules["create"], status=204)
    async def create(ctx: Context, policy_id: str, *ids: str) -> None:
        """Let it use a policy, instead of whichever it used."""
        await ctx.write(associate, policy_id, Whose(**dict(zip(names, ids, strict=True))))

    @routes.get(path, policy=rules["check"], status=204)
    async def check(ctx: Context, policy_id: str, *ids: str) -> None:
        """Check whether it uses a policy."""
        await ctx.read(demand_association, policy_id, Whose(**dict(zip(names, ids, strict=True))))

    @routes.head(path, policy=rules["check"], status=204)
    async def check_only(ctx: Context, policy_id: str, *ids: str) -> None:
        """Check whether it uses a policy."""
        await ctx.read(demand_association, policy_id, Whose(**dict(zip(names, ids, strict=True))))

    @routes.delete(path, policy=rules["delete"])
    async def delete(ctx: Context, policy_id: str, *ids: str) -> None:
        """Let it use that policy no more."""
        await ctx.write(dissociate, policy_id, Whose(**dict(zip(names, ids, strict=True))))


declare("/endpoints/{endpoint_id}", ("endpoint_id",), policy.ENDPOINT_POLICY["endpoint"])
declare("/services/{service_id}", ("service_id",), policy.ENDPOINT_POLICY["service"])
declare(
    "/services/{service_id}/regions/{region_id}", ("service_id", "region_id"),
    policy.ENDPOINT_POLICY["region_and_service"],
)

# ---- operations ----------------------------------------------------------------------------


def associate(tx: Tx, ctx: Context, policy_id: str, whose: Whose) -> None:
    """Raises NotFound for whatever of the address isn't there."""
    look_up(tx, ctx, policy_id, whose)
    key = key_of(whose)
    change = ASSOCIATIONS.update().where(C.whose == key).values(policy_id=policy_id)
    made = {"whose": key, "policy_id": policy_id, **whose._asdict()}
    # Another may be first, or one of them gone; which of the two, the second try tells.
    if not (tx.changed(change) or tx.add(ASSOCIATIONS, made) or tx.changed(change)):
        raise permits.gone_meanwhile("policy association")
    record(tx, "create", policy_id, whose)


def dissociate(tx: Tx, ctx: Context, policy_id: str, whose: Whose) -> None:
    """What isn't associated stays so, as upstream answers it."""
    look_up(tx, ctx, policy_id, whose)
    if tx.changed(ASSOCIATIONS.delete().where(C.whose == key_of(whose), C.policy_id == policy_id)):
        record(tx, "delete", policy_id, whose)


def demand_association(tx: Tx, ctx: Context, policy_id: str, whose: Whose) -> None:
    look_up(tx, ctx, policy_id, whose)
    where = (C.whose == key_of(whose), C.policy_id == policy_id)
    if tx.first(sa.select(C.whose).where(*where)) is None:
        named = ", ".join(id for id in whose if id is not None)
        raise errors.NotFound(f"No policy {policy_id} is associated with {named}.", kind="policy_association")


def look_up(tx: Tx, ctx: Context, policy_id: str, whose: Whose) -> None:
    """All that the address names must be there, and stay until the commit."""
    policies.store.get(tx, ctx, policy_id, lock="stay")
    stores = (endpoints.store, services.store, regions.store)
    for kind, id in zip(stores, whose, strict=True):
        if id is not None:
            kind.get(tx, ctx, id, lock="stay")


def record(tx: Tx, verb: str, policy_id: str, whose: Whose) -> None:
    row = store.Row(whose=key_of(whose), policy_id=policy_id, **whose._asdict())
    journal.record(tx, f"policy_association.{verb}", row)


# ---- queries -------------------------------------------------------------------------------

ASSOCIATIONS = POLICY_ASSOCIATIONS
C = ASSOCIATIONS.c
store = Store(ASSOCIATIONS, service="identity", kind="policy_association", key="whose")


def key_of(whose: Whose) -> str:
    return hashlib.sha256("\0".join(id or "" for id in whose).encode()).hexdigest()


def policy_of(tx: Tx, ctx: Context, endpoint_id: str) -> policies.Policy:
    """Raises NotFound when it uses none."""
    row = endpoints.store.get(tx, ctx, endpoint_id)
    found = chosen(all_of(tx), parents(tx), row.id, row.service_id, row.region_id)
    used = None if found is None else policies.store.find(tx, found)
    if used is None:
        raise errors.NotFound(f"No policy is associated with endpoint {endpoint_id}.", kind="policy_association")
    return policies.view(ctx, used)


def endpoints_of(tx: Tx, ctx: Context, policy_id: str) -> Page:
    policies.store.get(tx, ctx, policy_id)
    known, above = all_of(tx), parents(tx)
    rows = [
        row for row in tx.all(sa.select(*ENDPOINTS.c).order_by(ENDPOINTS.c.id))
        if chosen(known, above, row.id, row.service_id, row.region_id) == policy_id
    ]
    path = f"policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints"
    return Page([endpoints.view(ctx, row) for row in rows], links.of_list(ctx, path))


def all_of(tx: Tx) -> dict[Whose, str]:
    rows: Any = tx.all(sa.select(C.endpoint_id, C.service_id, C.region_id, C.policy_id))
    return {Whose(*row[:3]): row.policy_id for row in rows}


def parents(tx: Tx) -> dict[str, str | None]:
    return {row.id: row.parent_region_id for row in tx.all(sa.select(REGIONS.c.id, REGIONS.c.parent_region_id))}
