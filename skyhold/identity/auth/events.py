# SPDX-License-Identifier: Apache-2.0
"""Revocation events (OS-REVOKE): which tokens became void and since when, for services that validate by themselves.

Nothing here voids a token: that is revoking.py, and for all tokens of a user or project their generation
(payload.py). An event is kept for as long as a token that it is about could have lived.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, field
from skyhold.identity import links, policy
from skyhold.identity.auth import body
from skyhold.identity.auth.payload import SECOND_US
from skyhold.identity.tables import REVOCATION_EVENTS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

ABOUT = ("user_id", "project_id", "domain_id", "audit_id", "audit_chain_id")
GROUNDS = {
    "trust_id": "OS-TRUST:trust_id", "consumer_id": "OS-OAUTH1:consumer_id",
    "access_token_id": "OS-OAUTH1:access_token_id", "app_cred_id": "application_credential_id",
    "ec2_key_id": "ec2_credential_id",
}
"""How an event names a delegation. Upstream has no word for the last two: whoever reads its words alone takes these
for all tokens of that user in that project, which is too many but never too few."""
C = REVOCATION_EVENTS.c

routes = Routes()


class EventQuery(Shape, extra="ignore"):
    since: str | None = field(default=None)


@routes.get("/v3/OS-REVOKE/events", policy=policy.LIST_REVOKE_EVENTS, query=EventQuery)
async def index(ctx: Context, query: EventQuery) -> dict[str, Any]:
    """List revocation events."""
    return await ctx.read(listed, query)


def tell(tx: Tx, ground: str | None = None, ground_id: str | None = None, **about: str) -> None:
    """Tokens issued until now are void: those of a user, project, domain or delegation, or one by its audit id."""
    settings = tx.ctx.core.settings.identity
    forget_at = tx.now + (settings.token_lifetime_s + settings.allow_expired_window_s) * SECOND_US
    values = dict.fromkeys(ABOUT) | {"ground": ground, "ground_id": ground_id} | about
    tx.execute(REVOCATION_EVENTS.insert(), {**values, "revoked_at": tx.now, "forget_at": forget_at})


def forget(tx: Tx, ctx: Context) -> None:
    tx.execute(REVOCATION_EVENTS.delete().where(C.forget_at <= ctx.now))


def listed(tx: Tx, ctx: Context, query: EventQuery) -> dict[str, Any]:
    statement = sa.select(REVOCATION_EVENTS).order_by(C.revoked_at, C.id)
    if query.since is not None:
        statement = statement.where(C.revoked_at >= moment_of(query.since))
    events = [printed(row._asdict()) for row in tx.all(statement)]
    return {"events": events, "links": links.of_list(ctx, "OS-REVOKE/events")}


def moment_of(text: str) -> int:
    """Microseconds; one without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise errors.Invalid(f"since must be a moment such as 2026-01-01T00:00:00Z, not {text[:100]}.") from None


def printed(row: dict[str, Any]) -> dict[str, Any]:
    about = {name: row[name] for name in ABOUT if row[name] is not None}
    if row["ground"] is not None:
        about[GROUNDS[row["ground"]]] = row["ground_id"]
    at = body.moment(row["revoked_at"])
    return {**about, "issued_before": at, "revoked_at": at}
