# SPDX-License-Identifier: Apache-2.0
"""Webhooks: URLs of a project that its events are posted to, one after another.

Who posts is loops/deliver.py, and how a delivery is signed logic/signing.py. The one thing to know first:
the secret and the URL are sealed by the master key, for a URL's path or query often is a credential too. The secret is
never shown again, and of the URL where it leads, but not the rest; a webhook's first event is that it was made.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.outbound import Outbound
from skyhold.core.quota import Quota
from skyhold.core.shapes import ABSENT, Absent, Page, Shape, TimeMicrosZ, collection, envelope, field
from skyhold.core.store import Store
from skyhold.events import listening, policy
from skyhold.events.reading import Wanted
from skyhold.events.tables import WEBHOOKS

QUOTA = Quota("events", webhooks=20)
PRINTABLE = r"^[^\x00-\x1f]*$"

# ---- shape ---------------------------------------------------------------------------------


class WebhookCreate(Shape):
    name: str = field(max=255, pattern=PRINTABLE, default="")
    url: str = field(min=1, max=2048)
    secret: str = field(min=16, max=255, secret=True)
    enabled: bool = True
    all_projects: bool = False
    wanted: Wanted = field(default_factory=Wanted)


class WebhookUpdate(Shape):
    name: str | Absent = field(max=255, pattern=PRINTABLE, optional=True)
    url: str | Absent = field(min=1, max=2048, optional=True)
    secret: str | Absent = field(min=16, max=255, secret=True, optional=True)
    enabled: bool | Absent = field(optional=True)
    wanted: Wanted | Absent = field(optional=True)


class Delivery(Shape):
    """`position` is that of the last event which was acknowledged, or not wanted."""

    position: int
    attempts: int
    last_error: str | None
    next_attempt_at: TimeMicrosZ | None
    acknowledged_at: TimeMicrosZ | None


class Webhook(Shape):
    """`url` is where it leads; a path or query is only hinted at."""

    id: str
    name: str
    project_id: str
    user_id: str
    url: str
    enabled: bool
    all_projects: bool
    wanted: Wanted
    delivery: Delivery
    created_at: TimeMicrosZ
    updated_at: TimeMicrosZ | None


class WebhookQuery(Shape, extra="ignore"):
    limit: int = field(min=1, max=1000, default=1000)
    marker: str | None = field(default=None, max=64)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get(
    "/v1/webhooks", policy=policy.WEBHOOKS_LIST, query=WebhookQuery,
    reply=collection("webhooks", Webhook, links="webhooks_links"),
)
async def index(ctx: Context, query: WebhookQuery) -> Page:
    """List webhooks."""
    rows = await ctx.read(page, query)
    following = None
    if len(rows) == query.limit:
        asked = urlencode({"limit": query.limit, "marker": rows[-1].id})
        following = [{"rel": "next", "href": f"{ctx.core.settings.public_url}/events/v1/webhooks?{asked}"}]
    return Page([shown(ctx, row) for row in rows], following)


@routes.post(
    "/v1/webhooks", policy=policy.WEBHOOKS_CREATE, body=envelope("webhook", WebhookCreate),
    reply=envelope("webhook", Webhook), status=201,
)
async def create(ctx: Context, want: WebhookCreate) -> Webhook:
    """Create a webhook."""
    # What was written down before must not look as if it came later.
    await journal.catch_up(ctx.core)
    return shown(ctx, await ctx.write(insert, want))


@routes.get("/v1/webhooks/{webhook_id}", policy=policy.WEBHOOKS_SHOW, reply=envelope("webhook", Webhook))
async def show(ctx: Context, id: str) -> Webhook:
    """Show a webhook and how far it has come."""
    return shown(ctx, await ctx.read(get, id))


@routes.patch(
    "/v1/webhooks/{webhook_id}", policy=policy.WEBHOOKS_UPDATE, body=envelope("webhook", WebhookUpdate),
    reply=envelope("webhook", Webhook),
)
async def update(ctx: Context, id: str, want: WebhookUpdate) -> Webhook:
    """Change a webhook; what it has not delivered yet is tried again at once."""
    return shown(ctx, await ctx.write(change, id, want))


@routes.delete("/v1/webhooks/{webhook_id}", policy=policy.WEBHOOKS_DELETE)
async def delete(ctx: Context, id: str) -> None:
    """Delete a webhook."""
    await ctx.write(remove, id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: WebhookCreate) -> Any:
    """Raises Refused for a URL nobody may aim at, OverQuota, Forbidden."""
    if not ctx.project_id:
        raise errors.Invalid("A webhook belongs to a project: use a token for one.", reason="no_project")
    if want.all_projects:
        check_all_projects(ctx)
    Outbound(ctx.core.settings).check(want.url)
    QUOTA.take(tx, ctx.project_id, webhooks=1)
    row = store.insert(
        tx, id=ctx.new_id(), project_id=ctx.project_id, user_id=ctx.user_id, name=want.name,
        url=seal(ctx, want.url), secret=seal(ctx, want.secret), enabled=want.enabled,
        all_projects=want.all_projects, wanted=kept(want.wanted), position=journal.last_position(tx, ctx),
        attempts=0, due_at=tx.now, lease_until=0, fence=0,
    )
    journal.record(tx, "webhook.create", row)
    tell_soon(tx, row)
    return row


def change(tx: Tx, ctx: Context, id: str, want: WebhookUpdate) -> Any:
    row = store.get(tx, ctx, id)
    if row.all_projects:
        check_all_projects(ctx)
    values: dict[str, Any] = {
        name: value for name in ("name", "enabled") if (value := getattr(want, name)) is not ABSENT
    }
    # Whoever hands back what was shown to them changes nothing.
    if want.url is not ABSENT and want.url != place_of(ctx, row):
        Outbound(ctx.core.settings).check(want.url)
        values["url"] = seal(ctx, want.url)
    if want.secret is not ABSENT:
        values["secret"] = seal(ctx, want.secret)
    if want.wanted is not ABSENT:
        values["wanted"] = kept(want.wanted)
    # Whoever is sending now still has the old address: it must neither go on nor acknowledge.
    row = store.update(tx, row, **values, attempts=0, due_at=tx.now, lease_until=0, fence=row.fence + 1)
    journal.record(tx, "webhook.update", row)
    tell_soon(tx, row)
    return row


def tell_soon(tx: Tx, row: Any) -> None:
    """Once it is committed: who sends may believe that there is no webhook."""
    if row.enabled:
        core = tx.ctx.core
        tx.after_commit(lambda: listening.tell(core))


def remove(tx: Tx, ctx: Context, id: str) -> None:
    row = store.get(tx, ctx, id)
    if row.all_projects:
        check_all_projects(ctx)
    discard(tx, row)


def discard(tx: Tx, row: Any) -> None:
    store.delete(tx, row)
    QUOTA.give(tx, row.project_id, webhooks=1)
    journal.record(tx, "webhook.delete", row)


def check_all_projects(ctx: Context) -> None:
    if not ctx.allows(policy.WEBHOOKS_ALL_PROJECTS):
        name = policy.WEBHOOKS_ALL_PROJECTS.name
        raise errors.Forbidden(ctx.core.policy.explain(name, ctx.creds), rule=name)


def kept(wanted: Wanted) -> dict[str, list[str]]:
    return {"kinds": wanted.kinds, "actions": wanted.actions, "resources": wanted.resources}


# ---- what is sealed ------------------------------------------------------------------------


def seal(ctx: Context, text: str) -> str:
    return ctx.core.keyring.seal(text.encode())


def address_of(ctx: Context, row: Any) -> str:
    """The whole URL. Raises ValueError when it can't be opened."""
    return ctx.core.keyring.open(row.url).decode()


def place_of(ctx: Context, row: Any) -> str:
    """The URL as it is shown; empty when it can't be opened."""
    try:
        return place(address_of(ctx, row))
    except ValueError:
        return ""


def place(url: str) -> str:
    """Scheme, host and port; that there is more is said by `/…`, which can be in no URL."""
    parts = urlsplit(url)
    rest = "/…" if parts.path.strip("/") or parts.query or parts.fragment else parts.path
    return f"{parts.scheme}://{parts.netloc}{rest}"


# ---- queries -------------------------------------------------------------------------------

# Sealed or not, they have no place in the journal; what a receiver answered may quote them.
store = Store(
    WEBHOOKS, service="events", kind="webhook", label="Webhook", secrets=["secret", "url", "last_error"]
)


def get(tx: Tx, ctx: Context, id: str) -> Any:
    return store.get(tx, ctx, id)


def page(tx: Tx, ctx: Context, query: WebhookQuery) -> list[Any]:
    return store.page(tx, ctx, limit=query.limit, marker=query.marker)


def shown(ctx: Context, row: Any) -> Webhook:
    waiting = row.enabled and row.attempts > 0
    return Webhook(
        id=row.id, name=row.name, project_id=row.project_id, user_id=row.user_id, url=place_of(ctx, row),
        enabled=row.enabled, all_projects=row.all_projects, wanted=Wanted(**row.wanted),
        delivery=Delivery(
            position=row.position, attempts=row.attempts, last_error=row.last_error,
            next_attempt_at=row.due_at if waiting else None, acknowledged_at=row.acknowledged_at,
        ),
        created_at=row.created_at, updated_at=row.updated_at,
    )
