# SPDX-License-Identifier: Apache-2.0
"""Accounts for the object stories: a fresh project's on the cloud of the run, and words for what is done with one.

The cloud is tests/kit/cloud.py's. Every answer is also looked at for what holds for all of this API.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest_asyncio

from skyhold.core.context import internal
from skyhold.object import audit
from skyhold.object.engine import contents
from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona

TRANSACTION = re.compile(r"tx[0-9a-f]{21}-[0-9a-f]{10}")


@dataclass
class Account:
    """An account, as `who` reaches it; `to` gives others the same one."""

    cloud: Cloud
    project_id: str
    who: Client

    def to(self, who: Client) -> Account:
        return Account(self.cloud, self.project_id, who)

    def everybody(self) -> Account:
        return self.to(self.cloud.client())

    async def ask(
        self, method: str, path: str = "", status: int | None = None, *, body: bytes | None = None,
        query: dict[str, Any] | None = None, **headers: str,
    ) -> Answer:
        """`path` as it is named: it is percent-encoded here. Headers with `_` for `-`."""
        target = f"/object-store/v1/AUTH_{self.project_id}" + (f"/{quote(path)}" if path else "")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.who.request(
            method, target + (f"?{urlencode(query)}" if query else ""), body, headers=sent, status=status,
            content_type="application/octet-stream",
        )
        assert TRANSACTION.fullmatch(answer.headers["x-trans-id"])
        assert answer.headers["x-openstack-request-id"].startswith("req-")
        assert answer.headers["content-type"], f"{method} {path}"
        return answer

    async def container(self, name: str = "birds", **headers: str) -> str:
        await self.ask("PUT", name, 201, **headers)
        return name

    async def put(self, path: str, content: bytes = b"caw", status: int = 201, **headers: str) -> Answer:
        return await self.ask("PUT", path, status, body=content, **headers)

    async def get(self, path: str, status: int = 200, **headers: str) -> Answer:
        return await self.ask("GET", path, status, **headers)

    async def head(self, path: str = "", status: int | None = None, **headers: str) -> dict[str, str]:
        return (await self.ask("HEAD", path, status, **headers)).headers

    async def names(self, path: str = "", /, **query: Any) -> list[str]:
        """A listing as JSON: names, and what was rolled into one."""
        listed = (await self.ask("GET", path, 200, query={"format": "json", **query})).json
        return [each.get("name", each.get("subdir")) for each in listed]


@pytest_asyncio.fixture(loop_scope="session")
async def account(cloud: Cloud) -> AsyncIterator[Account]:
    who = await cloud.project()
    yield Account(cloud, who.project_id, who)
    assert not await findings(cloud)


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(cloud: Cloud) -> Persona:
    """A member of another project, in another domain."""
    return await cloud.project()


@pytest_asyncio.fixture(loop_scope="session")
async def reseller(cloud: Cloud) -> Persona:
    return await cloud.project(("ResellerAdmin",))


async def findings(cloud: Cloud) -> list[Any]:
    """What an audit finds, once the bytes that nobody names any more are gone."""
    await asyncio.gather(*contents.GOING)
    return await audit.run(internal(cloud.core))
