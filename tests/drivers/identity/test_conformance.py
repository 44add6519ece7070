# SPDX-License-Identifier: Apache-2.0
"""What every directory promises, tried on the one in memory and on a real LDAP server.

What is made of the answers is tests/story/identity/test_directories.py; how LDAP's entries are understood is
tests/unit/identity/test_directory.py.
"""

from __future__ import annotations

import asyncio

import pytest

from skyhold.identity.drivers.base import Away, Person
from tests.drivers.identity.conftest import Rig

pytestmark = pytest.mark.asyncio


async def known(rig: Rig, uid: str) -> Person:
    found = await rig.directory.person(local_id=uid)
    assert found is not None
    return found


async def test_a_person_is_found_by_name_and_by_id(rig: Rig) -> None:
    rig.person("u1", name="alice", email="alice@there.test", description="First.")
    rig.person("u2", name="bob")
    by_name = await rig.directory.person(name="alice")
    assert by_name is not None and by_name == await rig.directory.person(local_id="u1")
    assert (by_name.local_id, by_name.name, by_name.enabled, by_name.default_project_id) == ("u1", "alice", True, None)
    assert by_name.extra == {"email": "alice@there.test", "description": "First."}
    assert (await known(rig, "u2")).extra == {}
    assert await rig.directory.person(name="u1") is None
    assert await rig.directory.person(local_id="alice") is None


async def test_case_is_no_difference(rig: Rig) -> None:
    rig.person("u1", "Right", name="Alice")
    found = await rig.directory.person(name="aLICE")
    assert found is not None and found.name == "Alice"
    assert await rig.directory.person(local_id="U1") == found
    assert not await rig.directory.matches(found, "right"), "of a password it is one"


async def test_two_of_one_name_are_nobody(rig: Rig) -> None:
    rig.person("u1", name="alice")
    rig.person("u2", name="alice")
    assert await rig.directory.person(name="alice") is None
    assert (await known(rig, "u2")).name == "alice"


@pytest.mark.parametrize("name", ["*", "al*", "alice)(uid=*", "*)(|(cn=*", "a\\2alice", "alice\0", ""])
async def test_a_name_is_no_pattern(rig: Rig, name: str) -> None:
    rig.person("alice")
    assert await rig.directory.person(name=name) is None
    assert await rig.directory.person(local_id=name) is None


async def test_every_letter_may_stand_in_a_name(rig: Rig) -> None:
    name = "o'brien, (jr.)*\\ ü+="
    rig.person("u1", "right", name=name)
    rig.team("ops", "u1")
    found = await rig.directory.person(name=name)
    assert found is not None and found.name == name
    assert await rig.directory.matches(found, "right")
    assert [team.name for team in await rig.directory.teams_of(found)] == ["ops"]


async def test_one_password_matches(rig: Rig) -> None:
    rig.person("alice", "right")
    rig.person("bob", "other")
    alice = await known(rig, "alice")
    assert await rig.directory.matches(alice, "right")
    for wrong in ("wrong", "other", "right ", ""):
        assert not await rig.directory.matches(alice, wrong), wrong


async def test_nobody_has_an_empty_password(rig: Rig) -> None:
    rig.person("alice")
    assert not await rig.directory.matches(await known(rig, "alice"), "")


async def test_who_was_removed_has_no_password_any_more(rig: Rig) -> None:
    rig.person("alice", "right")
    alice = await known(rig, "alice")
    rig.remove("alice")
    assert not await rig.directory.matches(alice, "right")
    assert await rig.directory.person(local_id="alice") is None


async def test_somebody_disabled_is_found_as_such(rig: Rig) -> None:
    rig.person("alice", "right", enabled=False)
    rig.person("bob")
    assert not (await known(rig, "alice")).enabled
    assert (await known(rig, "bob")).enabled
    rig.disable("bob")
    assert not (await known(rig, "bob")).enabled


async def test_the_teams_of_a_person_have_that_member_alone(rig: Rig) -> None:
    for uid in ("alice", "bob"):
        rig.person(uid)
    rig.team("ops", "alice", "bob", description="Operators.")
    rig.team("devs", "bob")
    found = await rig.directory.teams_of(await known(rig, "alice"))
    assert [(team.local_id, team.name, team.description) for team in found] == [("ops", "ops", "Operators.")]
    assert found[0].members == {"alice"}


async def test_everything_is_all_of_it_without_members_that_are_nobody(rig: Rig) -> None:
    assert await rig.directory.everything() == ([], [])
    for i in range(30):
        rig.person(f"u{i}", enabled=i % 2 == 0)
    rig.team("ops", "u1", "u2", "nobody")
    rig.team("none", "nobody")
    people, teams = await rig.directory.everything()
    assert {person.local_id: person.enabled for person in people} == {f"u{i}": i % 2 == 0 for i in range(30)}
    assert {team.name: team.members for team in teams} == {"ops": {"u1", "u2"}, "none": frozenset()}


async def test_several_ask_at_once(rig: Rig) -> None:
    for i in range(8):
        rig.person(f"u{i}", f"secret-{i}")
    people = await asyncio.gather(*(known(rig, f"u{i}") for i in range(8)))
    answers = await asyncio.gather(*(rig.directory.matches(people[i], f"secret-{i // 2 * 2}") for i in range(8)))
    assert answers == [True, False] * 4


async def test_one_that_is_away_says_so_to_each_question_and_is_back_when_it_is(rig: Rig) -> None:
    rig.person("alice", "right")
    alice = await known(rig, "alice")
    rig.stop()
    try:
        for question in (
            rig.directory.person(name="alice"), rig.directory.person(local_id="alice"),
            rig.directory.matches(alice, "right"), rig.directory.teams_of(alice), rig.directory.everything(),
        ):
            with pytest.raises(Away) as away:
                await question
            assert str(away.value)
    finally:
        rig.start()
    assert await known(rig, "alice") == alice
    assert await rig.directory.matches(alice, "right")


async def test_one_that_was_let_go_can_be_asked_again(rig: Rig) -> None:
    rig.person("alice")
    await known(rig, "alice")
    rig.directory.close()
    await known(rig, "alice")
