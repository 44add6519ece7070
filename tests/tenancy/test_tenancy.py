# SPDX-License-Identifier: Apache-2.0
"""Invariant 3: every operation, by everybody, on what is one tenant's and on what is nobody's.

The operations come from the route table, the expectations from the policy data (expected.py).
Who may do a thing rehearses it; who may not tries in earnest, and nothing must have changed.
"""

from __future__ import annotations

import re

from tests.kit.client import Answer
from tests.tenancy import registry
from tests.tenancy.expected import fits, of_unknown, verdict
from tests.tenancy.land import Land, Someone
from tests.tenancy.operations import Operation, every
from tests.tenancy.snapshot import difference, snapshot

FITTING = (*range(200, 500), 501)
"""Never a 5xx; 501 is a driver's honest answer."""
REASON = re.compile(r"rule [\w:-]+ (needs .+; you have .*role.* in|works in .* scope only; your token is)")
"""What was asked for, what the caller has, and where."""
FACES = re.compile(
    r"req-[0-9a-f-]{36}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\b\d{9}\b"
    r"|nobodys|CUSTOM_\w+|birds|elsewhere|host-1"
)


@every()
async def test_invariant_3_everybody_gets_what_the_policy_says_and_no_more(
    land: Land, operation: Operation
) -> None:
    before = await snapshot(land.cloud)
    wrong = []
    for who in land.people:
        expected = verdict(land, who, operation)
        known = await ask(land, who, operation, rehearse=expected in ("done", "own"))
        if not fits(expected, operation, known.status):
            wrong.append(f"{who.name}: {expected} expected, not {known.status} {known.body[:300]!r}")
        if expected in ("forbidden", "refused") and known.status == 403 and known.body:
            wrong += [] if REASON.search(known.body.decode()) else [f"{who.name}: no reason in {known.body!r}"]
        if not who.near and "admin" not in who.creds.roles and who.name != "system reader":
            wrong += [f"{who.name} is told {secret!r}" for secret in told(land, operation, known)]
        if operation.variables:
            unknown = await ask(land, who, operation, known=False)
            wrong += compare(land, who, operation, known, unknown)
        elif expected == "refused" and "$" in repr(registry.BODIES.get(operation.name)):
            unknown = await ask(land, who, operation, known=False)
            wrong += tells_apart(who, known, unknown)
    assert not wrong, "\n".join(wrong)
    assert not difference(before, await snapshot(land.cloud))


async def ask(
    land: Land, who: Someone, operation: Operation, *, known: bool = True, rehearse: bool = True
) -> Answer:
    headers = operation.headers(land.ids)
    if operation.changes and (rehearse if known else not operation.route.stream):
        headers = headers | {"X-Dry-Run": "true"}
    return await who.client.request(
        operation.route.method, operation.address(land.ids, known=known),
        operation.body(land.ids, known=known or bool(operation.variables)),
        headers=headers, content_type=operation.media, status=FITTING,
    )


def told(land: Land, operation: Operation, answer: Answer) -> list[str]:
    """The secrets of the land that the answer holds and the request did not."""
    asked = operation.address(land.ids) + repr(operation.body(land.ids))
    return told_by(answer, [secret for secret in land.secrets() if secret not in asked])


def told_by(answer: Answer, secrets: list[str]) -> list[str]:
    text = answer.body.decode(errors="replace") + repr(answer.headers)
    return [secret for secret in secrets if secret in text]


def compare(land: Land, who: Someone, operation: Operation, known: Answer, unknown: Answer) -> list[str]:
    """An id that nobody has is not found; and who may not know of the land can't tell it from the land's."""
    if verdict(land, who, operation) == "refused":
        return tells_apart(who, known, unknown)
    fitting = of_unknown(land, who, operation)
    if unknown.status in fitting:
        return []
    return [f"{who.name}: {fitting} expected of an unknown id, not {unknown.status} {unknown.body[:300]!r}"]


def tells_apart(who: Someone, known: Answer, unknown: Answer) -> list[str]:
    same = known.status == unknown.status and faceless(known) == faceless(unknown)
    return [] if same else [f"{who.name} can tell: {faceless(known)!r} {faceless(unknown)!r}"]


def faceless(answer: Answer) -> str:
    """An answer without the ids of the request and of what was asked for."""
    return FACES.sub("…", answer.body.decode())
