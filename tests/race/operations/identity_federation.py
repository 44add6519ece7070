# SPDX-License-Identifier: Apache-2.0
"""Races of federation's operations.

What an entry means is ../duel.py. All of it is an administrator's.
"""

from __future__ import annotations

from typing import Any

from tests.kit.federated import NAMED, agree
from tests.kit.oidc_issuer import CLIENT, SECRET, OidcIssuer, serving
from tests.race.duel import Call, Duel, Ground, name, race
from tests.race.operations.identity import change, removal

V3 = "/identity/v3/OS-FEDERATION"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
PLACES = {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}


async def put(g: Ground, kind: str, body: dict[str, Any], path: str | None = None) -> str:
    """The address of a new one."""
    at = path or f"{V3}/{kind}s/{name()}"
    await g.admin.put(at, {kind: body}, status=201)
    return at


async def a_mapping(g: Ground) -> str:
    return await put(g, "mapping", {"rules": RULES})


async def a_provider(g: Ground) -> str:
    return await put(g, "identity_provider", {"enabled": True}, f"{V3}/identity_providers/{name()}")


async def a_protocol(g: Ground) -> tuple[str, str]:
    """Its address, and its provider's."""
    provider, mapping = await a_provider(g), (await a_mapping(g)).rpartition("/")[2]
    return await put(g, "protocol", {"mapping_id": mapping}, f"{provider}/protocols/{name()}"), provider


def creation(g: Ground, path: str, kind: str, body: dict[str, Any], gone: str) -> Duel:
    return Duel(Call(g.admin, "PUT", path, {kind: body}), gone=Call(g.admin, "DELETE", gone), winners=(1,))


@race("PUT /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def create_provider(g: Ground) -> Duel:
    domain = await g.make("/identity/v3/domains", "domain", name=name(), enabled=False)
    body = {"domain_id": domain["id"], "remote_ids": [name()]}
    gone = f"/identity/v3/domains/{domain['id']}"
    return creation(g, f"{V3}/identity_providers/{name()}", "identity_provider", body, gone)


@race("PATCH /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def change_provider(g: Ground) -> Duel:
    first, second = {"description": "one"}, {"authorization_ttl": 7}
    return change(g, "identity_provider", await a_provider(g), first, second)


@race("DELETE /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def delete_provider(g: Ground) -> Duel:
    return removal(g, await a_provider(g))


@race("PUT /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def create_protocol(g: Ground) -> Duel:
    provider, mapping = await a_provider(g), (await a_mapping(g)).rpartition("/")[2]
    return creation(g, f"{provider}/protocols/{name()}", "protocol", {"mapping_id": mapping}, provider)


@race("PATCH /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def change_protocol(g: Ground) -> Duel:
    path, _ = await a_protocol(g)
    mapping = (await a_mapping(g)).rpartition("/")[2]
    return change(g, "protocol", path, {"mapping_id": mapping}, {"remote_id_attribute": "two"})


@race("DELETE /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def delete_protocol(g: Ground) -> Duel:
    path, provider = await a_protocol(g)
    return removal(g, path, provider)


@race("PUT /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def create_mapping(g: Ground) -> Duel:
    return creation(g, f"{V3}/mappings/{name()}", "mapping", {"rules": RULES}, await a_mapping(g))


@race("PATCH /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def change_mapping(g: Ground) -> Duel:
    return change(g, "mapping", await a_mapping(g), {"rules": [*RULES, *RULES]}, {"schema_version": "2.0"})


@race("DELETE /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def delete_mapping(g: Ground) -> Duel:
    return removal(g, await a_mapping(g))


@race("PUT /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def create_service_provider(g: Ground) -> Duel:
    other = await put(g, "service_provider", PLACES)
    return creation(g, f"{V3}/service_providers/{name()}", "service_provider", PLACES, other)


@race("PATCH /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def change_service_provider(g: Ground) -> Duel:
    path = await put(g, "service_provider", PLACES)
    return change(g, "service_provider", path, {"description": "one"}, {"enabled": True})


@race("DELETE /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def delete_service_provider(g: Ground) -> Duel:
    return removal(g, await put(g, "service_provider", PLACES))


# ---- signing in ------------------------------------------------------------------------------

DASHBOARD = "https://dashboard.test/"


async def a_way_in(g: Ground) -> tuple[OidcIssuer, str]:
    """An issuer, and the address of the protocol that it speaks for."""
    issuer = await serving(preferred_username="alice", email="a@x.org")
    mapping = await put(g, "mapping", {"rules": NAMED})
    provider = await a_provider(g)
    path = await put(g, "protocol", {"mapping_id": mapping.rpartition("/")[2]}, f"{provider}/protocols/openid")
    agreed = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET}
    agree(g.cloud, oidc={provider.rpartition("/")[2]: {"openid": agreed}}, trusted_dashboards=[DASHBOARD])
    return issuer, path


@race("POST /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth")
async def come_with_a_word(g: Ground) -> Duel:
    issuer, path = await a_way_in(g)
    one = Call(g.cloud.client(), "POST", f"{path}/auth", headers={"Authorization": f"Bearer {issuer.sign()}"})
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))


@race("POST /identity/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso")
async def start_at_a_provider(g: Ground) -> Duel:
    _, path = await a_way_in(g)
    at = path.replace("/v3/OS-FEDERATION/", "/v3/auth/OS-FEDERATION/") + f"/websso?origin={DASHBOARD}"
    return Duel(Call(g.cloud.client(), "POST", at), gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))


@race("POST /identity/v3/auth/OS-FEDERATION/websso/{protocol_id}")
async def start_by_a_protocol(g: Ground) -> Duel:
    _, path = await a_way_in(g)
    at = f"/identity/v3/auth/OS-FEDERATION/websso/openid?origin={DASHBOARD}"
    return Duel(Call(g.cloud.client(), "POST", at), gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))
