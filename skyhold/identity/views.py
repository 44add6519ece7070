# SPDX-License-Identifier: Apache-2.0
"""How rows of projects and domains are printed; both come from one table.

The resources themselves are projects/ and domains.py. Attributes that a user made up stand beside
the known ones, as Keystone prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity import links
from skyhold.identity.tables import PROJECT_TAGS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


def project_body(ctx: Context, row: Any, tags: Sequence[str]) -> dict[str, Any]:
    kind = "projects" if row.domain_id else "domains"
    body = {
        **row.extra, "id": row.id, "name": row.name, "description": row.description, "enabled": row.enabled,
        "tags": list(tags), "options": row.options, "links": links.to(ctx, f"{kind}/{row.id}"),
    }
    if row.domain_id:
        body |= {"domain_id": row.domain_id, "parent_id": row.parent_id, "is_domain": False}
    return body


def acting_body(ctx: Context, row: Any, tags: Sequence[str]) -> dict[str, Any]:
    """A domain, shown as the project that it may act as."""
    shown = project_body(ctx, row, tags)
    return shown | {
        "domain_id": None, "parent_id": None, "is_domain": True, "links": links.to(ctx, f"projects/{row.id}"),
    }


def with_tags(tx: Tx, ids: Sequence[str]) -> dict[str, list[str]]:
    """Project id to its tags, sorted; one query for any list that fits in a page."""
    found: dict[str, list[str]] = {}
    t = PROJECT_TAGS.c
    for start in range(0, len(ids), 10_000):
        chunk = ids[start:start + 10_000]
        for row in tx.all(sa.select(t.project_id, t.name).where(t.project_id.in_(chunk)).order_by(t.name)):
            found.setdefault(row.project_id, []).append(row.name)
    return found
