# SPDX-License-Identifier: Apache-2.0
"""Whatever a body or a header says, it is no credential, and what is no body is refused at the edge.

Invariants 2, 9 and 14 for every operation with a body; what is inside a service's own fields is
in the stories of the service.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.kit.client import Answer
from tests.tenancy.expected import verdict
from tests.tenancy.land import Land, Someone
from tests.tenancy.operations import Operation, every, operations
from tests.tenancy.snapshot import difference, snapshot
from tests.tenancy.test_tenancy import FITTING, ask, told

DEEP = 250


def takes_json(operation: Operation) -> bool:
    return (operation.route.body is not None or operation.route.action is not None) and not operation.route.stream


def nested(levels: int) -> Any:
    body: Any = 1
    for _ in range(levels):
        body = {"a": body}
    return body


def spoilt(operation: Operation, body: Any) -> dict[str, bytes]:
    """Bodies that no operation can mean anything by."""
    deep = nested(DEEP)
    inner = dict.fromkeys(body or ("a",), deep) if isinstance(body, dict) else [deep]
    found = {
        "no JSON": b"{", "half": orjson.dumps(body)[:-1] or b"{", "no text": b"\xff\xfe", "nothing": b"",
        "deep": orjson.dumps(deep), "deep inside": orjson.dumps(inner), "lists": b"[" * 900 + b"]" * 900,
        "huge": poisoned_number(body),
        "surrogate": orjson.dumps(poisoned(body, "POISON")).replace(b"POISON", b"\\ud800"),
    }
    # The value of an action that takes none is not looked at, as upstream.
    return found if operation.route.body is None else found | {"NUL": orjson.dumps(poisoned(body, "a\0b"))}


def poisoned(body: Any, poison: str) -> Any:
    """The body with the poison as a value of every object, and as every text."""
    if isinstance(body, dict):
        return {key: poisoned(value, poison) for key, value in body.items()} or {poison: poison}
    return [poisoned(value, poison) for value in body] or [poison] if isinstance(body, list) else poison


def poisoned_number(body: Any) -> bytes:
    return orjson.dumps(poisoned(body, "POISON")).replace(b'"POISON"', b"1" + b"0" * 400)


@every(takes_json)
async def test_invariant_14_what_is_no_body_is_refused_in_the_apis_own_words(
    land: Land, operation: Operation
) -> None:
    body = operation.body(land.ids)
    who = able(land, operation)
    wrong = []
    for name, raw in spoilt(operation, body).items():
        answer = await send(land, who, operation, raw)
        if not (400 <= answer.status < 500 and speaks(answer)):
            wrong.append(f"{name}: {answer.status} {answer.body[:200]!r}")
    answer = await send(land, who, operation, orjson.dumps(body), kind="text/plain")
    if answer.status != 415:
        wrong.append(f"content type: {answer.status} {answer.body[:200]!r}")
    assert not wrong, "\n".join(wrong)


def speaks(answer: Answer) -> bool:
    """One of the dialects' envelopes, with the status where the dialect has it, and nothing of our insides."""
    name, fault = next(iter(answer.json.items()))
    fault = fault[0] if isinstance(fault, list) else fault
    told = fault.get("code") if name != "errors" else fault["status"]
    return (name == "NeutronError" or told == answer.status) and "Traceback" not in answer.body.decode()


FIRST_OF_EACH = {operation.service.name: operation for operation in reversed(operations()) if takes_json(operation)}


@pytest.mark.parametrize("service", sorted(FIRST_OF_EACH))
async def test_invariant_14_a_body_beyond_the_bound_is_too_large_before_it_is_read(land: Land, service: str) -> None:
    operation, bound = FIRST_OF_EACH[service], land.cloud.core.settings.http.body_limit_bytes
    answer = await send(land, able(land, operation), operation, b'"' + b"x" * bound + b'"')
    assert answer.status == 413 and b"too large" in answer.body.lower()


@every(takes_json)
async def test_invariant_2_a_target_in_the_body_is_no_target(land: Land, operation: Operation) -> None:
    """bug 2148398: the body's `target` overwrote the policy's."""
    body = operation.body(land.ids)
    before = await snapshot(land.cloud)
    for who in land.people:
        expected = verdict(land, who, operation)
        if expected not in ("forbidden", "refused") or who.near or not isinstance(body, dict):
            continue
        lie = lies(who)
        inside = {key: value | lie if isinstance(value, dict) else value for key, value in body.items()}
        for lying in (lie, body | lie, inside):
            answer = await send(land, who, operation, orjson.dumps(lying), rehearse=False)
            assert 400 <= answer.status < 500, f"{who.name}: {answer.status} {answer.body[:300]!r}"
            if expected == "forbidden" and operation.route.action is None:
                assert answer.status == 403
            assert not told(land, operation, answer)
    assert not difference(before, await snapshot(land.cloud))


def lies(who: Someone) -> dict[str, Any]:
    """A target that every rule would be content with."""
    creds = who.creds
    mine = {"id": creds.user_id, "domain_id": creds.domain_id or creds.user_domain_id}
    return {
        "target": {
            "user": mine, "project": {"id": creds.project_id, "domain_id": mine["domain_id"]},
            "domain": {"id": mine["domain_id"]}, "group": mine, "role": {"domain_id": None, "name": "member"},
            "token": {"user_id": creds.user_id},
        },
        "target.user.id": creds.user_id, "target.project.domain_id": mine["domain_id"],
    }


@every()
async def test_invariant_9_identity_headers_of_a_client_count_for_nothing(land: Land, operation: Operation) -> None:
    """CVE-2026-22797: client's identity headers were kept."""
    stranger = next(who for who in land.people if who.name == "stranger")
    boast = {
        "X-Roles": "admin", "X-Role": "admin", "X-User-Id": land.owner.user_id, "X-User-Name": "admin",
        "X-Project-Id": land.owner.project_id, "X-Tenant-Id": land.owner.project_id, "X-Is-Admin-Project": "True",
        "X-Domain-Id": land.owner.domain_id, "X-Project-Domain-Id": land.owner.domain_id,
        "X-User-Domain-Id": land.owner.domain_id, "X-Identity-Status": "Confirmed", "X-Instance-ID": land.ids["server"],
        "OpenStack-System-Scope": "all", "X-Service-Roles": "admin,service", "X-Service-Token": land.owner.token or "",
    }
    plain = await ask(land, stranger, operation)
    stranger.client.headers = boast
    try:
        boasting = await ask(land, stranger, operation, rehearse=True)
        stranger.client.token, token = None, stranger.client.token
        nobody = await ask(land, stranger, operation, rehearse=False)
        stranger.client.token = token
    finally:
        stranger.client.headers = {}
    assert boasting.status == plain.status
    assert told(land, operation, boasting) == told(land, operation, plain)
    assert nobody.status == 401


async def test_invariant_14_nothing_is_kept_for_nobody(land: Land) -> None:
    """Without a token no operation leaves anything behind (CVE-2026-43002 filled a store of sessions so)."""
    nobody = land.cloud.client()
    before = await snapshot(land.cloud)
    for operation in operations():
        answer = await nobody.request(
            operation.route.method, operation.address(land.ids), operation.body(land.ids),
            headers=operation.headers(land.ids), content_type=operation.media, status=FITTING,
        )
        assert answer.status == 401, f"{operation.name}: {answer.status}"
    assert not difference(before, await snapshot(land.cloud))


def able(land: Land, operation: Operation) -> Someone:
    """Somebody whom the rule lets through, so that what is refused is the body."""
    return next(who for who in land.people if verdict(land, who, operation) in ("done", "own"))


async def send(
    land: Land, who: Someone, operation: Operation, raw: bytes, *, kind: str = "", rehearse: bool = True
) -> Answer:
    headers = operation.headers(land.ids) | ({"X-Dry-Run": "true"} if rehearse else {})
    return await who.client.request(
        operation.route.method, operation.address(land.ids), raw, headers=headers,
        content_type=kind or operation.media, status=FITTING,
    )


