# SPDX-License-Identifier: Apache-2.0
"""What the operations answer, held against the published descriptions of the upstream APIs.

Requests come from the route table with the samples of tests/tenancy, so that each operation answers at least once;
every answer of the stories is held against them as well, where it passes by (tests/kit/contract.py).
"""

from __future__ import annotations

import pytest

from skyhold.core.versions import Version
from tests.contract.contracts import FILES, FOLDER, answers, complaints
from tests.tenancy import registry
from tests.tenancy.expected import verdict
from tests.tenancy.land import Land
from tests.tenancy.operations import Operation, operations
from tests.tenancy.test_tenancy import ask

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="the contracts are not beside this repository (../shared/contracts)"
)

def test_the_check_against_upstreams_contract_can_fail() -> None:
    domain = {"id": "default", "name": "Default", "description": "", "enabled": True, "tags": [], "options": {}}
    good, asked = {"domains": [domain], "links": {}}, ("identity", "GET", "/v3/domains", 200, Version(0, 0))
    assert not complaints(*asked, good)
    for bad in ({"domains": {}}, {"domains": [domain | {"enabled": "perhaps"}]}, {"domains": [domain | {"id": 1}]}):
        assert complaints(*asked, bad)


def described() -> list[Operation]:
    """Operations that the contracts know, in the newest version and in the oldest."""
    found = []
    for operation in operations():
        route = operation.route
        if operation.service.name in FILES and answers(operation.service.name, route.method, route.path):
            found.append(operation)
    return found


def test_most_operations_are_described() -> None:
    """Else a changed form of address would leave nothing to test."""
    assert len(described()) > len(operations()) * 0.8


@pytest.mark.parametrize("operation", described(), ids=lambda each: each.name)
async def test_an_answer_keeps_the_contract(land: Land, operation: Operation) -> None:
    name, route = operation.service.name, operation.route
    held = 0
    for who in land.people:
        if verdict(land, who, operation) not in ("done", "own") or who.name not in ("owner", "admin"):
            continue
        answer = await ask(land, who, operation)
        if answer.status >= 400:
            continue
        held += 1
        if answer.headers.get("content-type", "").startswith("application/json") and answer.body:
            serious = complaints(name, route.method, route.path, answer.status, operation.version, answer.json)
            assert not serious, "\n".join([who.name, *serious])
    assert held or operation.name in registry.REFUSED, "nobody could do it, so nothing was held against the contract"
