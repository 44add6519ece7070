# SPDX-License-Identifier: Apache-2.0
"""Tags of projects: short words to find them by.

Filtering lists by them is store.py. They are kept twice, in the row for showing and in a table for
finding, and only written here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.identity import links, permits, places
from skyhold.identity.projects.shape import Tags
from skyhold.identity.shapes import TAG
from skyhold.identity.tables import PROJECT_TAGS

MOST = 80


def show(tx: Tx, ctx: Context, project_id: str) -> Tags:
    row = places.projects.get(tx, ctx, project_id)
    return Tags(tags=row.tags, links=links.of_list(ctx, f"projects/{project_id}/tags"))


def check(tx: Tx, ctx: Context, project_id: str, value: str) -> None:
    if value not in places.projects.get(tx, ctx, project_id).tags:
        raise errors.NotFound(f"Could not find project tag: {value}.", kind="tag", id=value)


def replace(tx: Tx, ctx: Context, project_id: str, tags: Sequence[str]) -> Tags:
    row = write(tx, places.projects.get(tx, ctx, project_id), tags)
    return Tags(tags=row.tags, links=links.of_list(ctx, f"projects/{project_id}/tags"))


def add(tx: Tx, ctx: Context, project_id: str, value: str) -> str:
    """The tag's address; adding one that is there changes nothing."""
    row = places.projects.get(tx, ctx, project_id)
    if not 1 <= len(value) <= 255 or not re.fullmatch(TAG, value):
        raise errors.Invalid("A tag has 1 to 255 characters, and neither a comma nor a slash.")
    if value not in row.tags:
        if len(row.tags) >= MOST:
            raise errors.Invalid(f"A project can have at most {MOST} tags.")
        write(tx, row, [*row.tags, value])
    return f"{links.base(ctx)}/projects/{project_id}/tags/{quote(value)}"


def remove(tx: Tx, ctx: Context, project_id: str, value: str) -> None:
    row = places.projects.get(tx, ctx, project_id)
    if value not in row.tags:
        raise errors.NotFound(f"Could not find project tag: {value}.", kind="tag", id=value)
    write(tx, row, [tag for tag in row.tags if tag != value])


def write(tx: Tx, row: Any, tags: Sequence[str]) -> Any:
    permits.changeable(row, "project", "modify")
    row = places.projects.update(tx, row, tags=sorted(tags))
    write_index(tx, row.id, tags)
    journal.record(tx, "project.update", row, project_id=row.id)
    return row


def write_index(tx: Tx, project_id: str, tags: Sequence[str]) -> None:
    tx.execute(PROJECT_TAGS.delete().where(PROJECT_TAGS.c.project_id == project_id))
    if tags:
        tx.execute(PROJECT_TAGS.insert(), [{"project_id": project_id, "name": tag} for tag in tags])
