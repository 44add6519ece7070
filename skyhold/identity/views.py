# SPDX-License-Identifier: Apache-2.0
"""How rows of projects and domains are printed; both come from one table.

The resources themselves are projects/ and domains.py. Attributes that a user made up stand beside
the known ones, as Keystone prints them.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.shapes import JsonObject, OpenShape, field
from skyhold.identity import links


class Domain(OpenShape):
    id: str
    name: str
    description: str
    enabled: bool
    tags: list[str]
    options: JsonObject
    links: JsonObject


class Project(OpenShape):
    id: str
    name: str
    domain_id: str | None
    description: str
    enabled: bool
    parent_id: str | None
    is_domain: bool
    tags: list[str]
    options: JsonObject
    links: JsonObject
    parents: Any = field(optional=True)
    subtree: Any = field(optional=True)


def domain_view(ctx: Context, row: Any) -> Domain:
    return Domain(
        id=row.id, name=row.name, description=row.description, enabled=row.enabled, tags=row.tags,
        options=row.options, links=links.to(ctx, f"domains/{row.id}"), extra=row.extra,
    )


def project_view(ctx: Context, row: Any, **more: Any) -> Project:
    """A domain is shown as the project that it may act as."""
    return Project(
        id=row.id, name=row.name, domain_id=row.domain_id or None, description=row.description,
        enabled=row.enabled, parent_id=row.parent_id, is_domain=row.is_domain, tags=row.tags,
        options=row.options, links=links.to(ctx, f"projects/{row.id}"), extra=row.extra, **more,
    )
