# SPDX-License-Identifier: Apache-2.0
"""Projects over HTTP. Decisions are in ops.py, trees in tree.py and cascade.py, tags in tags.py."""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Page, collection, envelope
from skyhold.identity import policy
from skyhold.identity.listing import truthy
from skyhold.identity.projects import cascade, ops, store, tags, tree
from skyhold.identity.projects.shape import (
    CascadeQuery,
    ProjectChange,
    ProjectCreate,
    ProjectQuery,
    Tags,
    TagsChange,
    TreeQuery,
)
from skyhold.identity.views import Project

routes = Routes()

ONE = envelope("project", Project)
MANY = collection("projects", Project, links="links")


@routes.get("/v3/projects", policy=policy.LIST_PROJECTS, query=ProjectQuery, reply=MANY)
async def index(ctx: Context, query: ProjectQuery) -> Page:
    """List projects."""
    return await ctx.read(store.list_page, query)


@routes.post(
    "/v3/projects", policy=policy.CREATE_PROJECT, body=envelope(
        "project", ProjectCreate
    ), reply=ONE, status=201
)
async def create(ctx: Context, want: ProjectCreate) -> Project:
    """Create a project."""
    return await ctx.write(ops.insert, want)


@routes.get("/v3/projects/{project_id}", policy=policy.GET_PROJECT, query=TreeQuery, reply=ONE)
async def show(ctx: Context, project_id: str, query: TreeQuery) -> Project:
    """Show a project, and if asked what is above and below it."""
    return await ctx.read(tree.show, project_id, query)


@routes.patch(
    "/v3/projects/{project_id}", policy=policy.UPDATE_PROJECT, body=envelope(
        "project", ProjectChange
    ), query=CascadeQuery, reply=ONE
)
async def update(ctx: Context, project_id: str, want: ProjectChange, query: CascadeQuery) -> Project:
    """Change a project; with `cascade`, enable or disable it and all below."""
    if is_set(query):
        return await ctx.write(cascade.switch, project_id, want)
    return await ctx.write(ops.change, project_id, want)


@routes.delete("/v3/projects/{project_id}", policy=policy.DELETE_PROJECT, query=CascadeQuery)
async def delete(ctx: Context, project_id: str, query: CascadeQuery) -> None:
    """Delete a project that has none below it; with `cascade`, also all that are."""
    await ctx.write(cascade.remove if is_set(query) else ops.remove, project_id)


def is_set(query: CascadeQuery) -> bool:
    return query.cascade is not None and truthy(query.cascade)


@routes.get("/v3/users/{user_id}/projects", policy=policy.LIST_USER_PROJECTS, query=ProjectQuery, reply=MANY)
async def of_user(ctx: Context, user_id: str, query: ProjectQuery) -> Page:
    """List the projects in which a user has a role."""
    return await ctx.read(store.of_user, user_id, query)


# ---- tags ----------------------------------------------------------------------------------

TAGS = "/v3/projects/{project_id}/tags"


@routes.get(TAGS, policy=policy.LIST_PROJECT_TAGS, reply=Tags)
async def list_tags(ctx: Context, project_id: str) -> Tags:
    """List a project's tags."""
    return await ctx.read(tags.show, project_id)


@routes.put(TAGS, policy=policy.UPDATE_PROJECT_TAGS, body=TagsChange, reply=Tags)
async def replace_tags(ctx: Context, project_id: str, want: TagsChange) -> Tags:
    """Replace a project's tags."""
    return await ctx.write(tags.replace, project_id, want.tags)


@routes.delete(TAGS, policy=policy.DELETE_PROJECT_TAGS)
async def remove_tags(ctx: Context, project_id: str) -> None:
    """Remove all tags of a project."""
    await ctx.write(tags.replace, project_id, [])


@routes.get(f"{TAGS}/{{value}}", policy=policy.GET_PROJECT_TAG, status=204)
async def show_tag(ctx: Context, project_id: str, value: str) -> None:
    """Check whether a project has a tag."""
    await ctx.read(tags.check, project_id, value)


@routes.head(f"{TAGS}/{{value}}", policy=policy.GET_PROJECT_TAG, status=204)
async def check_tag(ctx: Context, project_id: str, value: str) -> None:
    """Check whether a project has a tag."""
    await ctx.read(tags.check, project_id, value)


@routes.put(f"{TAGS}/{{value}}", policy=policy.CREATE_PROJECT_TAG, status=201)
async def add_tag(ctx: Context, project_id: str, value: str) -> Reply:
    """Add a tag to a project."""
    where = await ctx.write(tags.add, project_id, value)
    return Reply(headers={"Location": where})


@routes.delete(f"{TAGS}/{{value}}", policy=policy.DELETE_PROJECT_TAG)
async def remove_tag(ctx: Context, project_id: str, value: str) -> None:
    """Remove a tag from a project."""
    await ctx.write(tags.remove, project_id, value)
