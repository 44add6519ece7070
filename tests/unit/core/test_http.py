# SPDX-License-Identifier: Apache-2.0
"""The HTTP kernel over a real socket: bounds before authentication, errors in the dialect, nothing leaks.

What a service answers is in its stories. The toy service here has a route of each kind.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, Credentials
from skyhold.core.db.tx import Tx
from skyhold.core.http.endpoint import path_matches
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.core.http.server import make_server
from skyhold.core.policy.rules import Rule
from skyhold.core.service import Service
from skyhold.core.settings import Http, Settings
from skyhold.core.shapes import Shape, field
from tests.kit.client import Client

SEE = Rule("toy:see", "role:reader", scope=("project",))
CHANGE = Rule("toy:change", "role:member", scope=("project",))
SECRET = "the-password-of-the-database"
MIB = 1024 * 1024

routes = Routes()


class Want(Shape):
    name: str = field(min=1, max=20)


class Query(Shape, extra="ignore"):
    tag: list[str] = field(default_factory=list)
    name: str | None = field(default=None)


@routes.get("/v1", policy=PUBLIC)
async def discover(ctx: Context) -> Any:
    return {"version": "v1"}


@routes.get("/v1/things/{thing_id}", policy=SEE, query=Query)
async def show(ctx: Context, thing_id: str, query: Query) -> Any:
    return {
        "id": thing_id,
        "tags": query.tag,
        "name": query.name,
        "user": ctx.user_id,
        "roles": sorted(ctx.creds.roles),
        "project": ctx.project_id,
        "asked": ctx.global_request_id,
    }


@routes.head("/v1/things/{thing_id}", policy=SEE)
async def head(ctx: Context, thing_id: str) -> Reply:
    return Reply(headers={"X-Thing": "yes"})


@routes.post("/v1/things", policy=CHANGE, body=Want, status=201)
async def create(ctx: Context, want: Want) -> Any:
    return {"name": want.name, "dry": ctx.dry_run}


@routes.post("/v1/open", policy=PUBLIC, body=Want)
async def open_door(ctx: Context, want: Want) -> Any:
    return {"name": want.name}


@routes.get("/v1/broken", policy=SEE)
async def broken(ctx: Context) -> Any:
    raise RuntimeError(SECRET)


@routes.get("/v1/broken_in_transaction", policy=SEE)
async def broken_in_transaction(ctx: Context) -> Any:
    def fail(tx: Tx, ctx: Context) -> None:
        raise KeyError(SECRET)

    return await ctx.write(fail)


@routes.get("/v1/unprintable", policy=SEE)
async def unprintable(ctx: Context) -> Any:
    return {"it": object()}


@routes.get("/v1/slow", policy=SEE)
async def slow(ctx: Context) -> Any:
    await asyncio.sleep(0.3)
    return {"slept": True}


received: list[Any] = []


@routes.put("/v1/upload", policy=CHANGE, stream=True, status=204)
async def upload(ctx: Context, stream: Stream) -> None:
    size = 0
    try:
        async for chunk in stream.chunks:
            assert len(chunk) <= 2 * MIB
            size += len(chunk)
    except errors.Error as error:
        received.append(error.reason)
        raise
    received.append(size)


@routes.get("/v1/download/{size_mib}", policy=SEE)
async def download(ctx: Context, size_mib: str) -> Reply:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(int(size_mib)):
            yield b"x" * MIB

    return Reply(chunks(), length=int(size_mib) * MIB, content_type="application/octet-stream")


@routes.action("/v1/things/{thing_id}/action", "stop", policy=CHANGE, status=202)
async def stop(ctx: Context, thing_id: str) -> None:
    received.append("stop")


@routes.action("/v1/things/{thing_id}/action", "rename", policy=CHANGE, body=Want, status=200)
async def rename(ctx: Context, thing_id: str, want: Want) -> Any:
    return {"name": want.name}


TOY = Service(name="toy", type="toy", prefix="/toy", port=1, routes=[routes], rules=[SEE, CHANGE])
OTHER = Service(
    name="other", type="other", prefix="/other", port=2, strip_slash=False, routes=[routes], rules=[SEE, CHANGE]
)


class Doorman:
    async def authenticate(self, token: str) -> Credentials:
        if not token.startswith("good"):
            raise errors.Unauthorized("The token is not valid.")
        return Credentials(
            user_id="u1",
            project_id="p1",
            scope="project",
            roles=frozenset(token.split(":")[1:]),
            token=token,
            access_rules=(("toy", "GET", "/v1/things/*"),) if token.endswith(":limited") else None,
        )


GOOD = {"X-Auth-Token": "good:member:reader"}
TIMEOUT_S = 0.4


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Core]:
    bounds = Http(header_limit_bytes=8192, body_limit_bytes=10_000, slow_client_timeout_s=TIMEOUT_S)
    core = Core(Settings(home=tmp_path, http=bounds), [TOY, OTHER])
    core.authenticator = Doorman()
    await core.start()
    received.clear()
    yield core
    await core.stop()


@asynccontextmanager
async def listening(core: Core) -> AsyncIterator[int]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = make_server(core, core.asgi)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        await asyncio.sleep(0.005)
    yield sock.getsockname()[1]
    server.should_exit = True
    await task


@pytest.fixture
async def port(toy: Core) -> AsyncIterator[int]:
    async with listening(toy) as number:
        yield number


@pytest.fixture
def client(toy: Core) -> Client:
    return Client(toy.asgi, GOOD["X-Auth-Token"], prefix="/toy")


async def raw(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(send_all(writer, parts, pause_s))
    got = b""
    try:
        async with asyncio.timeout(TIMEOUT_S * 4):
            while chunk := await reader.read(65536):
                got += chunk
    except (TimeoutError, ConnectionError):
        pass
    sending.cancel()
    writer.close()
    return got


async def send_all(writer: asyncio.StreamWriter, parts: tuple[bytes, ...], pause_s: float) -> None:
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)


# ---- bounds before authentication -----------------------------------------------------------


async def test_a_header_of_80_mb_is_cut_off_without_being_kept(port: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: ")
    sent = 0
    with pytest.raises(ConnectionError):
        for _ in range(1280):
            writer.write(b"a" * 65536)
            await writer.drain()
            sent += 65536
            await asyncio.sleep(0)
    assert sent < 40 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /toy/v1?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\n" + b"X-Small: a\r\n" * 800 + b"\r\n",
    ],
)
async def test_a_head_beyond_the_bound_is_431(port: int, head: bytes) -> None:
    assert (await raw(port, head)).startswith(b"HTTP/1.1 431")


async def test_a_large_head_of_a_second_request_is_431_too(port: int) -> None:
    first = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: "
    answer = await raw(port, first, second, *[b"a" * 4096] * 4, pause_s=0.02)
    assert b"HTTP/1.1 200" in answer
    assert b"HTTP/1.1 431" in answer


async def test_a_large_head_behind_a_request_under_way_is_cut_off(port: int) -> None:
    first = b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    answer = await raw(port, first + b"GET /toy/v1 HTTP/1.1\r\nX-Big: ", *[b"a" * 4096] * 4, pause_s=0.01)
    assert b"HTTP/1.1 431" in answer


async def test_slow_heads_are_ended_in_time_however_many(port: int) -> None:
    async def trickle() -> bytes:
        parts = [b"GET /toy/v1 HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 20]
        return await raw(port, *parts, pause_s=TIMEOUT_S / 8)

    answers = await asyncio.gather(*[trickle() for _ in range(50)], raw(port))
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)


async def test_a_slow_json_body_is_408_and_the_connection_ends(port: int) -> None:
    head = b"POST /toy/v1/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    answer = await raw(port, head, *[b" "] * 12, pause_s=TIMEOUT_S / 8)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer


async def test_an_upload_that_stalls_is_408(port: int) -> None:
    head = b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\nContent-Length: 1000000\r\n\r\n"
    assert (await raw(port, head, b"some")).startswith(b"HTTP/1.1 408")
    assert received == ["request_timeout"]


async def test_an_upload_may_take_long_while_it_moves(port: int) -> None:
    head = b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\nContent-Length: 20\r\n\r\n"
    assert (await raw(port, head, *[b"a"] * 20, pause_s=TIMEOUT_S / 10)).startswith(b"HTTP/1.1 204")
    assert received == [20]


async def test_a_client_that_does_not_read_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /toy/v1/download/64 HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n")
    await asyncio.sleep(TIMEOUT_S * 3)
    got = 0
    try:
        async with asyncio.timeout(5):
            while chunk := await reader.read(MIB):
                got += len(chunk)
    except ConnectionError:
        pass
    assert got < 64 * MIB
    writer.close()


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_json_body_beyond_the_bound_is_413(port: int, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    body: Any = pieces() if chunked else b" " * 20_000
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/toy/v1/open"
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 413
            assert (await answer.json())["error"]["reason"] == "too_large"


# ---- bodies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"nul",
        b'{"name": "a",}',
        b"[" * 5000,
        b'{"name": NaN}',
        b'{"name": "\xed\xa0\x80"}',
    ],
)
async def test_malformed_json_is_400_and_says_where(client: Client, body: bytes) -> None:
    answer = await client.post("/v1/things", body, status=400)
    assert answer.json["error"]["reason"] == "malformed_json"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b"{}",
        b'{"name": null}',
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}',
        b'{"name": "a", "other": 1}',
        b'{"name": "a\\u0000"}',
        b'{"name": ["a"]}',
        b'{"name": 99999999999999999999999999}',
    ],
)
async def test_a_body_of_another_shape_is_400(client: Client, body: bytes) -> None:
    await client.post("/v1/things", body, status=400)


async def test_no_body_is_400(client: Client) -> None:
    answer = await client.post("/v1/things", status=400)
    assert answer.json["error"]["reason"] == "no_body"


async def test_another_content_type_is_415(client: Client) -> None:
    await client.post("/v1/things", b'{"name": "a"}', content_type="text/xml", status=415)
    await client.post("/v1/things", b'{"name": "a"}', content_type="Application/JSON; charset=utf-8", status=201)


async def test_an_action_is_chosen_by_its_key(client: Client) -> None:
    await client.post("/v1/things/1/action", {"stop": None}, status=202)
    answer = await client.post("/v1/things/1/action", {"rename": {"name": "b"}}, status=200)
    assert answer.json == {"name": "b"}
    for body in ({"fly": None}, {}, {"stop": None, "rename": {"name": "b"}}, [], "stop", None, {"rename": None}):
        await client.post("/v1/things/1/action", orjson.dumps(body), status=400)


async def test_an_upload_cut_off_in_the_middle_is_no_whole_one(port: int) -> None:
    for framing in (b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\n" + framing + b"\r\n")
        writer.write(b"5\r\nabcde\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
    assert received == ["client_gone"] * 2


async def test_a_json_body_cut_off_in_the_middle_changes_nothing(port: int) -> None:
    """Its first half may be whole JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /toy/v1/things/1/action HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\n"
        b'Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"stop": null}'
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)
    assert received == []


async def test_streams_take_constant_memory(port: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield b"y" * MIB

    async with aiohttp.ClientSession(headers=GOOD) as session:
        url = f"http://127.0.0.1:{port}/toy/v1"
        async with session.put(f"{url}/upload", data=pieces()) as answer:
            assert answer.status == 204
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with session.put(f"{url}/upload", data=pieces()) as answer:
            assert answer.status == 204
        async with session.get(f"{url}/download/256") as answer:
            size = 0
            async for chunk in answer.content.iter_any():
                size += len(chunk)
        assert size == 256 * MIB
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert received == [256 * MIB] * 2


# ---- answers --------------------------------------------------------------------------------


async def test_an_unknown_path_and_a_wrong_method_speak_the_dialect(client: Client) -> None:
    nothing = await client.get("/v1/nowhere", status=404)
    assert nothing.json["error"]["code"] == 404
    wrong = await client.delete("/v1/things", status=405)
    assert wrong.json["error"]["code"] == 405
    assert "POST" in wrong.headers["allow"]
    for answer in (nothing, wrong):
        assert answer.headers["x-openstack-request-id"].startswith("req-")


async def test_no_service_is_404_with_the_names_of_those_there_are(toy: Core) -> None:
    answer = await Client(toy.asgi).get("/nothing/here", status=404)
    assert answer.json["error"]["services"] == ["other", "toy"]


@pytest.mark.parametrize("path", ["broken", "broken_in_transaction", "unprintable"])
async def test_an_accident_never_tells_its_cause(client: Client, path: str) -> None:
    answer = await client.get(f"/v1/{path}", status=500)
    assert SECRET.encode() not in answer.body
    assert answer.headers["x-openstack-request-id"] in answer.json["error"]["message"]


async def test_without_a_good_token_it_is_401_wherever_the_path_leads(toy: Core) -> None:
    for token in (None, "", "bad", "gööd"):
        client = Client(toy.asgi, token, prefix="/toy")
        for path in ("/v1/things/1", "/v1/broken"):
            answer = await client.get(path, status=401)
            assert answer.headers["www-authenticate"].startswith("Keystone uri=")


async def test_a_missing_role_is_403_and_named(toy: Core) -> None:
    answer = await Client(toy.asgi, "good:reader", prefix="/toy").post("/v1/things", {"name": "a"}, status=403)
    assert "toy:change" in answer.json["error"]["message"]
    assert "member" in answer.json["error"]["message"]


async def test_cve_2026_22797_identity_headers_of_a_client_mean_nothing(client: Client) -> None:
    forged = {
        "X-User-Id": "root",
        "X-Roles": "admin",
        "X-Project-Id": "p2",
        "X-Identity-Status": "Confirmed",
        "X-Is-Admin-Project": "True",
        "X-Service-Roles": "service",
        "OpenStack-System-Scope": "all",
    }
    answer = await client.get("/v1/things/1", headers=forged, status=200)
    assert (answer.json["user"], answer.json["project"]) == ("u1", "p1")
    assert answer.json["roles"] == ["member", "reader"]


async def test_a_callers_request_id_is_taken_only_if_it_is_one(client: Client) -> None:
    good = "req-" + "0" * 36
    for given, kept in ((good, good), ("req-1", None), ("x" * 1000, None), (good + '","admin":"yes', None)):
        answer = await client.get("/v1/things/1", headers={"X-OpenStack-Request-ID": given}, status=200)
        assert answer.json["asked"] == kept
        assert answer.headers["x-openstack-request-id"] != given


async def test_a_dry_run_is_known_to_the_operation_and_refused_for_streams(client: Client) -> None:
    dry = {"X-Dry-Run": "true"}
    assert (await client.post("/v1/things", {"name": "a"}, headers=dry, status=201)).json["dry"] is True
    assert (await client.post("/v1/things", {"name": "a"}, status=201)).json["dry"] is False
    await client.put("/v1/upload", b"x", headers=dry, status=400)
    assert received == []


async def test_head_has_headers_and_no_body(port: int) -> None:
    async with (
        aiohttp.ClientSession(headers=GOOD) as session,
        session.head(f"http://127.0.0.1:{port}/toy/v1/things/1") as answer,
    ):
        assert (answer.status, answer.headers["X-Thing"]) == (200, "yes")
        assert await answer.read() == b""


async def test_a_trailing_slash_is_the_services_choice(toy: Core) -> None:
    for prefix, status in (("/toy", 200), ("/other", 404)):
        await Client(toy.asgi, GOOD["X-Auth-Token"], prefix=prefix).get("/v1/things/1/", status=status)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        (b"a%20b", "a b"),
        (b"%C3%A9", "\u00e9"),
        (b"a%2Fb", None),
        (b"%", "%"),
        (b"%zz", "%zz"),
        (b"a+b", "a+b"),
        (b"%ff", "\ufffd"),
        (b"a%00b", None),
        (b"..", ".."),
        (b"%2e%2e", ".."),
    ],
)
async def test_paths_are_decoded_once(port: int, path: bytes, seen: str | None) -> None:
    answer = await raw(
        port,
        b"GET /toy/v1/things/" + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-Auth-Token: good:reader\r\n\r\n",
    )
    status, _, body = answer.partition(b"\r\n\r\n")[0][:12], *answer.partition(b"\r\n\r\n")[1:]
    if seen is None:
        assert status == b"HTTP/1.1 404", answer
    else:
        assert orjson.loads(body)["id"] == seen


@pytest.mark.parametrize(
    ("query", "tags", "name"),
    [
        ("tag=a&tag=b", ["a", "b"], None),
        ("tag=a,b", ["a,b"], None),
        ("tag=", [""], None),
        ("name=a%20b", [], "a b"),
        ("name=a%26b", [], "a&b"),
        ("", [], None),
        ("unknown=1", [], None),
        ("name=a+b", [], "a b"),
    ],
)
async def test_queries_keep_repeated_keys_and_order(
    client: Client, query: str, tags: list[str], name: str | None
) -> None:
    answer = await client.get(f"/v1/things/1?{query}", status=200)
    assert (answer.json["tags"], answer.json["name"]) == (tags, name)


@pytest.mark.parametrize("query", ["%", "&&&", "=", "%ff=%ff", "a=%00", "name=%00", "tag=" + "&tag=" * 500])
async def test_odd_queries_are_never_an_accident(client: Client, query: str) -> None:
    await client.get(f"/v1/things/1?{query}", status=(200, 400))


async def test_many_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    one = b"GET /toy/v1/things/%d HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    slow_first = b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    last = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await raw(port, slow_first + b"".join(one % i for i in range(20)) + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 22
    assert answer.index(b"slept") < answer.index(b'"id":"0"') < answer.index(b'"id":"19"')


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /toy/v1/\xff HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_harms_nobody(port: int, noise: bytes) -> None:
    assert (await raw(port, noise))[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 408", b"")
    assert b"200 OK" in await raw(port, b"GET /toy/v1 HTTP/1.1\r\nConnection: close\r\n\r\n")


async def test_a_websocket_to_nowhere_is_closed(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/nowhere", "/toy/v1/nowhere"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://127.0.0.1:{port}{path}")
            assert refused.value.status in (403, 404)


async def test_a_graceful_stop_finishes_what_is_under_way(toy: Core) -> None:
    async with listening(toy) as port:
        asked = asyncio.create_task(
            raw(port, b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n")
        )
        await asyncio.sleep(0.1)
    assert b"slept" in await asked


# ---- health and meters ----------------------------------------------------------------------


async def test_health_tells_when_the_database_is_gone(toy: Core) -> None:
    assert (await Client(toy.asgi).get("/healthcheck", status=200)).body == b"OK"

    async def fail(*args: Any, **kw: Any) -> Any:
        raise OSError("gone")

    whole, toy.db.read = toy.db.read, fail  # type: ignore[method-assign]
    answer = await Client(toy.asgi).get("/healthcheck", status=503)
    toy.db.read = whole  # type: ignore[method-assign]
    assert b"database" in answer.body


async def test_meters_count_requests_by_route_and_status(client: Client, toy: Core) -> None:
    await client.get("/v1/things/1", status=200)
    await client.get("/v1/broken", status=500)
    text = (await Client(toy.asgi).get("/metrics", status=200)).body.decode()
    assert 'skyhold_requests_total{method="GET",route="/v1/things/{thing_id}",service="toy",status="200"}' in text
    assert 'route="/v1/broken",service="toy",status="500"' in text
    assert 'skyhold_request_seconds_bucket{le="0.005",route="/v1/things/{thing_id}",service="toy"}' in text


# ---- access rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v1/things/*", "/v1/things/1", True),
        ("/v1/things/*", "/v1/things/1/2", False),
        ("/v1/**", "/v1/things/1/2", True),
        ("/v1/**", "/v1", True),
        ("/**/tags", "/v1/a/b/tags", True),
        ("/v1/{id}/x", "/v1/7/x", True),
        ("/v1/a", "/v1/ab", False),
        ("**", "/anything/at/all", True),
        ("/v1/**/a/**/b", "/v1/x/a/y/z/b", True),
        ("/v1/**/a/**/b", "/v1/x/a/y/z/c", False),
    ],
)
def test_access_rules_match_by_segment(pattern: str, path: str, fits: bool) -> None:
    assert path_matches(pattern, path) is fits


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not path_matches("/**" * 60 + "/x", "/a" * 200)


async def test_an_access_rule_limits_the_token(toy: Core) -> None:
    client = Client(toy.asgi, "good:member:reader:limited", prefix="/toy")
    await client.get("/v1/things/1", status=200)
    await client.post("/v1/things", {"name": "a"}, status=401)
