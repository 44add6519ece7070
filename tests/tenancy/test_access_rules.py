# SPDX-License-Identifier: Apache-2.0
"""KEY-07: an application credential with access rules does what they list and nothing else, on every route.

The rules' patterns by themselves are tests/unit/core/http/test_access_rules.py. What is listed here is whatever the
route table has, so a route that forgets to look at the rules fails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from skyhold.cmd.compose import services
from tests.kit.client import Client
from tests.tenancy.land import Land, Someone
from tests.tenancy.operations import Operation, operations
from tests.tenancy.test_tenancy import ask

MOST_RULES = 500
UNRULED = ("COPY",)
"""A rule has no such method, as upstream: an object is copied by PUT."""


async def limited(land: Land, name: str, rules: list[dict[str, str]]) -> Someone:
    """The land's owner, by an application credential with these rules."""
    body = {"name": name, "access_rules": rules, "unrestricted": True}
    path = f"/identity/v3/users/{land.owner.user_id}/application_credentials"
    made = await land.make(path, {"application_credential": body})
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    answer = await Client(land.cloud.core.asgi).post(
        "/identity/v3/auth/tokens", {"auth": {"identity": identity}}, status=201
    )
    owner = land.people[0]
    client = replace(owner.client, token=answer.headers["x-subject-token"])
    return replace(owner, name=name, client=client, creds=await land.cloud.core.authenticate(client.token))


def of_service(name: str) -> list[Operation]:
    return [each for each in operations() if each.service.name == name]


def rules_for(listed: list[Operation], prefix: str = "") -> list[dict[str, str]]:
    pairs = {(each.route.method, each.route.path) for each in listed}
    return [{"service": listed[0].service.type, "method": m, "path": prefix + pattern(p)} for m, p in sorted(pairs)]


def pattern(path: str) -> str:
    """As rules are written: a variable is a whole segment there, or all that is left."""
    parts = ("**" if ":path}" in part else part if part.startswith("{") else "*" if "{" in part else part
             for part in path.split("/"))
    return "/".join(parts)


def is_refused(answer: Any) -> bool:
    return answer.status == 401 and (b"access rules" in answer.body or not answer.body)


async def test_key_07_what_no_access_rule_lists_is_refused_everywhere(land: Land) -> None:
    nobody = await limited(land, "nothing", [{"service": "identity", "method": "GET", "path": "/v3/nothing/at/all"}])
    done = []
    for operation in operations():
        answer = await ask(land, nobody, operation)
        done += [] if is_refused(answer) else [f"{operation.name}: {answer.status} {answer.body[:200]!r}"]
    assert not done, "\n".join(done)


@pytest.mark.parametrize("service", [each.name for each in services() if each.type and of_service(each.name)])
async def test_key_07_what_access_rules_list_is_allowed_everywhere(land: Land, service: str) -> None:
    """Also by the path as a client calls it, with the service's prefix. What has no type can be in no rule."""
    mine = [each for each in of_service(service) if not each.route.stream and each.route.method not in UNRULED]
    everything = rules_for(mine)
    if 2 * len(everything) <= MOST_RULES:
        everything = rules_for(mine[::2]) + rules_for(mine[1::2] or mine, mine[0].service.prefix)
    for at in range(0, len(everything), MOST_RULES):
        listed = everything[at : at + MOST_RULES]
        someone = await limited(land, f"{service}-{at}", listed)
        known = {(rule["method"], rule["path"]) for rule in listed}
        wrong = []
        for operation in mine:
            route = operation.route
            path = pattern(route.path)
            if not {(route.method, path), (route.method, operation.service.prefix + path)} & known:
                continue
            answer = await ask(land, someone, operation)
            wrong += [f"{operation.name}: {answer.body[:200]!r}"] if is_refused(answer) else []
        assert not wrong, "\n".join(wrong)
