# SPDX-License-Identifier: Apache-2.0
"""Who is told when there is more to read: open streams, each woken only for its own project.

What a stream then reads is reading.py, and what it sends events.py. The one thing to know first: one task
a process looks at the journal while anybody follows it, so a thousand idle streams cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from skyhold.core import context, errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.tables import JOURNAL

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("events")

STREAMS_PER_PROJECT = 20
STREAMS = 1000
ANY_PROJECT = ""
LOOK_EVERY_S = 1.0
"""Where other processes commit too: a bell of theirs may be lost."""


def followers(core: Core) -> Followers:
    """Those of this process."""
    if "events.followers" not in core.shelf:
        core.shelf["events.followers"] = Followers(core)
    found: Followers = core.shelf["events.followers"]
    return found


class Followers:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._bells: dict[asyncio.Event, tuple[str, str]] = {}
        self._watch: asyncio.Task[None] | None = None

    def check_room(self, owner: str) -> None:
        """Raises TooMany when this project, or this process, has as many streams as it may."""
        if sum(each == owner for each, _ in self._bells.values()) >= STREAMS_PER_PROJECT:
            raise errors.TooMany(
                f"A project may have {STREAMS_PER_PROJECT} open streams at a time.", retry_after_s=15
            )
        if len(self._bells) >= STREAMS:
            raise errors.TooMany("There are too many open streams; try again later.", retry_after_s=15)

    @contextmanager
    def follow(self, owner: str, project_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when something of this project was written down. Raises TooMany."""
        self.check_room(owner)
        bell = asyncio.Event()
        self._bells[bell] = owner, project_id
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            yield bell
        finally:
            del self._bells[bell]
            if not self._bells:
                self._watch.cancel()
                self._watch = None

    async def _look(self) -> None:
        with self._core.news.heard() as news:
            while True:
                try:
                    await self._look_on(news)
                except Exception:
                    # The streams that are open would hear nothing more.
                    log.exception("what is new in the journal could not be read")
                    await asyncio.sleep(LOOK_EVERY_S)

    async def _look_on(self, news: asyncio.Event) -> None:
        pause_s = 5.0 if self._core.db.name == "sqlite" else LOOK_EVERY_S
        ctx = context.internal(self._core)
        seen, rung = await ctx.read(journal.last_position), False
        # What was written before now might have been read by nobody.
        self._ring(None)
        while True:
            news.clear()
            if len(self._bells) == 1 and rung:
                # Whether it concerns the only one there is, that one finds out by reading.
                self._ring(None)
            else:
                seen, projects = await ctx.read(touched, seen)
                self._ring(projects)
            rung = False
            try:
                async with asyncio.timeout(pause_s):
                    rung = await news.wait()
            except TimeoutError:
                continue

    def _ring(self, projects: set[str] | None) -> None:
        for bell, (_, project_id) in self._bells.items():
            if projects is None or project_id == ANY_PROJECT or project_id in projects:
                bell.set()


def touched(tx: Tx, ctx: Context, after: int) -> tuple[int, set[str]]:
    """The newest position, and the projects that have rows after `after`."""
    statement = (
        sa.select(JOURNAL.c.project_id, sa.func.max(JOURNAL.c.position).label("newest"))
        .where(JOURNAL.c.position > after)
        .group_by(JOURNAL.c.project_id)
    )
    rows = tx.all(statement)
    return max([after, *(row.newest for row in rows)]), {row.project_id for row in rows}
