# SPDX-License-Identifier: Apache-2.0
"""What OpenID Connect says of somebody, under the names that mappings know it by.

Mappings written for Keystone behind mod_auth_openidc call a claim `email` HTTP_OIDC_EMAIL or OIDC-email, or with
that module's own prefix OIDC_CLAIM_email; all three are there. A list is several values, as in mapping.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MOST_CLAIMS = 500
HEADER = re.compile(r"[^A-Z0-9]")


def assertion(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in list(claims.items())[:MOST_CLAIMS]:
        values = texts(value)
        if values:
            for spelled in (f"OIDC-{name}", f"HTTP_OIDC_{HEADER.sub('_', name.upper())}", f"OIDC_CLAIM_{name}"):
                found.setdefault(spelled, values)
    if isinstance(claims.get("sub"), str) and claims["sub"]:
        found["REMOTE_USER"] = (claims["sub"],)
    return found


def texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return tuple(one for each in value for one in texts(each))
    if value is None or value == "":
        return ()
    return (value if isinstance(value, str) else json.dumps(value),)
