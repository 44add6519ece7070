# SPDX-License-Identifier: Apache-2.0
"""Tasks: what was asked for that takes time, how far it is, and how it ended.

The work itself is sagas/; a task is what users see of it, and outlives it by two days. `POST /v2/tasks` is upstream's
older way to import an image: it makes the image, and then is an import like any other.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, JsonObject, Shape, field
from skyhold.core.store import Store
from skyhold.image import policy, states
from skyhold.image.images.store import get as get_image
from skyhold.image.logic.clock import seconds_z
from skyhold.image.tables import TASKS

KEPT_US = 48 * 3600 * 1_000_000
TYPES = states.TASK_TYPES
MESSAGE_CHARS = 1024
SORT_KEYS = {"created_at": "created_at", "updated_at": "updated_at", "expires_at": "expires_at", "type": "type",
             "status": "status", "id": "id"}

store = Store(TASKS, service="image", kind="task", label="Task", states=states.TASK, state_column="status")

# ---- shape ---------------------------------------------------------------------------------


class TaskCreate(Shape, extra="ignore"):
    type: str = field(enum=("import",))
    input: JsonObject


class TaskQuery(Shape, extra="ignore"):
    type: str = field(default="", enum=("", *TYPES))
    status: str = field(default="", enum=("", *states.TASK.moves, *states.TASK.resting))
    limit: int = field(default=25, min=0)
    marker: str = field(default="", max=64)
    sort_key: str = field(default="created_at", enum=tuple(SORT_KEYS))
    sort_dir: str = field(default="desc", enum=("asc", "desc"))


class Task(Shape):
    """Everything of a task but what is only shown singly (upstream's lists leave those out)."""

    id: str
    type: str
    status: str
    owner: str
    image_id: str | Absent | None = field(optional=True)
    user_id: str | Absent = field(optional=True)
    request_id: str | Absent = field(optional=True)
    input: JsonObject | Absent = field(optional=True)
    result: JsonObject | Absent | None = field(optional=True)
    message: str | Absent = field(optional=True)
    expires_at: str | Absent | None = field(optional=True)
    created_at: str
    updated_at: str
    self: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/task"


class TaskList(Shape):
    tasks: list[Task]
    first: str
    next: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/tasks"


class ImageTasks(Shape):
    tasks: list[Task]


def brief(row: Any) -> dict[str, Any]:
    shown = {
        "id": row.id, "type": row.type, "status": row.status, "owner": row.project_id,
        "created_at": seconds_z(row.created_at), "updated_at": seconds_z(row.updated_at),
        "self": f"/v2/tasks/{row.id}", "schema": "/v2/schemas/task",
    }
    if row.expires_at is not None:
        shown["expires_at"] = seconds_z(row.expires_at)
    return shown


def whole(row: Any) -> dict[str, Any]:
    return brief(row) | {
        "input": row.input, "result": row.result, "message": row.message, "image_id": row.image_id,
        "user_id": row.user_id, "request_id": row.request_id,
    }


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2/tasks", policy=policy.TASKS_API, query=TaskQuery, reply=TaskList)
async def index(ctx: Context, query: TaskQuery) -> TaskList:
    """List tasks."""
    rows = await ctx.read(page, query)
    asked = "".join(f"&{name}={value}" for name, value in (("type", query.type), ("status", query.status)) if value)
    base = f"/v2/tasks?limit={query.limit}&sort_key={query.sort_key}&sort_dir={query.sort_dir}{asked}"
    more = {"next": f"{base}&marker={rows[-1].id}"} if rows and len(rows) == query.limit else {}
    return TaskList(tasks=[Task(**brief(row)) for row in rows], first=base, **more)


@routes.post("/v2/tasks", policy=policy.TASKS_API, body=TaskCreate, reply=Task, status=201)
async def create(ctx: Context, want: TaskCreate) -> Reply:
    """Import an image by a task."""
    from skyhold.image.imports import ops as imports

    row = await ctx.write(imports.by_task, imports.read_task_input(ctx.core, want.input))
    place = f"{ctx.core.settings.public_url}/image/v2/tasks/{row.id}"
    return Reply(Task(**whole(row)), headers={"Location": place})


@routes.get("/v2/tasks/{task_id}", policy=policy.TASKS_API, reply=Task)
async def show(ctx: Context, task_id: str) -> Task:
    """Show a task."""
    return Task(**whole(await ctx.read(store.get, task_id)))


@routes.delete("/v2/tasks/{task_id}", policy=policy.TASKS_API, status=204)
async def delete(ctx: Context, task_id: str) -> None:
    """Forget a task that has ended."""
    await ctx.write(remove, task_id)


@routes.get("/v2/images/{image_id}/tasks", policy=policy.GET_IMAGE, reply=ImageTasks)
async def of_image(ctx: Context, image_id: str) -> ImageTasks:
    """List the tasks of an image."""
    return ImageTasks(tasks=[Task(**whole(row)) for row in await ctx.read(list_of_image, image_id)])


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, *, kind: str, image_id: str | None, asked: dict[str, Any], owner: str | None) -> Any:
    row = store.insert(
        tx, id=ctx.new_id(), project_id=owner or ctx.project_id, user_id=ctx.user_id, image_id=image_id, type=kind,
        status=states.PENDING_TASK, input=asked, message="", request_id=ctx.request_id,
    )
    journal.record(tx, "task.create", row)
    return row


def progress(tx: Tx, ctx: Context, task_id: str, message: str) -> None:
    """Not in the journal: it is told every few seconds."""
    row = store.find(tx, task_id, lock=True)
    if row is not None and row.status in (states.PENDING_TASK, states.PROCESSING):
        store.move(tx, row, row.status, states.PROCESSING, message=message[:MESSAGE_CHARS])


def end(tx: Tx, task_id: str, status: str, message: str = "") -> None:
    """`status` is success or failure; a task that has ended, or was forgotten, stays so."""
    row = store.find(tx, task_id, lock=True)
    if row is None or row.status in states.TASK.resting:
        return
    result = {"image_id": row.image_id} if status == states.SUCCESS else None
    row = store.move(
        tx, row, row.status, status, message=message[:MESSAGE_CHARS], result=result, expires_at=tx.now + KEPT_US,
    )
    journal.record(tx, f"task.{status}", row)


def remove(tx: Tx, ctx: Context, task_id: str) -> None:
    """Raises Conflict while it is at work."""
    row = store.get(tx, ctx, task_id)
    if row.status not in states.TASK.resting:
        raise errors.Conflict(f"Task {task_id} is {row.status}: delete its image to stop it.", state=row.status)
    store.delete(tx, row)
    journal.record(tx, "task.delete", row)


def expire(tx: Tx, ctx: Context) -> None:
    tx.execute(TASKS.delete().where(TASKS.c.expires_at < tx.now))


# ---- queries -------------------------------------------------------------------------------


def page(tx: Tx, ctx: Context, query: TaskQuery) -> list[Any]:
    filters = [(name, "eq", value) for name, value in (("type", query.type), ("status", query.status)) if value]
    return store.page(
        tx, ctx, filters=filters, sort=[(SORT_KEYS[query.sort_key], query.sort_dir)],
        limit=min(query.limit, 1000), marker=query.marker or None,
    )


def list_of_image(tx: Tx, ctx: Context, image_id: str) -> list[Any]:
    """Whoever sees the image sees its tasks, newest first."""
    image = get_image(tx, ctx, image_id)
    statement = sa.select(TASKS).where(TASKS.c.image_id == image.id)
    return list(tx.all(statement.order_by(TASKS.c.created_at.desc(), TASKS.c.id.desc()).limit(1000)))
