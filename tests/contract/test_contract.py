# SPDX-License-Identifier: Apache-2.0
"""What the operations answer, held against the published descriptions of the upstream APIs.

Requests come from the route table with the samples of tests/tenancy. Where a contract is wrong, or
a well-known client expects something else, the difference stands in DIFFERS with its reason.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.contracts import FILES, FOLDER, answers, complaints, schema_of
from tests.tenancy import registry
from tests.tenancy.expected import verdict
from tests.tenancy.land import Land
from tests.tenancy.operations import Operation, operations
from tests.tenancy.test_tenancy import ask

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="the contracts are not beside this repository (../shared/contracts)"
)

DIFFERS: list[tuple[str, str, str]] = [
    # Part of an operation's name, part of the complaint, and who says that the contract is wrong.
    ("application_credentials", "domain_id", "the API reference's samples have the domain of each role"),
    ("application_credentials", "more than 1 property", "the same"),
    ("security-group", "port_range", "the API reference and every client have ports as integers"),
    ("security-group", "security_group_rules", "the same, inside a group"),
    ("floatingips", "port_details", "the API reference has an object; openstacksdk reads one"),
    ("service-providers", "default", "the API reference has a boolean"),
    ("/v2/schemas/", "additionalProperties", "a schema is described by a schema of schemas that is too narrow"),
    ("/v2/schemas/", "properties", "the same, of schemas without that word"),
    ("/v2/schemas/metadefs/", "definitions", "the file calls these schemas texts"),
    ("/tags", "tags", "the API reference answers several tags with several"),
    ("POST /v2/metadefs/namespaces/{namespace_name}/tags", "name", "the same"),
    ("/v2/info/stores", "default", "the API reference has the word true as a string"),
    ("/v2/info/usage", "usage", "the API reference has an object by the name of the quota"),
    ("/v2.1/flavors", "OS-FLV-DISABLED:disabled", "the API reference has it, and the description since 2.55"),
]


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
    responses = answers(name, route.method, route.path) or {}
    held = 0
    for who in land.people:
        if verdict(land, who, operation) not in ("done", "own") or who.name not in ("owner", "admin"):
            continue
        answer = await ask(land, who, operation)
        if answer.status >= 400:
            continue
        held += 1
        if answer.headers.get("content-type", "").startswith("application/json") and answer.body:
            schema = fitting(responses, answer.status)
            wrong = complaints(name, schema, operation.version, answer.json) if schema else []
            serious = [each for each in wrong if not excused(operation, each)]
            assert not serious, "\n".join([who.name, *serious])
    assert held or operation.name in registry.REFUSED, "nobody could do it, so nothing was held against the contract"


def excused(operation: Operation, complaint: str) -> bool:
    return any(part in operation.name and word in complaint for part, word, _ in DIFFERS)


def fitting(responses: dict[str, Any], status: int) -> Any:
    """The schema of this status, or of any good one: files give the status of another operation."""
    own = responses.get(str(status))
    if own and (schema := schema_of(own)):
        return schema
    good = [schema_of(response) for code, response in responses.items() if code < "300"]
    return next((schema for schema in good if schema), None)


