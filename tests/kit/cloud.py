# SPDX-License-Identifier: Apache-2.0
"""A started cloud for stories: the real services, with a directory and a database of its own.

Clients are tests/kit/client.py, databases tests/kit/databases.py. One cloud serves a whole run: a
story gets a fresh domain, project and user from `project()`, and so needs no fresh database. Hashes
of passwords are made cheap by settings, as an operator could.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skyhold.core import logs
from skyhold.core.app import Core
from skyhold.core.http.server import make_server
from skyhold.core.service import Service
from skyhold.core.settings.sections import Database, Http, Identity, Outbound
from skyhold.core.settings.whole import Settings
from tests.kit import secrecy
from tests.kit.client import Client

ADMIN_PASSWORD = "the-admin-password"
SERVICES = ("identity", "events", "object", "placement", "network", "image", "volume", "compute", "core.operator")
"""In the order of the street, as cmd/compose.py puts them together."""


@dataclass
class Persona(Client):
    """A client that knows who it is."""

    user_id: str = ""
    user_name: str = ""
    password: str = ""
    domain_id: str = ""
    project_id: str = ""
    project_name: str = ""
    cloud: Any = field(default=None, repr=False)

    async def colleague(self, roles: Sequence[str] = ("member",)) -> Persona:
        """Another user in the same project."""
        return await self.cloud.join(self.domain_id, self.project_id, self.project_name, roles)


@dataclass
class Cloud:
    core: Core
    admin: Persona
    listener: socket.socket

    async def project(self, roles: Sequence[str] = ("member",), *, domain_id: str | None = None) -> Persona:
        """A fresh user with these roles in a fresh project, in a fresh domain unless one is given."""
        domain_id = domain_id or await self.domain()
        name = "project-" + uuid.uuid4().hex[:12]
        body = {"project": {"name": name, "domain_id": domain_id}}
        made = await self.admin.post("/identity/v3/projects", body, status=201)
        return await self.join(domain_id, made.json["project"]["id"], name, roles)

    async def domain(self) -> str:
        body = {"domain": {"name": "domain-" + uuid.uuid4().hex[:12]}}
        return (await self.admin.post("/identity/v3/domains", body, status=201)).json["domain"]["id"]

    async def join(
        self, domain_id: str, project_id: str, project_name: str, roles: Sequence[str]
    ) -> Persona:
        user = await self.user(domain_id)
        for role in roles:
            await self.grant(role, user.user_id, project_id=project_id)
        user.project_id, user.project_name = project_id, project_name
        if roles:
            user.token = await self.token(user, {"project": {"id": project_id}})
        return user

    async def user(self, domain_id: str = "default") -> Persona:
        """A fresh user without any role, and without a token yet."""
        name, password = "user-" + uuid.uuid4().hex[:12], uuid.uuid4().hex
        body = {"user": {"name": name, "domain_id": domain_id, "password": password}}
        made = await self.admin.post("/identity/v3/users", body, status=201)
        return Persona(
            self.core.asgi, user_id=made.json["user"]["id"], user_name=name, password=password,
            domain_id=domain_id, cloud=self,
        )

    async def grant(
        self, role: str, user_id: str, *, project_id: str = "", domain_id: str = "", system: bool = False
    ) -> None:
        listed = await self.admin.get("/identity/v3/roles", {"name": role}, status=200)
        target = "system" if system else f"projects/{project_id}" if project_id else f"domains/{domain_id}"
        role_id = listed.json["roles"][0]["id"]
        await self.admin.put(f"/identity/v3/{target}/users/{user_id}/roles/{role_id}", status=204)

    async def token(self, user: Persona, scope: Any = None, **more: Any) -> str:
        """Sign in with the password; `scope` as the API takes it."""
        return await sign_in(self.core, {"id": user.user_id, "password": user.password}, scope)

    def client(self, token: str | None = None) -> Client:
        return Client(self.core.asgi, token)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The cloud also answers at its public URL, for hosts that fetch and send images."""
        server = make_server(self.core, self.core.asgi)
        task = asyncio.create_task(server.serve(sockets=[self.listener]))
        yield self.core.settings.public_url
        server.should_exit = True
        await task


async def start_cloud(home: Path, services: Sequence[Service] | None = None, *, database: str = "") -> Cloud:
    """Started and bootstrapped on this empty database (SQLite in `home` unless told); stop it with
    `cloud.core.stop()`."""
    from skyhold.identity import facade

    logs.configure(style="text", stream=CurrentStderr())  # type: ignore[arg-type]
    cheap = Identity(password_time_cost=1, password_memory_kib=8)
    # Bound from the start: a port that is only looked up may be another's when it is needed.
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        home=home, identity=cheap, http=Http(port=listener.getsockname()[1]),
        # Receivers of webhooks are servers of the stories themselves.
        outbound=Outbound(allow=["127.0.0.1/32"]),
        database=Database(url=database),
    )
    core = Core(settings, list(services or present()))
    core.authenticator = facade.authenticator(core)
    core.limits = facade.limits(core)
    await core.start()
    await facade.bootstrap(core, password=ADMIN_PASSWORD)
    return Cloud(core, await admin_of(core), listener)


class CurrentStderr:
    """Whatever stderr is when something is written: pytest gives each test another one. What was written is looked
    through for secrets at the end (secrecy.py)."""

    def write(self, text: str) -> int:
        secrecy.RUN.logged(text)
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return False


async def admin_of(core: Core) -> Persona:
    named = {"name": "admin", "domain": {"id": "default"}, "password": ADMIN_PASSWORD}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    token = await sign_in(core, named, scope)
    seen = await Client(core.asgi, token).get(
        "/identity/v3/auth/tokens", headers={"X-Subject-Token": token}, status=200
    )
    body = seen.json["token"]
    return Persona(
        core.asgi, token, user_id=body["user"]["id"], user_name="admin", password=ADMIN_PASSWORD,
        domain_id="default", project_id=body["project"]["id"], project_name="admin",
    )


async def sign_in(core: Core, user: dict[str, Any], scope: Any = None) -> str:
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity} | ({"scope": scope} if scope else {})}
    answer = await Client(core.asgi).post("/identity/v3/auth/tokens", body, status=201)
    return answer.headers["x-subject-token"]


def present() -> list[Service]:
    """The services of this checkout. One without a manifest is left out; one that fails to import fails."""
    found = []
    for name in SERVICES:
        try:
            found.append(importlib.import_module(f"skyhold.{name}.service").SERVICE)
        except ModuleNotFoundError as error:
            if error.name not in (f"skyhold.{name}", f"skyhold.{name}.service"):
                raise
    return found
