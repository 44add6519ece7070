# SPDX-License-Identifier: Apache-2.0
"""What an answer says and what it never says: errors in the dialect, no cause of an accident, no forged identity.

What a service answers is in its stories. The toy service is toy.py.
"""

from __future__ import annotations

import aiohttp
import pytest

from skyhold.core.app import Core
from tests.kit.client import Client
from tests.unit.core.http.toy import GOOD, SECRET, received


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


@pytest.mark.parametrize(
    "path", ["/toy/v1", "/toy/v1/things/1", "/toy/v1/broken", "/nowhere", "/healthcheck", "/metrics"]
)
async def test_invariant_12_no_answer_is_taken_for_a_page(port: int, path: str) -> None:
    """A browser that guesses would run what a tenant wrote: CVE-2026-40212's class."""
    async with (
        aiohttp.ClientSession(headers=GOOD) as session,
        session.get(f"http://127.0.0.1:{port}{path}", params={"name": "<script>alert(1)</script>"}) as answer,
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content_type in ("application/json", "text/plain")


async def test_head_has_headers_and_no_body(port: int) -> None:
    async with (
        aiohttp.ClientSession(headers=GOOD) as session,
        session.head(f"http://127.0.0.1:{port}/toy/v1/things/1") as answer,
    ):
        assert (answer.status, answer.headers["X-Thing"]) == (200, "yes")
        assert await answer.read() == b""
