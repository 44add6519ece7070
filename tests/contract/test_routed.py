# SPDX-License-Identifier: Apache-2.0
"""Every operation of the published list of the identity API is one of ours.

What the answers look like is test_contract.py. The list lies beside the repository, in ../shared/contracts;
without it there is nothing to compare. The one thing to know first: it is made from documents, and some of
its lines are examples with a query, or stand for an API that ended.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skyhold.identity.service import SERVICE

LIST = Path(__file__).resolve().parents[3] / "shared" / "contracts" / "operations" / "identity.txt"
VARIABLE = re.compile(r"\{[^}]+\}")

ENDED = "/v2.0/"
"""Version 2.0 of the API ended; its operations live on under /v3."""

SPELLED_WRONG = {
    "GET /v3/auth/OS-FEDERATION/identity_providers/{}/protocol/{}/websso": "protocols, not protocol",
}


def published() -> list[str]:
    if not LIST.exists():
        pytest.skip("the published list is not beside this repository")
    found = []
    for line in LIST.read_text().split("\n"):
        method, _, address = line.strip().partition(" ")
        if method:
            path = VARIABLE.sub("{}", address.partition("?")[0]).removeprefix("/identity")
            found.append(f"{method} {path}")
    return found


def test_every_published_operation_is_routed() -> None:
    ours = {f"{each.method} {VARIABLE.sub('{}', each.path)}" for routes in SERVICE.routes for each in routes.all}
    missing = [
        operation for operation in published()
        if operation not in ours and ENDED not in operation and operation not in SPELLED_WRONG
    ]
    assert not missing, "published, and not routed:\n" + "\n".join(missing)


def test_what_is_spelled_wrong_is_there_as_it_is_spelled_right() -> None:
    paths = {VARIABLE.sub("{}", each.path) for routes in SERVICE.routes for each in routes.all}
    assert "/v3/auth/OS-FEDERATION/identity_providers/{}/protocols/{}/websso" in paths
