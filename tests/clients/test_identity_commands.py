# SPDX-License-Identifier: Apache-2.0
"""Every identity command of the unmodified client, run at a cloud; docs/identity-commands.md shows the result.

The commands are identity_commands.txt, what is typed is identity/*.txt, how that is read walks.py. With
SKYHOLD_WRITE_PAGES=1 the page is written anew instead of held to the result.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.walks import CLIENTS, HERE, REPO, Result, client, steps
from tests.kit.cloud import ADMIN_PASSWORD, start_cloud

PAGE = REPO / "docs" / "identity-commands.md"
PENDING = (
    "endpoint add project", "endpoint group", "endpoint remove project",
    "limit", "policy", "registered limit",
)
"""Beginnings of commands that no walk has yet."""
TITLE = """# Identity commands

<!-- Written by tests/clients/test_identity_commands.py with SKYHOLD_WRITE_PAGES=1; changes made here are lost. -->

Every identity command of the unmodified `openstack` client, as it was run at this cloud. `$name` stands for what an
earlier command printed.

| command | as typed | result |
|---|---|---|
"""


def names() -> list[str]:
    lines = (HERE / "identity_commands.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Result]]:
    assert CLIENTS.exists(), f"{CLIENTS} holds no openstack client; script/test makes it"
    made = await start_cloud(tmp_path_factory.mktemp("commands"))
    async with made.listening() as url, client(url, ADMIN_PASSWORD) as typed:
        yield [await typed.run(step) for step in steps(HERE / "identity")]
    await made.core.stop()


@pytest.mark.asyncio(loop_scope="module")
async def test_every_line_of_the_walks_works(results: list[Result]) -> None:
    wrong = [f"{each.step.walk}: {each.step.text}\n    {reason(each)}" for each in results if each.code]
    assert not wrong, "\n".join(wrong)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_command_is_in_a_walk(results: list[Result]) -> None:
    typed = {each.step.name(names()) for each in results}
    missing = [name for name in names() if name not in typed and not name.startswith(PENDING)]
    assert not missing, "\n".join(["commands in no walk of tests/clients/identity/:", *missing])
    done = [name for name in PENDING if any(each and each.startswith(name) for each in typed)]
    assert not done, f"take these out of PENDING: {done}"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_what_was_run(results: list[Result]) -> None:
    wanted = page(results)
    if os.environ.get("SKYHOLD_WRITE_PAGES"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "run this test with SKYHOLD_WRITE_PAGES=1"


def page(results: list[Result]) -> str:
    known = names()
    first: dict[str, Result] = {}
    for each in results:
        name = each.step.name(known)
        # One that failed is shown before one that worked.
        if name and (name not in first or (each.code and not first[name].code)):
            first[name] = each
    return TITLE + "".join(row(name, first.get(name)) for name in known)


def row(name: str, result: Result | None) -> str:
    if result is None:
        return f"| {name} | | not tried |\n"
    shown = result.step.command.replace("|", "\\|")
    return f"| {name} | `{shown}` | {'works' if result.code == 0 else 'fails: ' + reason(result)} |\n"


def reason(result: Result) -> str:
    lines = [line for line in (result.err or result.out).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"code {result.code}"


