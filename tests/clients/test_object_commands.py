# SPDX-License-Identifier: Apache-2.0
"""Every command of the unmodified client for the object store, run at a cloud; docs/object-commands.md shows it.

The commands are object_commands.txt, what is typed is object/*.txt, how that is read walks.py. With
SKYHOLD_WRITE_PAGES=1 the page is written anew instead of held to the result.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.pages import Page
from tests.clients.walks import Result, walked

PAGE = Page("object")
SONG = b"caw " * 1000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    (folder / "song").write_bytes(SONG)
    files = {name: folder / name for name in ("song", "copy", "again")}
    return await walked(PAGE.folder, tmp_path_factory.mktemp("commands"), files=files)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.asyncio(loop_scope="module")
async def test_every_line_of_the_walks_works(results: list[Result]) -> None:
    PAGE.check_all_work(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_saved_is_what_was_stored(results: list[Result], folder: Path) -> None:
    assert [(folder / name).read_bytes() for name in ("copy", "again")] == [SONG, SONG]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_command_is_in_a_walk(results: list[Result]) -> None:
    PAGE.check_complete(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_what_was_run(results: list[Result]) -> None:
    PAGE.check_written(results)
