# SPDX-License-Identifier: Apache-2.0
"""The JSON Home document: every address of this API by the relation it stands in, for clients that look them up.

The version documents are discovery.py. It is made from the route table, so what has no route isn't in it; a
relation's name follows from its path, and the few that Keystone named otherwise stand in NAMED.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MEDIA = "application/json-home"
BASE = "https://docs.openstack.org/api/openstack-identity/3"
VARIABLE = re.compile(r"\{(\w+)\}")

NAMED = {
    "/users/{user_id}/password": "user_change_password",
    "/roles/{role_id}/implies": "implied_roles",
    "/roles/{role_id}/implies/{implied_id}": "implied_role",
    "/limits/model": "limit_model",
    "/domains/config/default": "domain_config_default",
    "/domains/config/{group}/default": "domain_config_default_group",
    "/domains/config/{group}/{option}/default": "domain_config_default_option",
    "/domains/{domain_id}/config": "domain_config",
    "/domains/{domain_id}/config/{group}": "domain_config_group",
    "/domains/{domain_id}/config/{group}/{option}": "domain_config_option",
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}":
        "endpoint_group_to_project_association",
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects": "projects_associated_with_endpoint_group",
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints": "endpoints_in_endpoint_group",
    "/OS-OAUTH1/authorize/{request_token_id}": "authorize_request_token",
    "/OS-SIMPLE-CERT/ca": "ca_certificate",
    "/auth/tokens/OS-PKI/revoked": "revocations",
}
EXTENSIONS = {"ec2tokens": "OS-EC2", "s3tokens": "s3tokens"}
"""First segments that are an extension without saying so."""


def document(paths: Iterable[str], prefix: str) -> dict[str, Any]:
    """`paths` are those of routes, all under /v3; `prefix` is how they begin where the document is asked for."""
    found = {}
    for path in sorted(set(paths)):
        bare = path.removeprefix("/v3")
        if bare and bare != path:
            found[relation(bare)] = resource(bare, prefix)
    return {"resources": found}


def relation(path: str) -> str:
    """`/users/{user_id}/groups` is user_groups: a collection that one is taken from is in the singular."""
    segments = path.strip("/").split("/")
    extension = next((s for s in segments if s.startswith("OS-")), EXTENSIONS.get(segments[0]))
    if path in NAMED:
        name = NAMED[path]
    else:
        plain = [s for s in segments if not s.startswith("OS-")]
        words = [
            singular(word) if after.startswith("{") else word
            for word, after in zip(plain, [*plain[1:], ""], strict=True) if not word.startswith("{")
        ]
        name = "_".join(words)
    return f"{BASE}/ext/{extension}/1.0/rel/{name}" if extension else f"{BASE}/rel/{name}"


def singular(word: str) -> str:
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")


def resource(path: str, prefix: str) -> dict[str, Any]:
    names = VARIABLE.findall(path)
    if not names:
        return {"href": prefix + path}
    return {"href-template": prefix + path, "href-vars": {name: f"{BASE}/param/{name}" for name in names}}


def is_wanted(accept: str | None) -> bool:
    """Whether JSON Home is liked better than plain JSON, which is what who says nothing gets."""
    liked = {"application/json": 0.0, MEDIA: 0.0}
    for part in (accept or "").split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        if kind in liked:
            liked[kind] = max(liked[kind], quality(parameters))
    return liked[MEDIA] > liked["application/json"]


def quality(parameters: list[str]) -> float:
    given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return float(given) if re.fullmatch(r"[01](\.\d{1,3})?", given) else 0.0
