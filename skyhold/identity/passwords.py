# SPDX-License-Identifier: Apache-2.0
"""Hashes of passwords and of application credentials' secrets: argon2id, in threads of its own.

Where a hash is kept is tables.py. Checking takes as long for a user that doesn't exist as for one
that does, and at most as many run at once as the machine has processors: each needs its memory.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from skyhold.core import errors

if TYPE_CHECKING:
    from skyhold.core.app import Core

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 4096
KIB = 1024
WAITING_MOST = 512


class Passwords:
    """One a process, on the core's shelf: `passwords(core)`. A hash is in the usual encoded form of argon2, which
    says by itself what it cost: one that was made otherwise is checked as it was made."""

    def __init__(self, time_cost: int, memory_kib: int) -> None:
        self._time_cost, self._memory_bytes = time_cost, memory_kib * KIB
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="password")
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, secret: str) -> str:
        return await self._run(self._hash, secret)

    async def matches(self, hashed: str | None, secret: str) -> bool:
        """False after the same time when there is no hash."""
        if hashed is not None:
            return await self._run(self._check, hashed, secret)
        if self._nobody is None:
            self._nobody = await self.hash(secrets.token_hex(16))
        await self._run(self._check, self._nobody, secret)
        return False

    def _hash(self, secret: str) -> str:
        return argon2id.str(secret.encode(), opslimit=self._time_cost, memlimit=self._memory_bytes).decode()

    def _check(self, hashed: str, secret: str) -> bool:
        try:
            return argon2id.verify(hashed.encode(), secret.encode())
        except CryptoError:
            return False

    async def _run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        if self._waiting >= WAITING_MOST:
            raise errors.Unavailable("Too many sign-ins at once: try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **options))
        finally:
            self._waiting -= 1


def passwords(core: Core) -> Passwords:
    found = core.shelf.get("identity.passwords")
    if found is None:
        costs = core.settings.identity
        found = core.shelf["identity.passwords"] = Passwords(costs.password_time_cost, costs.password_memory_kib)
    return found
