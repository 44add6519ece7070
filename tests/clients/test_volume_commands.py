# SPDX-License-Identifier: Apache-2.0
"""What the unmodified client can do with volumes so far, run at a cloud; docs/volume-commands.md shows it.

The commands are volume_commands.txt, what is typed is volume/*.txt, how that is read walks.py. With
SKYHOLD_WRITE_PAGES=1 the page is written anew instead of held to the result.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.clients.pages import Page
from tests.clients.walks import Result, walked

PAGE = Page("volume")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return await walked(PAGE.folder, tmp_path_factory.mktemp("commands"), host=True)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_line_of_the_walks_works(results: list[Result]) -> None:
    PAGE.check_all_work(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_command_is_in_a_walk(results: list[Result]) -> None:
    PAGE.check_complete(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_what_was_run(results: list[Result]) -> None:
    PAGE.check_written(results)
