# SPDX-License-Identifier: Apache-2.0
"""Every mutating operation of the route table twice at once, and against its own delete.

How each is set up is operations/; what is counted afterwards is tests/kit/recount.py. Races over one scarce
thing (a name, an address, the last place of a quota) are test_scarce.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Route
from skyhold.core.service import Service
from tests.kit import recount
from tests.kit.client import Answer
from tests.race.conftest import SEED, Jitter
from tests.race.duel import REFUSALS, REGISTRY, Duel, Ground, at_once, holds, operations, version_of

# Every file in operations/ registers its races as it is imported.
for file in (Path(__file__).parent / "operations").glob("*.py"):
    importlib.import_module(f"tests.race.operations.{file.stem}")

ROUNDS, ROUNDS_ELSEWHERE = 3, 2
"""On PostgreSQL, and where the question is only whether another database means the same."""
ALL = operations()


def test_every_operation_has_a_race_and_every_race_an_operation() -> None:
    keys = {key for key, _, _ in ALL}
    missing = sorted(keys - REGISTRY.keys())
    assert not missing, "operations without a race; add an entry to tests/race/operations/:\n" + "\n".join(missing)
    assert not REGISTRY.keys() - keys, sorted(REGISTRY.keys() - keys)


@pytest.mark.parametrize(("key", "service", "route"), ALL, ids=[f"{key} {route.since}" for key, _, route in ALL])
async def test_twice_at_once(ground: Ground, jitter: Jitter, key: str, service: Service, route: Route) -> None:
    for round_number in range(rounds(ground)):
        duel = await REGISTRY[key](ground)
        answers = await fight(ground, jitter, duel, version_of(service, route), False, round_number)
        winners = sum(answer.status < 400 for answer in answers)
        assert winners in duel.winners, told(key, answers)
        if winners == 2 and duel.keeps is not None:
            await nothing_lost(duel, version_of(service, route))
    await all_counts(ground)


@pytest.mark.parametrize(("key", "service", "route"), ALL, ids=[f"{key} {route.since}" for key, _, route in ALL])
async def test_against_its_delete(ground: Ground, jitter: Jitter, key: str, service: Service, route: Route) -> None:
    for round_number in range(rounds(ground)):
        duel = await REGISTRY[key](ground)
        if duel.gone is None:
            assert route.method == "DELETE", f"{key}: say what takes away the thing that it is about"
            return
        answers = await fight(ground, jitter, duel, version_of(service, route), True, round_number)
        assert any(answer.status < 400 for answer in answers), told(key, answers)
    await all_counts(ground)


def rounds(g: Ground) -> int:
    return ROUNDS if g.cloud.core.db.name == "postgresql" else ROUNDS_ELSEWHERE


async def fight(
    g: Ground, jitter: Jitter, duel: Duel, version: dict[str, str], against_delete: bool, round_number: int
) -> list[Answer]:
    jitter.on = round_number > 0
    try:
        answers = await at_once(*(call.at(version) for call in duel.pair(against_delete)))
    finally:
        jitter.on = False
    for answer in answers:
        assert answer.status < 400 or answer.status in (*REFUSALS, *duel.refusals), told("", answers)
        assert answer.status != 409 or gives_its_reason(answer), told("a conflict without a reason", answers)
    assert await g.cloud.core.sagas.idle(), "something is still going on"
    return answers


def gives_its_reason(answer: Answer) -> bool:
    """A word for programs, and a sentence that says more than "conflict"."""
    if answer.headers["content-type"].startswith("text/html"):
        return bool(answer.headers["x-openstack-reason"]) and len(answer.body.split()) > 3
    name, fault = next(iter(answer.json.items()))
    fault = fault[0] if name == "errors" else fault
    words = str(fault.get("detail") or fault.get("message")).split()
    return bool(fault.get("reason")) and len(words) > 3


async def nothing_lost(duel: Duel, version: dict[str, str]) -> None:
    assert duel.keeps is not None
    who, path, expected = duel.keeps
    found = (await who.get(path, headers=version, status=200)).json
    assert holds(found, expected), f"lost update: {expected} is not all in {found}"


async def all_counts(g: Ground) -> None:
    """Quota is what a recount finds, nothing refers to what isn't there, and all is at rest."""
    found = set(await internal(g.cloud.core).read(findings))
    new = sorted(found - g.known)
    # Told once, by the race that did it.
    g.known |= found
    assert not new, "\n".join([f"seed {SEED}", *new])


def findings(tx: Tx, ctx: Context) -> list[str]:
    return [*recount.drift(tx.all), *recount.strays(tx.all), *recount.unquiet(tx.all)]


def told(key: str, answers: Sequence[Any]) -> str:
    said = [f"{answer.status} {answer.body[:600].decode(errors='replace')}" for answer in answers]
    return "\n".join([f"{key} (seed {SEED})", *said])
