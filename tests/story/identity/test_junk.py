# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to whichever route of identity, the answer is an error of its own, never a 5xx.

Single fields of single resources are test_users.py; here the route table itself says what to try.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from skyhold.core.http.routes import Public, Route
from skyhold.core.wire.fields import Envelope
from skyhold.identity.service import SERVICE
from tests.kit.cloud import Cloud

# Every route, with dozens of requests each.
pytestmark = pytest.mark.kit

ROUTES = [route for routes in SERVICE.routes for route in routes.all]
JUNK: list[Any] = [None, 5, "x", [], {}, [[]], {"id": []}, {"name": {"a": 1}}]
QUERY = (
    "?limit=-1&marker=%00", "?limit=x", "?enabled=maybe&name=%F0%9F%92%A5", "?name__contains=%25&sort_key=x",
    "?effective=x&user.id=%00&scope.project.id=", "?parents_as_list&subtree_as_ids=x&tags=,,&not-tags=",
    "?domain_id=" + "x" * 3000, "?name=a&name=b", "?%FF=%FE",
)


def path_of(route: Route, id: str) -> str:
    return "/identity" + re.sub(r"\{[a-z_]+\}", id, route.path)


def bodies(route: Route) -> list[Any]:
    if not isinstance(route.body, Envelope):
        return JUNK
    fields = getattr(route.body.inner, "__shape_fields__", {})
    inner = [*JUNK, *({spec.wire: junk} for spec in fields.values() for junk in JUNK)]
    every = [{spec.wire: junk for spec in fields.values()} for junk in JUNK]
    return [*JUNK, *({route.body.key: each} for each in [*inner, *every])]


PUBLIC = {
    "/", "/v3", "POST /v3/auth/tokens", "POST /v3/users/{user_id}/password",
    # Signed by a consumer, or with a client's secret: core has no token to look at.
    "POST /v3/OS-OAUTH1/request_token", "POST /v3/OS-OAUTH1/access_token", "POST /v3/OS-OAUTH2/token",
    # They only say that they are gone.
    "/v3/OS-SIMPLE-CERT/ca", "/v3/OS-SIMPLE-CERT/certificates",
}
SIGN_IN = ("/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth", "/v3/auth/OS-FEDERATION/",
           "/v3/OS-FEDERATION/saml2/metadata", "/oidc/")
"""Where somebody comes with the word of an identity provider: that is the proof; and this cloud's own issuer."""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_invariant_14_junk_is_never_a_5xx(cloud: Cloud, route: Route) -> None:
    mine = cloud.admin.token or ""
    for id in ("none", "0" * 32, "%F0%9F%92%A5", "a" * 1000):
        path = path_of(route, id)
        if route.path.endswith("/auth/tokens") and route.method == "DELETE":
            continue
        await cloud.admin.request(route.method, path, headers={"X-Subject-Token": "gAAAA" + id[:8].strip("%")})
        if route.method in ("GET", "HEAD"):
            for query in QUERY:
                await cloud.admin.request(route.method, path + query, headers={"X-Subject-Token": mine})
    for body in bodies(route) if route.body is not None else ():
        answer = await cloud.admin.request(route.method, path_of(route, "none"), body)
        if answer.status >= 400:
            assert answer.json["error"]["code"] == answer.status


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_invariant_1_every_route_but_the_public_ones_asks_for_a_token(cloud: Cloud, route: Route) -> None:
    answer = await cloud.client().request(route.method, path_of(route, "none"), {})
    known = route.path in PUBLIC or f"{route.method} {route.path}" in PUBLIC or route.path.startswith(SIGN_IN)
    assert isinstance(route.policy, Public) is known
    if not known:
        assert answer.status == 401
