# SPDX-License-Identifier: Apache-2.0
"""A placement service of its own for each story: the real application on SQLite.

Tokens are not this service's business, so a token here is the names of the caller's roles. A
cloud with all services is tests/kit/cloud.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skyhold.core import context, errors
from skyhold.core.app import Core
from skyhold.core.context import Credentials
from skyhold.core.settings import Settings
from skyhold.placement.service import SERVICE
from tests.kit.client import Client


class RolesAsToken:
    """`admin`, `service`, `reader@project`: the roles are in the token."""

    async def authenticate(self, token: str) -> Credentials:
        roles, _, project = token.partition("@")
        if not roles:
            raise errors.Unauthorized("no such token")
        return Credentials(
            user_id="user", project_id=project or "project", scope="project", roles=frozenset(roles.split("+"))
        )


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    core = Core(Settings(home=tmp_path), [SERVICE])
    core.authenticator = RolesAsToken()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
def ctx(core: Core) -> context.Context:
    return context.internal(core)


@pytest.fixture
def api(core: Core) -> Client:
    return Client(core.asgi, token="admin", version="placement 1.39", prefix="/placement")
