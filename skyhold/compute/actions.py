# SPDX-License-Identifier: Apache-2.0
"""Instance actions: what was done to a server, when, by whom, and how it went.

Operations and sagas record here with `begin`, `event` and `fail`, in their own transactions; the
rest is the API that shows it. Actions outlive their server: a deleted one still tells its story.
"""

from __future__ import annotations

from typing import Any, Literal

from skyhold.compute.tables import ACTION_EVENTS, ACTIONS
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

FAILED = "Error"
"""The only message that upstream's API ever prints for an action."""

# ---- recording -----------------------------------------------------------------------------


def begin(tx: Tx, ctx: Context, server: Any, action: str) -> int:
    """Write down that `action` (`create`, `reboot`) was asked of the server; the action's number."""
    result = tx.execute(ACTIONS.insert(), {
        "server_id": server.id, "project_id": ctx.project_id or server.project_id, "user_id": ctx.user_id,
        "request_id": ctx.request_id, "action": action, "started_at": tx.now, "updated_at": tx.now,
    })
    key: Any = result.inserted_primary_key
    return int(key[0])


def event(
    tx: Tx, ctx: Context, action_id: int, event: str, *, host_id: str | None = None, started_at: int,
    result: Literal["Success", "Error"] = "Success", detail: str | None = None,
) -> None:
    """Write down one finished part of an action; `started_at` in microseconds. `detail` is a sentence
    that the server's owner may read."""
    tx.execute(ACTION_EVENTS.insert(), {
        "action_id": action_id, "event": event, "host_id": host_id, "started_at": started_at,
        "finished_at": tx.now, "result": result, "detail": detail,
    })
    tx.execute(ACTIONS.update().where(ACTIONS.c.id == action_id).values(updated_at=tx.now))


def fail(tx: Tx, ctx: Context, action_id: int, message: str) -> None:
    """The action as a whole failed. `message` is kept; the API prints only "Error", as upstream."""
    changes = {"message": FAILED, "detail": message, "updated_at": tx.now}
    tx.execute(ACTIONS.update().where(ACTIONS.c.id == action_id).values(changes))
