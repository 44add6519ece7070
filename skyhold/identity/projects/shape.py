# SPDX-License-Identifier: Apache-2.0
"""Wire forms of projects and their tags.

How a row is printed is views.py, which domains share. Bounds follow Keystone's schemas: a project's
name has at most 64 characters, a tag neither comma nor slash.
"""

from __future__ import annotations

from skyhold.core.shapes import Absent, OpenShape, Shape, field
from skyhold.identity.listing import ListQuery
from skyhold.identity.shapes import ID, NAME, TAG, ResourceOptions


class ProjectCreate(OpenShape):
    name: str = field(min=1, max=64, pattern=NAME)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    parent_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    is_domain: bool = field(default=False)
    description: str | None = field(default="")
    enabled: bool = field(default=True)
    tags: list[str] = field(
        default_factory=list, min=1, max=255, pattern=TAG, max_items=80, unique_items=True
    )
    options: ResourceOptions | Absent = field(optional=True)


class ProjectChange(OpenShape):
    name: str | Absent = field(optional=True, min=1, max=64, pattern=NAME)
    domain_id: str | Absent | None = field(optional=True)
    parent_id: str | Absent | None = field(optional=True)
    is_domain: bool | Absent = field(optional=True)
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)
    tags: list[str] | Absent = field(optional=True, min=1, max=255, pattern=TAG, max_items=80, unique_items=True)
    options: ResourceOptions | Absent = field(optional=True)


class ProjectQuery(ListQuery):
    name: str | None = field(default=None)
    domain_id: str | None = field(default=None)
    parent_id: str | None = field(default=None)
    enabled: str | None = field(default=None)
    is_domain: str | None = field(default=None)
    tags: str | None = field(default=None)
    tags_any: str | None = field("tags-any", default=None)
    not_tags: str | None = field("not-tags", default=None)
    not_tags_any: str | None = field("not-tags-any", default=None)


class TreeQuery(Shape, extra="ignore"):
    parents_as_list: str | None = field(default=None)
    parents_as_ids: str | None = field(default=None)
    subtree_as_list: str | None = field(default=None)
    subtree_as_ids: str | None = field(default=None)
    include_limits: str | None = field(default=None)


class CascadeQuery(Shape, extra="ignore"):
    cascade: str | None = field(default=None)


class TagsChange(Shape):
    tags: list[str] = field(min=1, max=255, pattern=TAG, max_items=80, unique_items=True)


class Tags(Shape):
    tags: list[str]
    links: dict[str, str | None] | Absent = field(optional=True)
