# SPDX-License-Identifier: Apache-2.0
"""WebSocket routes over a real socket: refused before they are accepted, or a conversation."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, Credentials
from skyhold.core.http.routes import PUBLIC, Routes
from skyhold.core.http.server import make_server
from skyhold.core.policy.rules import Rule
from skyhold.core.service import Service
from skyhold.core.settings.sections import Http
from skyhold.core.settings.whole import Settings

RULE = Rule("toy:talk", "role:member", description="Talk.")
routes = Routes()


@routes.websocket("/echo/{room}", policy=RULE)
async def echo(ctx: Context, ws: Any, room: str) -> None:
    """Say everything again, with the room and the speaker."""
    if room == "closed":
        raise errors.NotFound("There is no such room.")
    await ws.accept()
    while True:
        await ws.send_text(f"{room} {ctx.user_id}: {await ws.receive_text()}")


@routes.websocket("/open", policy=PUBLIC)
async def hello(ctx: Context, ws: Any) -> None:
    """Greet anybody."""
    await ws.accept()
    await ws.send_text("hello")
    await ws.close()


class Doorkeeper:
    async def authenticate(self, token: str) -> Credentials:
        roles = {"good": frozenset({"member"}), "poor": frozenset[str]()}.get(token)
        if roles is None:
            raise errors.Unauthorized("Unknown token.")
        return Credentials(user_id="u1", project_id="p1", scope="project", roles=roles)


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    service = Service(name="toy", type="toy", prefix="/toy", port=1, routes=[routes], rules=[RULE])
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    core = Core(Settings(home=tmp_path, http=Http(port=port)), [service])
    core.authenticator = Doorkeeper()
    server = make_server(core, core.asgi)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"ws://127.0.0.1:{port}"
    server.should_exit = True
    await task


async def test_a_conversation_knows_the_room_and_the_speaker(url: str) -> None:
    async with websockets.connect(url + "/toy/echo/lobby", additional_headers={"X-Auth-Token": "good"}) as ws:
        await ws.send("hi")
        assert await ws.recv() == "lobby u1: hi"


async def test_a_public_one_needs_no_token(url: str) -> None:
    async with websockets.connect(url + "/toy/open") as ws:
        assert await ws.recv() == "hello"


@pytest.mark.parametrize(
    ("path", "token"),
    [("/toy/echo/lobby", None), ("/toy/echo/lobby", "bad"), ("/toy/echo/lobby", "poor"),
     ("/toy/echo/closed", "good"), ("/toy/nothing", "good"), ("/nobody", "good")],
)
async def test_what_may_not_be_opened_is_never_accepted(url: str, path: str, token: str | None) -> None:
    headers = {"X-Auth-Token": token} if token else {}
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url + path, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403
