# SPDX-License-Identifier: Apache-2.0
"""Every image command of the unmodified client, run at a cloud; docs/image-commands.md shows the result.

The commands are image_commands.txt, what is typed is image/*.txt, how that is read walks.py. With
SKYHOLD_WRITE_PAGES=1 the page is written anew instead of held to the result.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio

from skyhold.core.qcow2 import empty
from skyhold.core.saga.base import Outcome
from skyhold.core.saga.runner import Run
from skyhold.image.sagas.import_image import ImportImage
from skyhold.image.service import SERVICE
from tests.clients.pages import Page
from tests.clients.walks import Result, walked
from tests.kit.cloud import present

PAGE = Page("image")
SLOW_S = 1.0


class SlowImport(ImportImage):
    """Longer than a few commands take: what a walk types next must not rely on an import that happened to be quick."""

    async def bring(self, s: Run) -> Outcome:
        await asyncio.sleep(SLOW_S)
        return await super().bring(s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    imports = replace(SERVICE, sagas=[SlowImport, *(each for each in SERVICE.sagas if each is not ImportImage)])
    services = [imports if each is SERVICE else each for each in present()]
    folder = tmp_path_factory.mktemp("files")
    (folder / "picture").write_bytes(empty())
    files = {name: folder / name for name in ("picture", "copy")}
    return await walked(PAGE.folder, tmp_path_factory.mktemp("commands"), services=services, files=files)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_line_of_the_walks_works(results: list[Result]) -> None:
    PAGE.check_all_work(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_command_is_in_a_walk(results: list[Result]) -> None:
    PAGE.check_complete(results)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_what_was_run(results: list[Result]) -> None:
    PAGE.check_written(results)
