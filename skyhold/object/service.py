# SPDX-License-Identifier: Apache-2.0
"""The object store's manifest: its index.

Accounts, containers and objects are engine/ for every protocol, and swift/ in Swift's; another protocol is another
folder beside it with a dialect of its own. The catalogue holds the address of the caller's account.
"""

from __future__ import annotations

import re

from skyhold.core.loops import Loop
from skyhold.core.service import Service
from skyhold.object import audit, errors, policy
from skyhold.object.loops import orphans, uploads
from skyhold.object.swift import accounts, containers, discovery, objects

SLASHED = re.compile(r"(/v1/[^/]+(?:/[^/]+)?)/")


def without_slash(path: str) -> str:
    """Accounts and containers may end with a slash; with an object it is part of the name."""
    found = SLASHED.fullmatch(path)
    return found[1] if found else path


def transaction_id(request_id: str) -> str:
    """Swift's form of an id, made of the digits of ours."""
    digits = request_id.removeprefix("req-").replace("-", "")
    return f"tx{digits[:21]}-{digits[21:31]}"


SERVICE = Service(
    name="object",
    type="object-store",
    prefix="/object-store",
    port=8080,
    endpoint="/v1/AUTH_$(project_id)s",
    dialect=errors.DIALECT,
    strip_slash=False,
    path_form=without_slash,
    routes=[discovery.routes, accounts.routes, containers.routes, objects.routes],
    rules=policy.RULES,
    audits=[audit.run],
    loops=[
        Loop("object.uploads", uploads.EVERY_S, uploads.run), Loop("object.orphans", orphans.EVERY_S, orphans.run),
    ],
    on_start=[uploads.at_start],
    request_id_header="X-Trans-Id",
    request_id_form=transaction_id,
)
