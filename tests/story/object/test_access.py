# SPDX-License-Identifier: Apache-2.0
"""Who may what (SWI-03, SWI-04): the owner's people, strangers, everybody, and those whom a container's lists name.

The language of lists is tested for itself in tests/unit/object/test_acl.py.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.kit.cloud import Persona
from tests.story.object.conftest import Account

READS = (("GET", "birds/crow"), ("HEAD", "birds/crow"))
LISTS = (("GET", "birds"), ("HEAD", "birds"))
WRITES = (("PUT", "birds/raven"), ("POST", "birds/crow"), ("DELETE", "birds/raven"))
OWNERS = (("PUT", "birds"), ("POST", "birds"), ("POST", ""), ("DELETE", "birds"), ("PUT", "nests"))


@pytest_asyncio.fixture(loop_scope="session")
async def birds(account: Account) -> Account:
    await account.container()
    await account.put("birds/crow")
    return account


async def may(account: Account, calls: tuple[tuple[str, str], ...]) -> set[int]:
    """The statuses of refusals."""
    answers = [await account.ask(method, path, body=b"x" if "/" in path and method == "PUT" else None)
               for method, path in calls]
    return {answer.status for answer in answers if answer.status >= 400}


async def test_everybody_and_strangers_may_nothing(birds: Account, stranger: Persona) -> None:
    for account, refusal in ((birds.everybody(), 401), (birds.to(stranger), 403)):
        for calls in (READS, LISTS, WRITES, OWNERS, (("GET", ""), ("HEAD", ""))):
            assert await may(account, calls) == {refusal}
        for path in ("nothing", "birds/nothing"):
            assert (await account.ask("GET", path)).status == refusal
    assert await birds.names("birds") == ["crow"]


async def test_a_reader_reads(birds: Account) -> None:
    reader = birds.to(await birds.who.colleague(("reader",)))
    assert await may(reader, (*READS, *LISTS, ("GET", ""), ("HEAD", ""))) == set()
    assert await may(reader, (*WRITES, *OWNERS)) == {403}
    await birds.ask("POST", "birds", 204, X_Container_Read="*:*")
    assert "x-container-read" not in await reader.head("birds")
    assert (await birds.head("birds"))["x-container-read"] == "*:*"


async def test_a_reseller_may_everything_and_an_administrator_of_another_project_nothing(
    birds: Account, reseller: Persona
) -> None:
    assert await may(birds.to(birds.cloud.admin), (*READS, *LISTS, *WRITES)) == {403}
    assert await may(birds.to(reseller), (*READS, *LISTS, *WRITES)) == set()


async def test_swi_04_everybody_reads_what_is_public(birds: Account, stranger: Persona) -> None:
    await birds.ask("POST", "birds", 204, X_Container_Read=".r:*")
    for account, refusal in ((birds.everybody(), 401), (birds.to(stranger), 403)):
        assert await may(account, READS) == set()
        assert await may(account, (*LISTS, *WRITES, *OWNERS)) == {refusal}
    await birds.ask("POST", "birds", 204, X_Container_Read=".r:*,.rlistings")
    assert await may(birds.everybody(), (*READS, *LISTS)) == set()
    assert (await birds.everybody().get("birds/nothing", 404)).body
    await birds.ask("POST", "birds", 204, X_Remove_Container_Read="x")
    assert await may(birds.everybody(), READS) == {401}


async def test_a_token_that_is_no_good_reads_what_everybody_may(birds: Account) -> None:
    nobody = birds.to(birds.cloud.client("gone"))
    assert await may(nobody, READS) == {401}
    await birds.ask("POST", "birds", 204, X_Container_Read=".r:*")
    assert await may(nobody, READS) == set() and await may(nobody, WRITES) == {401}


async def test_websites_may_point_at_objects(birds: Account) -> None:
    await birds.ask("POST", "birds", 204, X_Container_Read=".r:.crow.test,.r:-bad.crow.test")
    everybody = birds.everybody()
    await everybody.get("birds/crow", 200, Referer="https://www.crow.test/page")
    for referer in ("https://bad.crow.test/", "https://crow.test.evil/", "", "nonsense", "http://["):
        await everybody.get("birds/crow", 401, Referer=referer)


@pytest.mark.parametrize("form", ["{project}:{user}", "*:{user}", "{project}:*", "*:*", " x:y , {project}:{user}"])
async def test_swi_04_lists_name_projects_and_users(birds: Account, stranger: Persona, form: str) -> None:
    text = form.format(project=stranger.project_id, user=stranger.user_id)
    other = await birds.cloud.project()
    await birds.ask("POST", "birds", 204, X_Container_Read=text)
    assert await may(birds.to(stranger), (*READS, *LISTS)) == set()
    assert await may(birds.to(stranger), (*WRITES, *OWNERS)) == {403}
    assert await may(birds.to(other), READS) == (set() if text == "*:*" else {403})
    assert await may(birds.everybody(), READS) == {401}
    await birds.ask("POST", "birds", 204, X_Remove_Container_Read="x", X_Container_Write=text)
    assert await may(birds.to(stranger), WRITES) == set()
    assert await may(birds.to(stranger), (*READS, *LISTS, *OWNERS)) == {403}


async def test_swi_04_a_role_counts_in_the_containers_own_project(birds: Account) -> None:
    helper = birds.to(await birds.who.colleague(("service",)))
    elsewhere = birds.to(await birds.cloud.project(("service",)))
    assert await may(helper, READS) == {403}
    await birds.ask("POST", "birds", 204, X_Container_Read="SERVICE")
    assert await may(helper, (*READS, *LISTS)) == set() and await may(elsewhere, READS) == {403}


async def test_names_count_only_in_the_default_domain(birds: Account, stranger: Persona) -> None:
    """Elsewhere anybody who runs a domain can make a project and a user of any name."""
    text = f"{stranger.project_name}:{stranger.user_name}"
    await birds.ask("POST", "birds", 204, X_Container_Read=text)
    assert await may(birds.to(stranger), READS) == {403}
    owner = await birds.cloud.project(domain_id="default")
    named, home = await birds.cloud.project(domain_id="default"), Account(birds.cloud, owner.project_id, owner)
    await home.container(X_Container_Read=f"{named.project_name}:{named.user_name}")
    await home.put("birds/crow")
    assert await may(home.to(named), READS) == set()
    assert await may(home.to(stranger), READS) == {403}


async def test_a_copy_needs_both_ends(birds: Account, stranger: Persona) -> None:
    theirs = Account(birds.cloud, stranger.project_id, stranger)
    await theirs.container("nests")
    copy = {"X_Copy_From": "birds/crow", "X_Copy_From_Account": f"AUTH_{birds.project_id}"}
    await theirs.ask("PUT", "nests/crow", 403, **copy)
    await birds.ask("POST", "birds", 204, X_Container_Read=f"{stranger.project_id}:*")
    await theirs.ask("PUT", "nests/crow", 201, **copy)
    assert (await theirs.get("nests/crow")).body == b"caw"
    there = {"Destination": "nests/rook", "Destination_Account": f"AUTH_{stranger.project_id}"}
    await birds.ask("COPY", "birds/crow", 403, **there)
    await theirs.ask("POST", "nests", 204, X_Container_Write=f"{birds.project_id}:*")
    await birds.ask("COPY", "birds/crow", 201, **there)
    await birds.ask("COPY", "birds/crow", 412, **there | {"Destination_Account": "elsewhere"})


async def test_only_a_members_word_counts_for_the_owner(birds: Account) -> None:
    """Somebody with a role that says nothing here is a stranger in their own project."""
    idle = birds.to(await birds.who.colleague(("service",)))
    assert await may(idle, (*READS, *LISTS, *WRITES, *OWNERS)) == {403}


async def test_a_reseller_can_name_no_account_that_no_project_could_have(birds: Account, reseller: Persona) -> None:
    long = Account(birds.cloud, "p" * 65, reseller)
    await long.ask("POST", "", 412, X_Account_Meta_Color="black")
    await long.ask("PUT", "birds", 412)
