# SPDX-License-Identifier: Apache-2.0
"""What the issuer publishes about itself: its endpoints, what it can do, its public keys.

Source: OpenID Connect Discovery 1.0, RFC 8414. The addresses are under the cloud's public URL.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.identity.issuer.signing import ALGORITHM, issuer_url, public_keys

routes = Routes()
SCOPES = ("openid", "profile", "email", "groups", "offline_access")
CACHED = {"Cache-Control": "public, max-age=300"}


@routes.get("/oidc/.well-known/openid-configuration", policy=PUBLIC)
async def document(ctx: Context) -> dict[str, Any]:
    """Show what the issuer can do, and where."""
    base = issuer_url(ctx)
    return {
        "issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo", "jwks_uri": f"{base}/jwks", "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"], "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM], "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "claims_supported": ["sub", "preferred_username", "name", "email", "groups", "openstack_user_domain"],
        "authorization_response_iss_parameter_supported": True, "claims_parameter_supported": False,
        "request_parameter_supported": False, "request_uri_parameter_supported": False,
    }


@routes.get("/oidc/jwks", policy=PUBLIC)
async def jwks(ctx: Context) -> Reply:
    """Show the issuer's public keys."""
    return Reply({"keys": await public_keys(ctx)}, headers=CACHED)
