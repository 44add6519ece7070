# SPDX-License-Identifier: Apache-2.0
"""Stories of several processes on one database: what one takes back, no other honours.

They are told on PostgreSQL and MariaDB when a run asks for those; on SQLite there is one process only.
Two cores in one process share nothing but the database and the keys, as two processes would.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from skyhold.core.app import Core
from skyhold.core.settings.sections import Database
from skyhold.core.settings.whole import Settings
from skyhold.identity import facade
from skyhold.identity.service import SERVICE
from tests.kit.client import Client
from tests.kit.cloud import Cloud

V3 = "/identity/v3"


async def second_process(cloud: Cloud, home: Path) -> Core:
    settings = Settings(home=home, database=Database(url=cloud.core.settings.database_url))
    shutil.copytree(cloud.core.settings.fernet_keys_dir, settings.fernet_keys_dir)
    core = Core(settings, [SERVICE])
    core.authenticator = facade.authenticator(core)
    core.limits = facade.limits(core)
    await core.start()
    return core


async def test_revocation_takes_effect_at_once_on_every_process(cloud: Cloud, tmp_path: Path) -> None:
    if cloud.core.db.name == "sqlite":
        pytest.skip("SQLite has one API process, so there is no second")
    other = await second_process(cloud, tmp_path)
    try:
        for take_back in (revoke, disable, take_role, change_password):
            user = await cloud.project(["reader"])
            there = Client(other.asgi, user.token)
            for _ in range(2):
                await there.get(f"{V3}/auth/projects", status=200)
            await take_back(cloud, user)
            await there.get(f"{V3}/auth/projects", status=401)
    finally:
        await other.stop()


async def revoke(cloud: Cloud, user: Any) -> None:
    await user.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": user.token}, status=204)


async def disable(cloud: Cloud, user: Any) -> None:
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"enabled": False}}, status=200)


async def take_role(cloud: Cloud, user: Any) -> None:
    roles = (await cloud.admin.get(f"{V3}/roles", {"name": "reader"}, status=200)).json["roles"]
    await cloud.admin.delete(
        f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{roles[0]['id']}", status=204
    )


async def change_password(cloud: Cloud, user: Any) -> None:
    body = {"user": {"original_password": user.password, "password": "new"}}
    await cloud.client().post(f"{V3}/users/{user.user_id}/password", body, status=204)
