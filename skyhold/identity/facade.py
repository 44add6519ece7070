# SPDX-License-Identifier: Apache-2.0
"""What other services and the program may ask of identity; nothing else here is for them.

Everything about tokens is auth/. Reads take many ids and cost a constant number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Authenticator, Context, Limits
from skyhold.identity.auth import payload, subjects, validate
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.bootstrap import bootstrap
from skyhold.identity.ceilings import UnifiedLimits
from skyhold.identity.restoring import restore_access
from skyhold.identity.tables import ENDPOINTS, PROJECTS, SERVICES

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx

__all__ = [
    "ProjectView", "authenticator", "bootstrap", "endpoint", "limits", "mint", "projects", "restore_access",
    "rotate_token_keys",
]


SAME_US = 60_000_000
MOST_MINTED = 1000


class ProjectView(msgspec.Struct, frozen=True):
    id: str
    name: str
    domain_id: str
    enabled: bool


class Minted(NamedTuple):
    """A token and its text, and the epoch up to which nothing is known to have voided it."""

    epoch: int
    token: payload.Token
    text: str


def authenticator(core: Core) -> Authenticator:
    """Validates tokens; remembers them until something they depend on changes."""
    return sessions(core)


def limits(core: Core) -> Limits:
    """What projects may have of each resource: core's quota asks for it with every take."""
    return UnifiedLimits(core)


async def mint(ctx: Context, *, user_id: str, project_id: str, lifetime_s: int = 3600) -> str:
    """A token for work that goes on for this user, with the roles the user has in the project now.

    Asked again within a minute it is the same token, so that a repeated wish to a host is the same
    wish. Raises Unauthorized when the user or the project is gone or disabled, or no role is left.
    """
    here, key = sessions(ctx.core), (user_id, project_id, lifetime_s)
    minted: dict[tuple[str, str, int], Minted] = ctx.core.shelf.setdefault("identity.minted", {})
    # Asked for before the rows are read: what changes meanwhile is read again next time.
    epoch, earlier = await here.epoch(), minted.get(key)
    if earlier is not None and ctx.now - earlier.token.issued_at >= SAME_US:
        earlier = None
    if earlier is not None and earlier.epoch == epoch:
        return earlier.text
    token = await ctx.read(prepare, user_id, project_id, lifetime_s)
    if earlier is not None and same_rights(earlier.token, token):
        again = earlier._replace(epoch=epoch)
    else:
        again = Minted(epoch, token, here.seal(token))
    if len(minted) >= MOST_MINTED:
        minted.clear()
    minted[key] = again
    return again.text


def same_rights(earlier: payload.Token, token: payload.Token) -> bool:
    """Nothing was revoked between the two: a generation moves when something is."""
    return (earlier.user_generation, earlier.scope_generation) == (token.user_generation, token.scope_generation)


def prepare(tx: Tx, ctx: Context, user_id: str, project_id: str, lifetime_s: int) -> payload.Token:
    user = subjects.user_with_id(tx, user_id)
    place = subjects.place_with_id(tx, project_id)
    if user is None or place is None:
        raise errors.Unauthorized(f"User {user_id} or project {project_id} is gone or disabled.")
    now = ctx.now // payload.SECOND_US * payload.SECOND_US
    token = payload.Token(
        user_id=user.id, methods=("token",), scope="project", scope_id=place.id, issued_at=now,
        expires_at=now + lifetime_s * payload.SECOND_US, audit_id=payload.new_audit_id(),
        user_generation=user.generation, scope_generation=place.generation,
    )
    try:
        return validate.read(tx, ctx, token).token
    except errors.NotFound as error:
        raise errors.Unauthorized(error.message) from None


def rotate_token_keys(core: Core, keep: int = 3) -> None:
    """Tokens are signed with a new key from now on; the last `keep` keys still open theirs.

    Rotate no more often than tokens live, and nobody is logged out.
    """
    sessions(core).keys.rotate(keep)


def endpoint(tx: Tx, ctx: Context, service_type: str, region: str, interface: str) -> str | None:
    """The URL that the catalogue has for it, whoever asks."""
    e, kinds = ENDPOINTS.c, SERVICES.c
    found = tx.first(
        sa.select(e.url).join(SERVICES, kinds.id == e.service_id).where(
            kinds.type == service_type, kinds.enabled, e.region_id == region, e.interface == interface, e.enabled,
        )
    )
    return None if found is None else str(found.url)


def projects(tx: Tx, ctx: Context, ids: Iterable[str]) -> dict[str, ProjectView]:
    """Those of the ids that are projects, whoever asks."""
    p = PROJECTS.c
    rows = tx.all(
        sa.select(p.id, p.name, p.domain_id, p.enabled).where(p.id.in_(list(ids)), p.domain_id != "")
    )
    return {row.id: ProjectView(*row) for row in rows}
