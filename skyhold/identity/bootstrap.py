# SPDX-License-Identifier: Apache-2.0
"""The first rows of a cloud: what must be there before anybody can ask for anything.

`bootstrap` may run at every start: it adds what is missing, corrects the endpoints' addresses, and
leaves the rest as it was changed since. The administrator's password is set once.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.context import Context, internal
from skyhold.identity import endpoints, places, regions, registered_limits, roles, services, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.grants import SYSTEM_ID
from skyhold.identity.passwords import passwords
from skyhold.identity.places import DEFAULT_DOMAIN_ID
from skyhold.identity.tables import (
    ASSIGNMENTS,
    ENDPOINTS,
    IMPLIED_ROLES,
    PROJECTS,
    REGIONS,
    REGISTERED_LIMITS,
    ROLES,
    SERVICES,
    USERS,
)

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx
    from skyhold.core.service import Service

ADMIN = {"name": "admin", "domain_id": DEFAULT_DOMAIN_ID}
"""The first user and its project have the same name, in the same domain."""
ROLE_NAMES = ("admin", "manager", "member", "reader", "service", "ResellerAdmin")
IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
INTERFACES = ("public", "internal", "admin")
NAMES = {
    "identity": "keystone", "compute": "nova", "placement": "placement", "image": "glance",
    "network": "neutron", "object": "swift", "volume": "cinder",
}


async def bootstrap(core: Core, *, password: str) -> None:
    """Idempotent. `password` is for the user `admin`, when there is none yet."""
    ctx = internal(core)
    hashed = await passwords(core).hash(password) if await ctx.read(without_admin) else None
    await ctx.write(ensure_all, hashed)


def without_admin(tx: Tx, ctx: Context) -> bool:
    return one(tx, USERS, **ADMIN) is None


def ensure_all(tx: Tx, ctx: Context, hashed: str | None) -> None:
    ensure(
        tx, PROJECTS, {"id": DEFAULT_DOMAIN_ID}, name="Default", domain_id="", parent_id=None, is_domain=True,
        description="The default domain", **NEW_PLACE,
    )
    roles = {name: ensure(tx, ROLES, {"name": name, "domain_id": ""}, **NEW_ROLE).id for name in ROLE_NAMES}
    for prior, implied in IMPLICATIONS:
        ensure(tx, IMPLIED_ROLES, {"prior_id": roles[prior], "implied_id": roles[implied]})
    project = ensure_project(tx, "admin", "Bootstrap project for initializing the cloud.")
    ensure_project(tx, "service", "The services of the cloud.")
    if hashed is not None:
        user = ensure(
            tx, USERS, ADMIN, enabled=True, password_hash=hashed,
            default_project_id=None, password_expires_at=None, extra={}, options={}, generation=0,
        )
        ensure_grant(tx, user.id, "project", project.id, roles["admin"])
        ensure_grant(tx, user.id, "system", SYSTEM_ID, roles["admin"])
    ensure_catalogue(tx, ctx)
    void(tx)


NEW_PLACE: dict[str, Any] = {"enabled": True, "extra": {}, "options": {}, "tags": [], "generation": 0}
NEW_ROLE: dict[str, Any] = {"description": None, "extra": {}, "options": {"immutable": True}}


def ensure_project(tx: Tx, name: str, description: str) -> Any:
    return ensure(
        tx, PROJECTS, {"name": name, "domain_id": DEFAULT_DOMAIN_ID}, parent_id=DEFAULT_DOMAIN_ID,
        is_domain=False, description=description, **NEW_PLACE,
    )


def ensure_grant(tx: Tx, user_id: str, kind: str, target_id: str, role_id: str) -> None:
    ensure(
        tx, ASSIGNMENTS, {
            "actor_id": user_id, "target_id": target_id, "role_id": role_id, "inherited": False
        },
        actor_type="user", target_type=kind,
    )


def ensure_catalogue(tx: Tx, ctx: Context) -> None:
    settings = ctx.core.settings
    ensure(tx, REGIONS, {"id": settings.region}, parent_region_id=None, description="", extra={})
    for service in ctx.core.services.values():
        if not service.type:
            continue
        row = ensure(
            tx, SERVICES, {"type": service.type}, name=NAMES.get(service.name, service.name), enabled=True,
            description=None, extra={},
        )
        for name, default in service.limits.items():
            key = {"service_id": row.id, "region_id": settings.region, "resource_name": name}
            ensure(tx, REGISTERED_LIMITS, key, default_limit=default, description=None)
        for interface in INTERFACES:
            ensure_endpoint(tx, service, row.id, settings.region, interface, settings.public_url)


def ensure_endpoint(
    tx: Tx, service: Service, service_id: str, region: str, interface: str, base: str
) -> None:
    url = base + service.prefix + service.endpoint
    key = {"service_id": service_id, "region_id": region, "interface": interface}
    row = ensure(tx, ENDPOINTS, key, url=url, enabled=True, extra={"made_by": "bootstrap"})
    if row.url != url and row.extra.get("made_by") == "bootstrap":
        tx.execute(ENDPOINTS.update().where(ENDPOINTS.c.id == row.id).values(url=url))
        record(tx, "update", ENDPOINTS, one(tx, ENDPOINTS, id=row.id))


def ensure(tx: Tx, table: sa.Table, key: dict[str, Any], **values: Any) -> Any:
    """The row with these values in its key columns; made when there is none."""
    row = one(tx, table, **key)
    if row is None:
        made = {**values, **key}
        if "id" in table.c:
            made.setdefault("id", uuid.uuid4().hex)
        if "created_at" in table.c:
            made["created_at"] = tx.now
        tx.execute(table.insert(), made)
        row = one(tx, table, **key)
        record(tx, "create", table, row)
    return row


STORES = {
    USERS: users.store, ROLES: roles.store, REGIONS: regions.store, SERVICES: services.store,
    ENDPOINTS: endpoints.store, REGISTERED_LIMITS: registered_limits.store,
}


def record(tx: Tx, verb: str, table: sa.Table, row: Any) -> None:
    """Implications and assignments tell nobody anything that these rows don't."""
    store = STORES.get(table)
    if table is PROJECTS:
        store = places.domains if row.is_domain else places.projects
    if store is not None:
        journal.record(tx, f"{store.kind}.{verb}", store.Row._make(row))


def one(tx: Tx, table: sa.Table, **key: Any) -> Any:
    return tx.first(sa.select(*table.c).where(*[table.c[name] == value for name, value in key.items()]))
