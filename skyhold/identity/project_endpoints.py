# SPDX-License-Identifier: Apache-2.0
"""Which endpoints a project's catalogue shows (OS-EP-FILTER): those given to it, singly or in groups.

The groups themselves are endpoint_groups.py; what it does to catalogues is endpoint_filter.py. A project
that nothing was given to sees every endpoint: filtering begins with the first.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import JsonObject, Page, Shape, collection, envelope
from skyhold.identity import endpoint_filter, endpoint_groups, endpoints, links, places, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.tables import (
    ENDPOINT_GROUPS,
    ENDPOINTS,
    PROJECT_ENDPOINT_GROUPS,
    PROJECT_ENDPOINTS,
    PROJECTS,
)
from skyhold.identity.views import Project, project_view


class ProjectEndpointGroup(Shape):
    endpoint_group_id: str
    project_id: str
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
BASE = "/v3/OS-EP-FILTER"
SINGLE = BASE + "/projects/{project_id}/endpoints/{endpoint_id}"
GROUPED = endpoint_groups.PATH + "/projects/{project_id}"
PROJECTS_REPLY = collection("projects", Project, links="links")


@routes.put(SINGLE, policy=policy.ADD_ENDPOINT_TO_PROJECT, status=204)
async def add(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Show an endpoint in a project's catalogue."""
    await ctx.write(give, project_id, endpoint_id)


@routes.get(SINGLE, policy=policy.CHECK_ENDPOINT_IN_PROJECT, status=204)
async def check(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Check whether an endpoint was given to a project."""
    await ctx.read(demand, project_id, endpoint_id)


@routes.head(SINGLE, policy=policy.CHECK_ENDPOINT_IN_PROJECT, status=204)
async def check_only(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Check whether an endpoint was given to a project."""
    await ctx.read(demand, project_id, endpoint_id)


@routes.delete(SINGLE, policy=policy.REMOVE_ENDPOINT_FROM_PROJECT)
async def withdraw(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Show an endpoint in a project's catalogue no more."""
    await ctx.write(take, project_id, endpoint_id)


@routes.get(
    BASE + "/projects/{project_id}/endpoints", policy=policy.LIST_ENDPOINTS_FOR_PROJECT, reply=endpoints.MANY
)
async def of_project(ctx: Context, project_id: str) -> Page:
    """List the endpoints given to a project, singly or in groups."""
    return await ctx.read(endpoints_of, project_id)


@routes.get(
    BASE + "/endpoints/{endpoint_id}/projects", policy=policy.LIST_PROJECTS_FOR_ENDPOINT, reply=PROJECTS_REPLY
)
async def projects_of(ctx: Context, endpoint_id: str) -> Page:
    """List the projects that an endpoint was given to."""
    return await ctx.read(projects_with_endpoint, endpoint_id)


@routes.put(GROUPED, policy=policy.ADD_ENDPOINT_GROUP_TO_PROJECT, status=204)
async def add_group(ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    """Show a group's endpoints in a project's catalogue."""
    await ctx.write(give_group, endpoint_group_id, project_id)


@routes.get(
    GROUPED, policy=policy.GET_ENDPOINT_GROUP_IN_PROJECT,
    reply=envelope("project_endpoint_group", ProjectEndpointGroup),
)
async def show_group(ctx: Context, endpoint_group_id: str, project_id: str) -> ProjectEndpointGroup:
    """Show that a group was given to a project."""
    return await ctx.read(group_in_project, endpoint_group_id, project_id)


@routes.delete(GROUPED, policy=policy.REMOVE_ENDPOINT_GROUP_FROM_PROJECT)
async def withdraw_group(ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    """Show a group's endpoints in a project's catalogue no more."""
    await ctx.write(take_group, endpoint_group_id, project_id)


@routes.get(
    BASE + "/projects/{project_id}/endpoint_groups", policy=policy.LIST_ENDPOINT_GROUPS_FOR_PROJECT,
    reply=endpoint_groups.MANY,
)
async def groups_of(ctx: Context, project_id: str) -> Page:
    """List the endpoint groups given to a project."""
    return await ctx.read(groups_of_project, project_id)


@routes.get(
    endpoint_groups.PATH + "/endpoints", policy=policy.LIST_ENDPOINTS_ASSOCIATED_WITH_ENDPOINT_GROUP,
    reply=endpoints.MANY,
)
async def members(ctx: Context, endpoint_group_id: str) -> Page:
    """List the endpoints that are in a group."""
    return await ctx.read(endpoints_in_group, endpoint_group_id)


@routes.get(
    endpoint_groups.PATH + "/projects", policy=policy.LIST_PROJECTS_ASSOCIATED_WITH_ENDPOINT_GROUP,
    reply=PROJECTS_REPLY,
)
async def projects_of_group(ctx: Context, endpoint_group_id: str) -> Page:
    """List the projects that a group was given to."""
    return await ctx.read(projects_with_group, endpoint_group_id)


# ---- operations ----------------------------------------------------------------------------

E, G = PROJECT_ENDPOINTS.c, PROJECT_ENDPOINT_GROUPS.c


def give(tx: Tx, ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Raises NotFound for either, Conflict when it was given already."""
    project_row(tx, project_id)
    row = endpoints.store.get(tx, ctx, endpoint_id, lock="stay")
    insert(tx, PROJECT_ENDPOINTS, {"project_id": project_id, "endpoint_id": endpoint_id})
    journal.record(tx, "endpoint.add_project", row, project_id=project_id)


def take(tx: Tx, ctx: Context, project_id: str, endpoint_id: str) -> None:
    project_row(tx, project_id)
    row = endpoints.store.get(tx, ctx, endpoint_id, lock="stay")
    if not tx.changed(PROJECT_ENDPOINTS.delete().where(E.project_id == project_id, E.endpoint_id == endpoint_id)):
        raise not_given(project_id, endpoint_id)
    void(tx)
    journal.record(tx, "endpoint.remove_project", row, project_id=project_id)


def give_group(tx: Tx, ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    project_row(tx, project_id)
    row = endpoint_groups.store.get(tx, ctx, endpoint_group_id, lock="stay")
    insert(tx, PROJECT_ENDPOINT_GROUPS, {"project_id": project_id, "endpoint_group_id": endpoint_group_id})
    journal.record(tx, "endpoint_group.add_project", row, project_id=project_id)


def take_group(tx: Tx, ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    project_row(tx, project_id)
    row = endpoint_groups.store.get(tx, ctx, endpoint_group_id, lock="stay")
    same = (G.project_id == project_id, G.endpoint_group_id == endpoint_group_id)
    if not tx.changed(PROJECT_ENDPOINT_GROUPS.delete().where(*same)):
        raise not_given(project_id, endpoint_group_id)
    void(tx)
    journal.record(tx, "endpoint_group.remove_project", row, project_id=project_id)


def insert(tx: Tx, table: sa.Table, values: dict[str, str]) -> None:
    if not tx.add(table, values):
        raise errors.Conflict(
            f"Conflict occurred attempting to store project_endpoint - {' and '.join(values.values())} are "
            "associated already.", reason="exists",
        )
    void(tx)


def project_row(tx: Tx, project_id: str) -> Any:
    """The rules here ask for roles alone, so whoever passes them may name any project."""
    row = places.projects.find(tx, project_id, lock="stay")
    if row is None:
        raise places.projects.not_found(project_id)
    return row


def not_given(project_id: str, what: str) -> errors.NotFound:
    return errors.NotFound(f"{what} is not associated with project {project_id}.", kind="project_endpoint")


# ---- queries -------------------------------------------------------------------------------


def demand(tx: Tx, ctx: Context, project_id: str, endpoint_id: str) -> None:
    project_row(tx, project_id)
    endpoints.store.get(tx, ctx, endpoint_id)
    if tx.first(sa.select(E.project_id).where(E.project_id == project_id, E.endpoint_id == endpoint_id)) is None:
        raise not_given(project_id, endpoint_id)


def group_in_project(tx: Tx, ctx: Context, endpoint_group_id: str, project_id: str) -> ProjectEndpointGroup:
    project_row(tx, project_id)
    endpoint_groups.store.get(tx, ctx, endpoint_group_id)
    same = (G.project_id == project_id, G.endpoint_group_id == endpoint_group_id)
    if tx.first(sa.select(G.project_id).where(*same)) is None:
        raise not_given(project_id, endpoint_group_id)
    path = f"OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"
    return ProjectEndpointGroup(
        endpoint_group_id=endpoint_group_id, project_id=project_id, links=links.to(ctx, path)
    )


def endpoints_of(tx: Tx, ctx: Context, project_id: str) -> Page:
    project_row(tx, project_id)
    clause = endpoint_filter.clause_of(tx, project_id)
    return listed(tx, ctx, sa.false() if clause is None else clause, f"projects/{project_id}/endpoints")


def endpoints_in_group(tx: Tx, ctx: Context, endpoint_group_id: str) -> Page:
    row = endpoint_groups.store.get(tx, ctx, endpoint_group_id)
    path = f"endpoint_groups/{endpoint_group_id}/endpoints"
    return listed(tx, ctx, endpoint_filter.inside(row.filters), path)


def listed(tx: Tx, ctx: Context, clause: Any, path: str) -> Page:
    rows = tx.all(sa.select(*ENDPOINTS.c).where(clause).order_by(ENDPOINTS.c.id))
    return Page([endpoints.view(ctx, row) for row in rows], links.of_list(ctx, f"OS-EP-FILTER/{path}"))


def groups_of_project(tx: Tx, ctx: Context, project_id: str) -> Page:
    project_row(tx, project_id)
    mine = sa.select(G.endpoint_group_id).where(G.project_id == project_id)
    rows = tx.all(
        sa.select(*ENDPOINT_GROUPS.c).where(ENDPOINT_GROUPS.c.id.in_(mine)).order_by(ENDPOINT_GROUPS.c.id)
    )
    path = f"OS-EP-FILTER/projects/{project_id}/endpoint_groups"
    return Page([endpoint_groups.view(ctx, row) for row in rows], links.of_list(ctx, path))


def projects_with_endpoint(tx: Tx, ctx: Context, endpoint_id: str) -> Page:
    endpoints.store.get(tx, ctx, endpoint_id)
    some = sa.select(E.project_id).where(E.endpoint_id == endpoint_id)
    return projects_among(tx, ctx, some, f"endpoints/{endpoint_id}/projects")


def projects_with_group(tx: Tx, ctx: Context, endpoint_group_id: str) -> Page:
    endpoint_groups.store.get(tx, ctx, endpoint_group_id)
    some = sa.select(G.project_id).where(G.endpoint_group_id == endpoint_group_id)
    return projects_among(tx, ctx, some, f"endpoint_groups/{endpoint_group_id}/projects")


def projects_among(tx: Tx, ctx: Context, some: Any, path: str) -> Page:
    rows = tx.all(sa.select(*PROJECTS.c).where(PROJECTS.c.id.in_(some)).order_by(PROJECTS.c.id))
    return Page([project_view(ctx, row) for row in rows], links.of_list(ctx, f"OS-EP-FILTER/{path}"))
