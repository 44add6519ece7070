# SPDX-License-Identifier: Apache-2.0
"""Which domains have a directory, and this process's connection to each.

What is configured is domain_config.py, the drivers are drivers/. The list is read again when the epoch
moved, as every change of a configuration makes it; a directory whose options stayed the same is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from skyhold.core import errors
from skyhold.core.context import Context, internal
from skyhold.identity import domain_config
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.directories.read_only import DRIVER
from skyhold.identity.drivers.base import Away, Directory
from skyhold.identity.drivers.ldap import LdapDirectory
from skyhold.identity.logic.domain_options import Config

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("directory")

T = TypeVar("T")
PAUSE_S = 5.0
"""After a failure, how long nobody waits for a directory again."""


class Connected:
    """One domain's directory, and how it did lately."""

    def __init__(self, domain_id: str, config: Config) -> None:
        self.domain_id, self.config = domain_id, config
        self.directory: Directory = LdapDirectory(config.get("ldap", {}))
        self.reflected_s: float | None = None
        """On the monotonic clock: when all of it was last taken over."""
        self.turn = asyncio.Lock()
        self._failed_s: float | None = None
        self._trouble = ""

    async def ask(self, question: Awaitable[T]) -> T:
        """Raises Unavailable when there is no answer; at once while the last one failed just now."""
        if self._failed_s is not None and time.monotonic() - self._failed_s < PAUSE_S:
            getattr(question, "close", lambda: None)()
            raise self._unavailable()
        try:
            answer = await question
        except Away as error:
            self._failed(str(error))
            raise self._unavailable() from None
        if self._failed_s is not None:
            log.info("directory answers again", domain=self.domain_id)
        self._failed_s, self._trouble = None, ""
        return answer

    def _failed(self, trouble: str) -> None:
        self._failed_s = time.monotonic()
        if trouble != self._trouble:
            log.warning("directory is away", domain=self.domain_id, trouble=trouble)
        self._trouble = trouble

    def _unavailable(self) -> errors.Unavailable:
        return errors.Unavailable(
            f"The directory of domain {self.domain_id} can't be asked now. Try again later; the operator finds "
            "the reason in the log.", reason="directory_away",
        )


class Directories:
    """One a process: `directories(core)`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._epoch: int | None = None
        self._known: dict[str, Connected] = {}

    async def all(self, ctx: Context) -> dict[str, Connected]:
        """By the domain's id; as of when this request was let in."""
        epoch = await sessions(self._core).epoch_of(ctx)
        if epoch != self._epoch:
            self._take(await internal(self._core).read(domain_config.with_driver, DRIVER))
            self._epoch = epoch
        return self._known

    def _take(self, configs: dict[str, Config]) -> None:
        before, self._known = self._known, {}
        for domain_id, config in configs.items():
            kept = before.get(domain_id)
            same = kept is not None and kept.config == config
            self._known[domain_id] = kept if same and kept is not None else Connected(domain_id, config)
        for domain_id, old in before.items():
            if self._known.get(domain_id) is not old:
                old.directory.close()

    def close(self) -> None:
        self._take({})


def directories(core: Core) -> Directories:
    shelf: dict[str, Any] = core.shelf
    found: Directories | None = shelf.get("identity.directories")
    if found is None:
        found = shelf["identity.directories"] = Directories(core)
    return found


async def of_domain(ctx: Context, domain_id: str | None) -> Connected | None:
    return (await directories(ctx.core).all(ctx)).get(domain_id or "")
