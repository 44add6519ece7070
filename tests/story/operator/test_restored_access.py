# SPDX-License-Identifier: Apache-2.0
"""An administrator who locked everybody out, and the operator's way back in.

Each test has a cloud of its own, for nobody else could work on it meanwhile. The command is test_processes.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from skyhold.identity import facade as identity
from tests.kit.cloud import ADMIN_PASSWORD, Cloud, admin_of, sign_in, start_cloud
from tests.kit.databases import Servers, chosen

K = "/identity/v3"


@pytest_asyncio.fixture(params=chosen())
async def own(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path / "cloud", database=servers.fresh(request.param))
    yield made
    await made.core.stop()


async def locked_out(cloud: Cloud) -> None:
    with pytest.raises(AssertionError, match="401"):
        await admin_of(cloud.core)


async def restored(cloud: Cloud) -> str:
    """What was told of it; the administrator has its rights again, and nothing is left to be put right."""
    told = await identity.restore_access(cloud.core, password=ADMIN_PASSWORD)
    admin = await admin_of(cloud.core)
    await admin.get(f"{K}/users", status=200)
    named = {"name": "admin", "domain": {"id": "default"}, "password": ADMIN_PASSWORD}
    assert await sign_in(cloud.core, named, {"system": {"all": True}})
    assert await identity.restore_access(cloud.core, password=ADMIN_PASSWORD) == []
    await admin.get(f"{K}/users", status=200)
    return "\n".join(told)


async def test_the_default_domain_may_be_disabled_and_is_enabled_again(own: Cloud) -> None:
    body = {"domain": {"enabled": False}}
    await own.admin.patch(f"{K}/domains/default", body, status=200)
    await locked_out(own)
    await own.admin.get(f"{K}/users", status=401)
    assert "The domain Default was disabled" in await restored(own)
    # What was void stays so: the token was for a place that was closed.
    await own.admin.get(f"{K}/users", status=401)


async def test_the_default_domain_is_never_deleted(own: Cloud) -> None:
    other = await own.user(await own.domain())
    await own.grant("admin", other.user_id, system=True)
    other.token = await own.token(other, {"system": {"all": True}})
    await own.admin.patch(f"{K}/domains/default", {"domain": {"enabled": False}}, status=200)
    refused = await other.delete(f"{K}/domains/default", status=403)
    assert "default domain" in refused.json["error"]["message"]
    # Somebody of another domain needs no operator.
    await other.patch(f"{K}/domains/default", {"domain": {"enabled": True}}, status=200)
    await admin_of(own.core)


async def test_whatever_else_was_in_the_way_is_told_and_put_right(own: Cloud) -> None:
    admin = own.admin
    await admin.patch(f"{K}/users/{admin.user_id}", {"user": {"password": "another, and forgotten"}}, status=200)
    await locked_out(own)
    assert "The password of admin was another" in await restored(own)
    admin = await admin_of(own.core)
    await admin.patch(f"{K}/users/{admin.user_id}", {"user": {"enabled": False}}, status=200)
    await locked_out(own)
    assert "The user admin was disabled" in await restored(own)
    admin = await admin_of(own.core)
    await admin.patch(f"{K}/projects/{admin.project_id}", {"project": {"enabled": False}}, status=200)
    await locked_out(own)
    assert "The project admin was disabled" in await restored(own)
    admin = await admin_of(own.core)
    rules = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    await admin.patch(f"{K}/users/{admin.user_id}", {"user": {"options": rules}}, status=200)
    await locked_out(own)
    assert "several factors" in await restored(own)
    admin = await admin_of(own.core)
    role = (await admin.get(f"{K}/roles", {"name": "admin"}, status=200)).json["roles"][0]["id"]
    await admin.delete(f"{K}/projects/{admin.project_id}/users/{admin.user_id}/roles/{role}", status=204)
    await locked_out(own)
    assert "lost a role" in await restored(own)
    admin = await admin_of(own.core)
    await admin.delete(f"{K}/users/{admin.user_id}", status=204)
    await locked_out(own)
    assert "was gone" in await restored(own)
