# SPDX-License-Identifier: Apache-2.0
"""A placement service of its own for each story, since providers are seen by all, on each database of the run.

Tokens are not this service's business, so a token here is the names of the caller's roles. A cloud with
all services is tests/kit/cloud.py; which databases there are is tests/kit/databases.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skyhold.core import context, errors
from skyhold.core.app import Core
from skyhold.core.context import Credentials
from skyhold.placement.service import SERVICE
from tests.kit.client import Client
from tests.kit.databases import core_on, emptied_url, servers

__all__ = ["emptied_url", "servers"]


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
async def core(emptied_url: str, tmp_path: Path) -> AsyncIterator[Core]:
    core = core_on(emptied_url, tmp_path, SERVICE)
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
