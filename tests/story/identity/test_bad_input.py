# SPDX-License-Identifier: Apache-2.0
"""Every field of every resource, made and changed with what it may not be: 400 in identity's own words, nothing done.

What a field may be is written down here once more, after Keystone's schemas, and not read from ours: a field that we
forget to bound fails here. That nothing at all is a 5xx is test_junk.py, single odd cases each resource's stories.
An endpoint's region may be null, as Keystone's schema of today has it; a region's id may not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud
from tests.story.identity.test_places import V3

ODD = "Ünïcödé 名前 💥 <b>'\""
NOT_TEXT: list[Any] = [5, 1.5, True, [], ["x"], {}, {"a": "b"}]
NUL = ["nul\0"]


@dataclass(frozen=True)
class May:
    """What a field may not be; whether null is something."""

    wrong: list[Any]
    null: bool = False


def text(longest: int | None = None, *, empty: bool = False, null: bool = False) -> May:
    return May([*NOT_TEXT, *NUL, *([] if empty else [""]), *(["x" * (longest + 1)] if longest else [])], null)


def name(longest: int) -> May:
    return May([*text(longest).wrong, "   ", "\t"])


def free(*, null: bool = True) -> May:
    return text(empty=True, null=null)


def id(*, null: bool = False) -> May:
    return May([*text(64).wrong, "a/b", "ü", "a b"], null)


def number(least: int, most: int | None = None, *, null: bool = False) -> May:
    return May(["5", "", 1.5, True, [], {}, least - 1, *([] if most is None else [most + 1]), 10**30], null)


def one_of() -> May:
    return May([*text().wrong, "neither"])


def listed(*wrong: Any, null: bool = False) -> May:
    return May([5, True, "x", {}, *wrong], null)


FLAG = May(["true", "FALSE", "", 0, 1, [], {}])
OBJECT = May([5, True, "x", [], ["x"]])
TAGS = listed([5], [None], [""], ["a,b"], ["a/b"], ["x" * 256], ["same", "same"], [f"t{i}" for i in range(81)])


@dataclass(frozen=True)
class Kind:
    """`good` makes a body that does, with a fresh name in `named`. Fields that only creating knows are `at_first`.

    `method` PUT is for resources whose id stands in the address; `many` for bodies that are lists."""

    key: str
    path: str
    good: Callable[[Ground], Awaitable[dict[str, Any]]]
    fields: dict[str, May]
    required: tuple[str, ...] = ()
    at_first: tuple[str, ...] = ()
    named: str = ""
    method: str = "POST"
    many: bool = False
    changes: bool = True


@dataclass
class Ground:
    cloud: Cloud
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def admin(self) -> Client:
        return self.cloud.admin

    async def once(self, key: str, path: str, **body: Any) -> dict[str, Any]:
        """Something that others refer to, of which one will do."""
        if key not in self.made:
            self.made[key] = (await self.admin.post(f"{V3}/{path}", {key: body}, status=201)).json[key]
        found: dict[str, Any] = self.made[key]
        return found

    async def service(self) -> str:
        return str((await self.once("service", "services", type="x"))["id"])

    async def provider(self) -> str:
        if "idp" not in self.made:
            self.made["idp"] = new()
            path = f"{V3}/OS-FEDERATION/identity_providers/{self.made['idp']}"
            await self.admin.put(path, {"identity_provider": {}}, status=201)
        return str(self.made["idp"])

    async def path(self, kind: Kind) -> str:
        """Of the collection."""
        idp = await self.provider() if "{idp}" in kind.path else ""
        return f"{V3}/" + kind.path.format(idp=idp, admin=self.cloud.admin.user_id)


def new() -> str:
    return "n-" + uuid.uuid4().hex


async def just_a_name(g: Ground) -> dict[str, Any]:
    return {"name": new()}


async def a_project(g: Ground) -> dict[str, Any]:
    return {"name": new(), "domain_id": "default"}


async def a_service(g: Ground) -> dict[str, Any]:
    return {"type": new()}


async def an_endpoint(g: Ground) -> dict[str, Any]:
    return {"service_id": await g.service(), "interface": "public", "url": "http://there.test/"}


async def a_policy(g: Ground) -> dict[str, Any]:
    return {"blob": "{}", "type": "application/json"}


async def a_credential(g: Ground) -> dict[str, Any]:
    return {"type": "cert", "blob": "x", "user_id": g.cloud.admin.user_id}


async def an_endpoint_group(g: Ground) -> dict[str, Any]:
    return {"name": new(), "filters": {"interface": "public"}}


async def a_registered_limit(g: Ground) -> dict[str, Any]:
    return {"service_id": await g.service(), "resource_name": new(), "default_limit": 5}


async def a_limit(g: Ground) -> dict[str, Any]:
    one = await a_registered_limit(g)
    await g.admin.post(f"{V3}/registered_limits", {"registered_limits": [one]}, status=201)
    project = await g.once("project", "projects", **await a_project(g))
    return {"service_id": one["service_id"], "resource_name": one["resource_name"], "resource_limit": 5,
            "project_id": project["id"]}


async def nothing(g: Ground) -> dict[str, Any]:
    return {}


async def a_mapping(g: Ground) -> dict[str, Any]:
    return {"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}]}


async def a_protocol(g: Ground) -> dict[str, Any]:
    if "mapping" not in g.made:
        g.made["mapping"] = new()
        path = f"{V3}/OS-FEDERATION/mappings/{g.made['mapping']}"
        await g.admin.put(path, {"mapping": await a_mapping(g)}, status=201)
    return {"mapping_id": g.made["mapping"]}


async def a_client(g: Ground) -> dict[str, Any]:
    return {"name": new(), "redirect_uris": ["https://there.test/back"]}


async def a_service_provider(g: Ground) -> dict[str, Any]:
    return {"auth_url": "https://there.test/auth", "sp_url": "https://there.test/sp"}


async def a_trust(g: Ground) -> dict[str, Any]:
    if "trustor" not in g.made:
        g.made["trustor"], g.made["trustee"] = await g.cloud.project(), await g.cloud.project()
    trustor = g.made["trustor"]
    return {"trustor_user_id": trustor.user_id, "trustee_user_id": g.made["trustee"].user_id, "impersonation": False,
            "project_id": trustor.project_id, "roles": [{"name": "member"}]}


DESCRIPTION = {"description": free()}
URL = May([*NOT_TEXT, "", "no url", "http://" + "x" * 300])
MOMENT = May([*text().wrong, "tomorrow", "2026-13-01T00:00:00Z"], null=True)
WORDS = ("ignore_change_password_upon_first_use", "ignore_password_expiry", "ignore_lockout_failure_attempts",
         "lock_password", "ignore_user_inactivity", "multi_factor_auth_enabled")
USER_OPTIONS = May([*OBJECT.wrong, *({word: wrong} for word in WORDS for wrong in ("true", 1, [], {})),
                    {"multi_factor_auth_rules": "password"}, {"multi_factor_auth_rules": [5]}])
OPTIONS = May([*OBJECT.wrong, {"immutable": "true"}, {"immutable": 1}])

KINDS = [
    Kind("domain", "domains", just_a_name, {
        "name": name(64), "enabled": FLAG, "options": OPTIONS, "explicit_domain_id": id(null=True), **DESCRIPTION,
    }, ("name",), ("explicit_domain_id",), "name"),
    Kind("project", "projects", a_project, {
        "name": name(64), "enabled": FLAG, "domain_id": id(null=True), "parent_id": id(null=True), "is_domain": FLAG,
        "tags": TAGS, "options": OPTIONS, **DESCRIPTION,
    }, ("name",), ("domain_id", "parent_id", "is_domain"), "name"),
    Kind("user", "users", a_project, {
        "name": name(255), "enabled": FLAG, "domain_id": id(null=True), "default_project_id": id(null=True),
        "password": May([*NOT_TEXT, "x" * 4097], null=True), "options": USER_OPTIONS,
        "federated": listed([5], [{}], [{"idp_id": 5, "protocols": []}]), **DESCRIPTION,
    }, ("name",), ("domain_id",), "name"),
    Kind("group", "groups", a_project, {
        "name": name(64), "domain_id": id(null=True), **DESCRIPTION,
    }, ("name",), ("domain_id",), "name"),
    Kind("role", "roles", just_a_name, {
        "name": name(255), "domain_id": id(null=True), "options": OPTIONS, **DESCRIPTION,
    }, ("name",), ("domain_id",), "name"),
    Kind("region", "regions", nothing, {
        "id": text(255, empty=True), "parent_region_id": text(255, empty=True, null=True), **DESCRIPTION,
    }, (), ("id",)),
    Kind("service", "services", a_service, {
        "type": text(255), "name": name(255), "enabled": FLAG, **DESCRIPTION,
    }, ("type",)),
    Kind("endpoint", "endpoints", an_endpoint, {
        "service_id": id(), "interface": one_of(), "url": May([*text().wrong, "no url", "http://", "http://$(x"]),
        "region_id": text(255, empty=True, null=True), "region": text(255, empty=True, null=True), "enabled": FLAG,
    }, ("service_id", "interface", "url")),
    Kind("policy", "policies", a_policy, {
        "blob": May(NOT_TEXT), "type": text(255, empty=True),
    }, ("blob", "type")),
    Kind("credential", "credentials", a_credential, {
        "type": text(255), "blob": May([*NOT_TEXT[:5], "x" * 65_537]), "user_id": id(), "project_id": id(null=True),
    }, ("type", "blob")),
    Kind("endpoint_group", "OS-EP-FILTER/endpoint_groups", an_endpoint_group, {
        "name": text(255), "filters": May([*OBJECT.wrong, {"interface": "neither"}, {"interface": 5}, {"colour": "x"}]),
        **DESCRIPTION,
    }, ("name", "filters")),
    Kind("consumer", "OS-OAUTH1/consumers", nothing, {"description": free(), "secret": May(["mine"])}),
    Kind("registered_limit", "registered_limits", a_registered_limit, {
        "service_id": id(), "region_id": text(255, empty=True, null=True), "resource_name": text(255),
        "default_limit": number(-1, 2**31 - 1), **DESCRIPTION,
    }, ("service_id", "resource_name", "default_limit"), named="resource_name", many=True),
    Kind("limit", "limits", a_limit, {
        "service_id": id(), "region_id": text(255, empty=True, null=True), "resource_name": text(255),
        "resource_limit": number(-1, 2**31 - 1), "project_id": id(), **DESCRIPTION,
    }, ("service_id", "resource_name", "resource_limit", "project_id"),
        ("service_id", "region_id", "resource_name", "project_id"), many=True),
    Kind("identity_provider", "OS-FEDERATION/identity_providers", nothing, {
        "enabled": FLAG, "domain_id": id(null=True), "authorization_ttl": number(0, 60 * 24 * 3660, null=True),
        "remote_ids": listed([5], [{}], ["x" * 256], null=True), **DESCRIPTION,
    }, (), ("domain_id",), method="PUT"),
    Kind("mapping", "OS-FEDERATION/mappings", a_mapping, {
        "rules": listed([], [5], [{}], [{"local": [], "remote": []}], ["x"]),
        "schema_version": text(empty=True, null=True),
    }, ("rules",), method="PUT"),
    Kind("protocol", "OS-FEDERATION/identity_providers/{idp}/protocols", a_protocol, {
        "mapping_id": id(), "remote_id_attribute": text(64, empty=True),
    }, ("mapping_id",), method="PUT"),
    Kind("client", "OS-OIDC/clients", a_client, {
        "name": name(255), "public": FLAG,
        "redirect_uris": listed([], [5], ["no url"], ["javascript:alert(1)"], ["https://there.test/#x"], ["x" * 2049]),
    }, ("name", "redirect_uris"), ("public",)),
    Kind("application_credential", "users/{admin}/application_credentials", just_a_name, {
        "name": name(255), "secret": text(4096, null=True), "expires_at": MOMENT, "unrestricted": FLAG,
        "roles": listed([5], ["member"], [{}], [{"name": "nobody"}], null=True),
        "access_rules": listed([5], [{}], [{"path": "/x", "method": "JUMP", "service": "compute"}], null=True),
        **DESCRIPTION,
    }, ("name",), named="name", changes=False),
    Kind("service_provider", "OS-FEDERATION/service_providers", a_service_provider, {
        "auth_url": URL, "sp_url": URL, "enabled": FLAG, "relay_state_prefix": text(255, empty=True, null=True),
        **DESCRIPTION,
    }, ("auth_url", "sp_url"), method="PUT"),
    Kind("trust", "OS-TRUST/trusts", a_trust, {
        "trustor_user_id": id(), "trustee_user_id": id(), "impersonation": FLAG, "project_id": id(),
        "roles": listed([5], ["member"], [{}]), "expires_at": MOMENT, "remaining_uses": number(1, null=True),
        "redelegation_count": number(0, null=True), "allow_redelegation": May(["true", 0, [], {}], null=True),
    }, ("trustor_user_id", "trustee_user_id", "impersonation"), changes=False),
]
MAY_CHANGE_NOTHING = ("project", "registered_limit", "limit", "client")
"""Where upstream's schema asks for no attribute at all; OpenID clients are ours alone."""
NAMED = [kind for kind in KINDS if kind.named]


def key(kind: Kind) -> str:
    return kind.key


@pytest.fixture
def ground(cloud: Cloud) -> Ground:
    return Ground(cloud)


def maker(ground: Ground, kind: Kind) -> Client:
    """Trusts are made by who trusts, everything else by an administrator."""
    found: Client = ground.made["trustor"] if kind.key == "trust" else ground.admin
    return found


async def send(ground: Ground, kind: Kind, body: dict[str, Any]) -> Answer:
    inside: Any = {f"{kind.key}s": [body]} if kind.many else {kind.key: body}
    path = await ground.path(kind) + (f"/{new()}" if kind.method == "PUT" else "")
    return await maker(ground, kind).request(kind.method, path, raw(inside))


def raw(body: Any) -> bytes:
    """The faster serializer of the client knows no integers beyond 64 bits."""
    return json.dumps(body).encode()


def one(kind: Kind, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = answer.json[f"{kind.key}s"][0] if kind.many else answer.json[kind.key]
    return found


async def made(ground: Ground, kind: Kind) -> str:
    answer = await send(ground, kind, await kind.good(ground))
    assert answer.status == 201, answer.body
    return f"{await ground.path(kind)}/{one(kind, answer)['id']}"


def refused(answer: Answer, what: object) -> None:
    shown = json.dumps(what)[:200]
    assert answer.status == 400, f"{shown} is {answer.status}: {answer.body[:300]!r}"
    error = answer.json["error"]
    assert (error["code"], error["title"]) == (400, "Bad Request"), shown
    assert error["message"], shown


@pytest.mark.parametrize("kind", KINDS, ids=key)
async def test_a_field_made_of_what_it_may_not_be_is_400(ground: Ground, kind: Kind) -> None:
    good = await kind.good(ground)
    for field_name, may in kind.fields.items():
        for wrong in may.wrong:
            refused(await send(ground, kind, {**good, field_name: wrong}), {field_name: wrong})
    assert (await send(ground, kind, good)).status == 201, "and the body without all that does"


@pytest.mark.parametrize("kind", KINDS, ids=key)
async def test_null_is_something_or_400(ground: Ground, kind: Kind) -> None:
    for field_name, may in kind.fields.items():
        answer = await send(ground, kind, {**await kind.good(ground), field_name: None})
        if may.null:
            assert answer.status == 201, f"{field_name}: {answer.status} {answer.body[:300]!r}"
        else:
            refused(answer, {field_name: None})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.required], ids=key)
async def test_what_is_required_is_missed(ground: Ground, kind: Kind) -> None:
    good = await kind.good(ground)
    for missing in kind.required:
        refused(await send(ground, kind, {k: v for k, v in good.items() if k != missing}), missing)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.changes], ids=key)
async def test_a_field_changed_to_what_it_may_not_be_is_400_and_changes_nothing(ground: Ground, kind: Kind) -> None:
    path = await made(ground, kind)
    before = (await ground.admin.get(path, status=200)).json
    for field_name, may in kind.fields.items():
        if field_name in kind.at_first:
            continue
        for wrong in may.wrong if may.null else [*may.wrong, None]:
            if not (kind.key == "endpoint_group" and wrong is None):
                answer = await ground.admin.patch(path, raw({kind.key: {field_name: wrong}}))
                refused(answer, {field_name: wrong})
    for nonsense in ([], "text", 5, None, {}):
        if nonsense != {} or kind.key not in MAY_CHANGE_NOTHING:
            refused(await ground.admin.patch(path, {kind.key: nonsense}), nonsense)
        refused(await ground.admin.patch(path, nonsense), nonsense)
    assert (await ground.admin.get(path, status=200)).json == before


@pytest.mark.parametrize("kind", NAMED, ids=key)
async def test_a_name_is_taken_once_and_comes_back_as_it_went(ground: Ground, kind: Kind) -> None:
    odd = f"{ODD} {new()[:10]}"
    good, other = await kind.good(ground), await kind.good(ground)
    first = await send(ground, kind, {**good, kind.named: odd})
    assert first.status == 201 and one(kind, first)[kind.named] == odd
    again = await send(ground, kind, {**good, kind.named: odd})
    assert (again.status, again.json["error"]["title"]) == (409, "Conflict")
    cased = await send(ground, kind, {**good, kind.named: odd.swapcase()})
    assert cased.status == 201, "case makes another name"
    second = await send(ground, kind, other)
    path = f"{await ground.path(kind)}/{one(kind, second)['id']}"
    if not kind.changes:
        return
    await ground.admin.patch(path, {kind.key: {kind.named: odd}}, status=409)
    assert (await ground.admin.get(path, status=200)).json[kind.key][kind.named] == other[kind.named]
    blank = await send(ground, kind, {**good, kind.named: odd + " "})
    assert blank.status in (201, 409), "Keystone strips names of projects and domains"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.method == "PUT"], ids=key)
async def test_an_id_in_the_address_is_taken_once(ground: Ground, kind: Kind) -> None:
    path = f"{await ground.path(kind)}/{new()}"
    body = {kind.key: await kind.good(ground)}
    await ground.admin.put(path, body, status=201)
    await ground.admin.put(path, body, status=409)
