# SPDX-License-Identifier: Apache-2.0
"""Identity with 20,000 users and 5,000 projects: no answer costs more queries than in an empty cloud.

Every list of every service with thirty rows is test_queries.py. The rows are put into the tables at once: what is
asked for is measured, not how it came there.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from skyhold.core import context
from skyhold.core.db.tx import Tx
from skyhold.identity.tables import ASSIGNMENTS, GROUPS, MEMBERSHIPS, PROJECT_TAGS, PROJECTS, USERS
from tests.kit.cloud import Cloud, start_cloud

V3 = "/identity/v3"
USERS_N, PROJECTS_N, GROUPS_N = 20_000, 5_000, 500
DEEP = 4
ASKED = [
    "users", "users?limit=100", "users?name__contains=user-1&limit=50", "users?enabled=true&limit=1",
    "users?password_expires_at=lt:2100-01-01T00:00:00Z", "projects", "projects?limit=100", "projects?tags=blue&limit=9",
    "projects?not-tags-any=blue,red", "groups", "groups/{group}/users", "users/{user}/groups", "users/{user}/projects",
    "auth/projects", "projects/{top}?subtree_as_ids", "projects/{leaf}?parents_as_ids", "role_assignments",
    "role_assignments?effective&user.id={user}", "domains", "auth/domains",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def figures(
    counted: Counter[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, tuple[int, int]]]:
    """Queries of each, with one of everything and at size."""
    cloud = await start_cloud(tmp_path_factory.mktemp("size"))
    person, group = await cloud.project(), uuid.uuid4().hex
    samples = {"user": person.user_id, "group": group, "top": person.project_id, "leaf": person.project_id}
    await context.internal(cloud.core).write(put_group, group, person.domain_id)
    few = {path: await queries(cloud, path.format(**samples), counted) for path in ASKED}
    await context.internal(cloud.core).write(fill, person.domain_id, person.user_id, group, samples)
    many = {path: await queries(cloud, path.format(**samples), counted) for path in ASKED}
    yield {path: (few[path], many[path]) for path in ASKED}
    await cloud.core.stop()


async def queries(cloud: Cloud, path: str, counted: Counter[str]) -> int:
    # Twice, for the first fills caches.
    for _ in range(2):
        answer = await cloud.admin.get(f"{V3}/{path}", status=200)
    return counted[answer.headers["x-openstack-request-id"]]


def put_group(tx: Tx, ctx: Any, id: str, domain_id: str) -> None:
    row = {"id": id, "domain_id": domain_id, "name": "first", "description": "", "extra": {}, "created_at": tx.now}
    tx.execute(GROUPS.insert(), row)


def fill(tx: Tx, ctx: Any, domain_id: str, user_id: str, group_id: str, samples: dict[str, str]) -> None:
    """A user in every group and with a role in every project; projects in chains of five."""
    same = {"domain_id": domain_id, "enabled": True, "extra": {}, "options": {}, "generation": 0, "created_at": tx.now}
    users = [uuid.uuid4().hex for _ in range(USERS_N)]
    tx.execute(USERS.insert(), [
        {**same, "id": id, "name": f"user-{i}", "default_project_id": None, "password_hash": None,
         "password_expires_at": tx.now} for i, id in enumerate(users)
    ])
    projects = [uuid.uuid4().hex for _ in range(PROJECTS_N)]
    tx.execute(PROJECTS.insert(), [
        {**same, "id": id, "name": f"project-{i}", "is_domain": False, "description": "", "tags": ["blue"],
         "parent_id": projects[i - 1] if i % DEEP else domain_id} for i, id in enumerate(projects)
    ])
    tx.execute(PROJECT_TAGS.insert(), [{"project_id": id, "name": "blue"} for id in projects])
    groups = [uuid.uuid4().hex for _ in range(GROUPS_N)]
    plain = {"domain_id": domain_id, "description": "", "extra": {}, "created_at": tx.now}
    tx.execute(GROUPS.insert(), [{**plain, "id": id, "name": f"group-{i}"} for i, id in enumerate(groups)])
    tx.execute(MEMBERSHIPS.insert(), [{"user_id": user_id, "group_id": id} for id in groups])
    tx.execute(MEMBERSHIPS.insert(), [{"user_id": id, "group_id": group_id} for id in users])
    role = tx.scalar(ASSIGNMENTS.select().with_only_columns(ASSIGNMENTS.c.role_id).limit(1))
    admin = tx.scalar(USERS.select().with_only_columns(USERS.c.id).where(USERS.c.name == "admin"))
    tx.execute(ASSIGNMENTS.insert(), [
        {"actor_id": actor, "target_id": id, "role_id": role, "inherited": False, "target_type": "project",
         "actor_type": "user"} for id in projects for actor in (user_id, admin)
    ])
    samples |= {"top": projects[0], "leaf": projects[DEEP - 1]}


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.asyncio(loop_scope="module")
async def test_it_costs_no_more_queries_than_in_an_empty_cloud(figures: dict[str, tuple[int, int]], path: str) -> None:
    few, many = figures[path]
    assert many <= few, f"{path}: {few} queries in an empty cloud, {many} in a full one"
