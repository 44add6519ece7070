# SPDX-License-Identifier: Apache-2.0
"""Stories of finding one's way: version documents, and JSON Home with every address by its relation."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.identity import facade
from skyhold.identity.json_home import is_wanted, relation
from tests.kit.cloud import Cloud

REL = "https://docs.openstack.org/api/openstack-identity/3/rel"
EXT = "https://docs.openstack.org/api/openstack-identity/3/ext"


ALIASES = {"/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocol/{protocol_id}/websso"}
"""Second spellings of an address, which stand in for the first one in its relation."""


async def home(cloud: Cloud, path: str) -> dict[str, Any]:
    answer = await cloud.client().get(path, headers={"Accept": "application/json-home"}, status=200)
    assert answer.headers["content-type"] == "application/json-home"
    return answer.json["resources"]


async def test_json_home_knows_every_address(cloud: Cloud) -> None:
    found = await home(cloud, "/identity/v3")
    assert found[f"{REL}/users"] == {"href": "/users"}
    assert found[f"{REL}/user"]["href-template"] == "/users/{user_id}"
    assert found[f"{REL}/user"]["href-vars"]["user_id"].endswith("/param/user_id")
    assert (await home(cloud, "/identity/"))[f"{REL}/users"] == {"href": "/v3/users"}
    routes = {r.path for each in cloud.core.services["identity"].routes for r in each.all if r.path.startswith("/v3/")}
    told = {("/v3" + (each.get("href") or each["href-template"])) for each in found.values()}
    assert told == routes - ALIASES, "two addresses share a relation"


async def test_without_asking_for_it_versions_are_told(cloud: Cloud) -> None:
    for accept in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}, {"Accept": "application/json-home;q=0"}):
        answer = await cloud.client().get("/identity/v3", headers=accept, status=200)
        assert answer.json["version"]["id"] == "v3.14"
        assert (await cloud.client().get("/identity/", headers=accept, status=300)).json["versions"]


@pytest.mark.parametrize(("path", "name"), [
    ("/auth/tokens", f"{REL}/auth_tokens"), ("/groups/{group_id}/users/{user_id}", f"{REL}/group_user"),
    ("/policies/{policy_id}", f"{REL}/policy"), ("/projects/{project_id}/tags/{value}", f"{REL}/project_tag"),
    ("/system/users/{user_id}/roles", f"{REL}/system_user_roles"),
    ("/roles/{role_id}/implies/{implied_id}", f"{REL}/implied_role"),
    ("/OS-TRUST/trusts/{trust_id}/roles", f"{EXT}/OS-TRUST/1.0/rel/trust_roles"),
    ("/OS-REVOKE/events", f"{EXT}/OS-REVOKE/1.0/rel/events"), ("/ec2tokens", f"{EXT}/OS-EC2/1.0/rel/ec2tokens"),
    ("/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
     f"{EXT}/OS-INHERIT/1.0/rel/domain_user_role_inherited_to_projects"),
])
def test_relations_have_upstreams_names(path: str, name: str) -> None:
    assert relation(path) == name


@pytest.mark.parametrize(("accept", "wanted"), [
    (None, False), ("", False), ("application/json-home", True), ("application/json, application/json-home", False),
    ("application/json;q=0.5, application/json-home", True), ("application/json-home;q=nan", False),
    ("application/json-home;q=9", False), (";;,,q=1", False),
])
def test_accept_is_weighed(accept: str | None, wanted: bool) -> None:
    assert is_wanted(accept) is wanted


async def test_an_address_that_the_operator_gave_an_endpoint_outlives_the_next_start(cloud: Cloud) -> None:
    """One that no operator gave follows the cloud's own address; `made_by` is nobody's to say in a body."""
    v3 = "/identity/v3"
    found = (await cloud.admin.get(f"{v3}/endpoints", {"interface": "public"}, status=200)).json["endpoints"]
    mine = f"{v3}/endpoints/{found[0]['id']}"
    change = {"url": "https://edge.example/mine", "made_by": "bootstrap"}
    await cloud.admin.patch(mine, {"endpoint": change}, status=200)
    await facade.bootstrap(cloud.core, password="never used")
    kept = (await cloud.admin.get(mine, status=200)).json["endpoint"]["url"]
    # Other stories look for this service where it is.
    await cloud.admin.patch(mine, {"endpoint": {"url": found[0]["url"]}}, status=200)
    assert kept == change["url"]
