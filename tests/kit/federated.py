# SPDX-License-Identifier: Apache-2.0
"""An agreement between a cloud and an identity provider, for stories: what an operator does, in a few calls.

Issuers are oidc_issuer.py and saml_idp.py. Agreements are added to those that earlier stories made, as if the
operator had written them into the file before the start.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec

from skyhold.identity.federation.agreements import Agreements, agreements, checked
from tests.kit.client import Answer
from tests.kit.cloud import Cloud
from tests.kit.oidc_issuer import CLIENT, SECRET, OidcIssuer

V3 = "/identity/v3"
AT = V3 + "/OS-FEDERATION"
NAMED: list[Any] = [{
    "local": [{"user": {"id": "{0}", "name": "{1}", "email": "{2}"}}],
    "remote": [{"type": "OIDC-sub"}, {"type": "OIDC-preferred_username"}, {"type": "OIDC-email"}],
}]


def told(cloud: Cloud) -> dict[str, Any]:
    return msgspec.to_builtins(agreements(cloud.core))


def agree(cloud: Cloud, **more: Any) -> Agreements:
    """`more` as the file says it; sections are merged."""
    merged = told(cloud)
    for name, value in more.items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    found = cloud.core.shelf["identity.agreements"] = checked(Path("federation.toml"), merged)
    return found


async def provider(
    cloud: Cloud, rules: list[Any], protocol: str = "openid", *, version: str = "1.0", **more: Any
) -> str:
    """The id of a new identity provider whose word is read by these rules."""
    idp = f"idp-{uuid.uuid4().hex[:10]}"
    mapping = {"rules": rules, "schema_version": version}
    await cloud.admin.put(f"{AT}/mappings/{idp}", {"mapping": mapping}, status=201)
    body = {"enabled": True, **more}
    await cloud.admin.put(f"{AT}/identity_providers/{idp}", {"identity_provider": body}, status=201)
    tied = {"protocol": {"mapping_id": idp}}
    await cloud.admin.put(f"{AT}/identity_providers/{idp}/protocols/{protocol}", tied, status=201)
    return idp


async def by_oidc(cloud: Cloud, issuer: OidcIssuer, rules: list[Any] | None = None, **more: Any) -> str:
    """A provider that the issuer speaks for."""
    version = more.pop("version", "1.0")
    agreed = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET, **more.pop("agreed", {})}
    idp = await provider(cloud, NAMED if rules is None else rules, version=version, **more)
    agree(cloud, oidc={idp: {"openid": agreed}})
    return idp


async def bring(cloud: Cloud, idp: str, access_token: str, status: int = 201) -> Answer:
    path = f"{AT}/identity_providers/{idp}/protocols/openid/auth"
    return await cloud.client().post(path, headers={"Authorization": f"Bearer {access_token}"}, status=status)


async def rescope(cloud: Cloud, token: str, scope: Any, status: int = 201) -> Answer:
    identity = {"methods": ["token"], "token": {"id": token}}
    body = {"auth": {"identity": identity, "scope": scope}}
    return await cloud.client().post(f"{V3}/auth/tokens", body, status=status)
