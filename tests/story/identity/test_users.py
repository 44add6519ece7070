# SPDX-License-Identifier: Apache-2.0
"""Stories of users and of the catalogue's resources, and bad input for every kind of resource.

Domains and projects are test_places.py. Whatever is sent, the answer is identity's own error in its
own envelope.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core.context import internal
from skyhold.core.tables import JOURNAL
from tests.kit.client import Client
from tests.kit.cloud import Cloud

V3 = "/identity/v3"


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:10]}"


async def create(client: Client, kind: str, status: int = 201, **values: Any) -> dict[str, Any]:
    answer = await client.post(f"{V3}/{kind}s", {kind: {"name": unique(kind), **values}}, status=status)
    return answer.json.get(kind, answer.json)


async def test_key_03_a_user_keeps_made_up_attributes_and_never_shows_a_password(cloud: Cloud) -> None:
    domain = await cloud.domain()
    made = await create(
        cloud.admin, "user", domain_id=domain, password="s3cret-word", email="a@example.org", description="d",
        options={"lock_password": True},
    )
    assert "password" not in made
    assert made["email"] == "a@example.org"
    assert made["options"] == {"lock_password": True}
    assert made["password_expires_at"] is None
    assert "default_project_id" not in made
    shown = await cloud.admin.get(f"{V3}/users/{made['id']}", status=200)
    assert shown.json["user"] == made
    assert b"argon2" not in shown.body
    body = {"user": {"email": "b@example.org", "phone": "1", "options": {"lock_password": None}}}
    changed = (await cloud.admin.patch(f"{V3}/users/{made['id']}", body, status=200)).json["user"]
    assert (changed["email"], changed["phone"], changed["options"]) == ("b@example.org", "1", {})
    await cloud.admin.delete(f"{V3}/users/{made['id']}", status=204)
    await cloud.admin.get(f"{V3}/users/{made['id']}", status=404)


async def test_invariant_11_no_secret_reaches_journal_or_log(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> None:
    user = await cloud.user()
    secret = "very-" + uuid.uuid4().hex
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": secret}}, status=200)
    await cloud.client().post(
        f"{V3}/users/{user.user_id}/password",
        {"user": {"original_password": secret, "password": secret + "2"}}, status=204,
    )
    await cloud.client().post(f"{V3}/users/{user.user_id}/password", {"user": {"password": secret}}, status=400)
    answer = await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": [secret]}}, status=400)
    assert secret.encode() not in answer.body

    def rows(tx: Any, ctx: Any) -> Any:
        columns = sa.select(JOURNAL.c.action, JOURNAL.c.state)
        return tx.all(columns.where(JOURNAL.c.resource_id == user.user_id).order_by(JOURNAL.c.id))

    found = await internal(cloud.core).read(rows)
    assert [row.action for row in found] == ["user.create", "user.update", "user.password"]
    assert secret not in str(found)
    assert "argon2" not in str(found)
    assert secret not in "".join(capfd.readouterr())


async def test_a_locked_password_is_changed_by_administrators_only(cloud: Cloud) -> None:
    user = await cloud.user()
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"options": {"lock_password": True}}}, status=200)
    body = {"user": {"original_password": user.password, "password": "mine"}}
    await cloud.client().post(f"{V3}/users/{user.user_id}/password", body, status=400)
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "theirs"}}, status=200)


async def test_ossa_2026_007_enabled_is_a_boolean_and_no_word_for_one(cloud: Cloud) -> None:
    for word in ("FALSE", "false", "True", 0, 1, None, []):
        await create(cloud.admin, "user", 400, enabled=word)
        await create(cloud.admin, "project", 400, enabled=word)


async def test_a_dry_run_creates_nothing(cloud: Cloud) -> None:
    name = unique("user")
    body = {"user": {"name": name}}
    made = await cloud.admin.post(f"{V3}/users", body, headers={"X-Dry-Run": "true"}, status=201)
    await cloud.admin.get(f"{V3}/users/{made.json['user']['id']}", status=404)


# ---- the catalogue -------------------------------------------------------------------------


async def test_key_05_a_service_with_endpoints_is_in_every_token(cloud: Cloud) -> None:
    user = await cloud.project()
    kind = unique("type")
    service = await create(cloud.admin, "service", type=kind, description="d")
    region = (await cloud.admin.post(f"{V3}/regions", {"region": {"id": unique("region")}}, status=201)).json["region"]
    body = {"service_id": service["id"], "interface": "public", "region_id": region["id"],
            "url": "http://example.org/v1/$(project_id)s"}
    made = (await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=201)).json["endpoint"]
    assert made["region"] == made["region_id"] == region["id"]

    async def listed(client: Client) -> list[Any]:
        catalogue = (await client.get(f"{V3}/auth/catalog", status=200)).json["catalog"]
        return [e["url"] for s in catalogue if s["type"] == kind for e in s["endpoints"]]

    assert await listed(user) == [f"http://example.org/v1/{user.project_id}"]
    found = await cloud.admin.get(f"{V3}/endpoints", {"service_id": service["id"]}, status=200)
    assert [e["id"] for e in found.json["endpoints"]] == [made["id"]]
    change = {"endpoint": {"url": "http://example.org/v2"}}
    await cloud.admin.patch(f"{V3}/endpoints/{made['id']}", change, status=200)
    assert await listed(user) == ["http://example.org/v2"]
    await cloud.admin.patch(f"{V3}/endpoints/{made['id']}", {"endpoint": {"enabled": False}}, status=200)
    assert await listed(user) == []
    await cloud.admin.delete(f"{V3}/regions/{region['id']}", status=403)
    await cloud.admin.delete(f"{V3}/services/{service['id']}", status=204)
    await cloud.admin.get(f"{V3}/endpoints/{made['id']}", status=404)
    await cloud.admin.delete(f"{V3}/regions/{region['id']}", status=204)


async def test_a_url_of_a_project_is_left_out_without_a_project(cloud: Cloud) -> None:
    service = await create(cloud.admin, "service", type=unique("type"))
    body = {"service_id": service["id"], "interface": "public", "url": "http://example.org/%(tenant_id)s"}
    await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=201)
    system = cloud.client(await cloud.token(cloud.admin, {"system": {"all": True}}))
    catalogue = (await system.get(f"{V3}/auth/catalog", status=200)).json["catalog"]
    assert [s["endpoints"] for s in catalogue if s["id"] == service["id"]] == [[]]
    await cloud.admin.delete(f"{V3}/services/{service['id']}", status=204)


async def test_regions_form_a_tree_without_circles(cloud: Cloud) -> None:
    a, b = unique("r"), unique("r")
    await cloud.admin.request("PUT", f"{V3}/regions/{a}", {"region": {"description": "x"}}, status=201)
    await cloud.admin.post(f"{V3}/regions", {"region": {"id": b, "parent_region_id": a}}, status=201)
    await cloud.admin.post(f"{V3}/regions", {"region": {"id": b}}, status=409)
    await cloud.admin.post(f"{V3}/regions", {"region": {"parent_region_id": "nowhere"}}, status=404)
    await cloud.admin.patch(f"{V3}/regions/{a}", {"region": {"parent_region_id": b}}, status=400)
    below = (await cloud.admin.get(f"{V3}/regions", {"parent_region_id": a}, status=200)).json["regions"]
    assert [r["id"] for r in below] == [b]
    user = await cloud.project(["reader"])
    await user.get(f"{V3}/regions/{a}", status=200)
    await user.delete(f"{V3}/regions/{b}", status=403)


async def test_a_region_goes_with_all_below_it_unless_one_is_in_use(cloud: Cloud) -> None:
    a, b, c, d = (unique("r") for _ in range(4))
    for id, parent in ((a, None), (b, a), (c, b), (d, a)):
        body = {"region": {"id": id, "parent_region_id": parent}}
        await cloud.admin.post(f"{V3}/regions", body, status=201)
    service = await create(cloud.admin, "service", type="x")
    body = {"service_id": service["id"], "interface": "public", "url": "http://x.test", "region_id": c}
    made = (await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=201)).json["endpoint"]
    await cloud.admin.delete(f"{V3}/regions/{a}", status=403)
    await cloud.admin.get(f"{V3}/regions/{d}", status=200)
    await cloud.admin.delete(f"{V3}/endpoints/{made['id']}", status=204)
    one = {"service_id": service["id"], "region_id": d, "resource_name": "things", "default_limit": 1}
    limited = await cloud.admin.post(f"{V3}/registered_limits", {"registered_limits": [one]}, status=201)
    await cloud.admin.delete(f"{V3}/regions/{a}", status=403)
    await cloud.admin.delete(f"{V3}/registered_limits/{limited.json['registered_limits'][0]['id']}", status=204)
    await cloud.admin.delete(f"{V3}/regions/{b}", status=204)
    await cloud.admin.get(f"{V3}/regions/{c}", status=404)
    await cloud.admin.delete(f"{V3}/regions/{a}", status=204)
    for id in (a, b, c, d):
        await cloud.admin.get(f"{V3}/regions/{id}", status=404)


@pytest.mark.parametrize("url", [
    "not a url", "http://", "http://example.org/%(password)s", "http://example.org/$(project_id", "http://[::1/x", "",
    "http://example.org:99999/",
])
async def test_an_endpoint_that_would_spoil_tokens_is_refused(cloud: Cloud, url: str) -> None:
    service = await create(cloud.admin, "service", type="x")
    body = {"service_id": service["id"], "interface": "public", "url": url}
    await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=400)
    await cloud.admin.delete(f"{V3}/services/{service['id']}", status=204)


# ---- bad input -----------------------------------------------------------------------------

REQUIRED: dict[str, dict[str, Any]] = {
    "domain": {"name": "x"}, "project": {"name": "x"}, "user": {"name": "x"}, "group": {"name": "x"},
    "role": {"name": "x"}, "service": {"type": "x"},
    "endpoint": {"service_id": "x", "interface": "public", "url": "http://x/"},
}
WRONG: list[Any] = [None, 5, True, [], {}, "", "x" * 5000, "nul\u0000"]


@pytest.mark.parametrize("kind", REQUIRED)
async def test_every_required_field_missing_or_wrong_is_400(cloud: Cloud, kind: str) -> None:
    for name, good in REQUIRED[kind].items():
        rest = {other: value for other, value in REQUIRED[kind].items() if other != name}
        bodies = [rest, *({**rest, name: wrong} for wrong in WRONG if wrong != good)]
        for body in bodies:
            answer = await cloud.admin.post(f"{V3}/{kind}s", {kind: body}, status=400)
            assert answer.json["error"]["title"] == "Bad Request"
            assert answer.json["error"]["message"]


@pytest.mark.parametrize("kind", [*REQUIRED, "region"])
async def test_bodies_that_are_none_of_ours_are_400(cloud: Cloud, kind: str) -> None:
    for body in ([], "text", 5, {}, {kind: None}, {kind: []}, {"other": {}}, b"{", b"", b"null"):
        await cloud.admin.post(f"{V3}/{kind}s", body, status=400)
    good = "".join(f'"{name}": "{value}", ' for name, value in REQUIRED.get(kind, {}).items())
    for depth in (100, 240, 252, 260, 1000, 100_000):
        deep = '{"a":' * depth + "1" + "}" * depth
        await cloud.admin.post(f"{V3}/{kind}s", f'{{"{kind}": {{{good} "deep": {deep}}}}}'.encode())


@pytest.mark.parametrize("kind", [*REQUIRED, "region"])
async def test_unknown_ids_are_404_in_the_envelope(cloud: Cloud, kind: str) -> None:
    for id in ("nothing", "0" * 32, "a" * 300, "%00", "..%2f", "'%20or%201=1"):
        for method, body in (("GET", None), ("PATCH", {kind: {"description": "x"}}), ("DELETE", None)):
            answer = await cloud.admin.request(method, f"{V3}/{kind}s/{id}", body, status=404)
            assert answer.json["error"]["code"] == 404


async def test_unicode_and_odd_names_come_back_as_they_went(cloud: Cloud) -> None:
    for name in ("Ünïcödé-" + unique("n"), "名前" + unique("n"), "a b\tc" + unique("n"), "x" * 64, "💥" + unique("n")):
        made = await create(cloud.admin, "project", name=name, domain_id=await cloud.domain())
        found = await cloud.admin.get(f"{V3}/projects", {"name": name, "domain_id": made["domain_id"]}, status=200)
        assert [p["name"] for p in found.json["projects"]] == [name]


async def test_head_answers_wherever_get_does(cloud: Cloud) -> None:
    for path in ("projects", "users", "roles", "services", f"users/{cloud.admin.user_id}", "role_inferences"):
        head = await cloud.admin.request("HEAD", f"{V3}/{path}", status=200)
        assert head.body == b""
    await cloud.admin.request("HEAD", f"{V3}/users/nobody", status=404)


async def test_lists_need_no_more_queries_for_a_thousand_than_for_none(cloud: Cloud) -> None:
    from skyhold.core import metrics

    def counted() -> float:
        return metrics.QUERIES._value.get()

    empty, full = await cloud.domain(), await cloud.domain()
    for _ in range(30):
        await create(cloud.admin, "user", domain_id=full)
        await create(cloud.admin, "project", domain_id=full, tags=["t"])
    for path in ("users", "projects"):
        # The least of a few tries: the program's own loops ask in between.
        costs = []
        for domain in (empty, full):
            tries = []
            for _ in range(8):
                before = counted()
                await cloud.admin.get(f"{V3}/{path}", {"domain_id": domain}, status=200)
                tries.append(counted() - before)
            costs.append(min(tries))
        # Where processes share a database, who asks is looked up under its epoch, which is asked for once.
        assert costs[0] == costs[1] <= (2 if cloud.core.db.name == "sqlite" else 3)
