# SPDX-License-Identifier: Apache-2.0
"""What is kept in memory for validated tokens, and how a change makes it void at once.

The change itself calls `void(tx)`; reading a token anew is validate.py. On SQLite one process
serves all, so a number in memory is enough; elsewhere each request reads the row of core_epochs,
because another process may have changed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context, Credentials, internal
from skyhold.core.keyring import KeySet
from skyhold.core.tables import EPOCHS
from skyhold.identity.auth import jws, payload, validate
from skyhold.identity.auth.payload import Token

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx
    from skyhold.identity.auth.validate import Valid

NAME = "identity"
MOST = 8_000
VALUE = sa.select(EPOCHS.c.value).where(EPOCHS.c.name == NAME)
RAISE = EPOCHS.update().where(EPOCHS.c.name == NAME).values(value=EPOCHS.c.value + 1)


class Known:
    """A validated token: what it allows, and its printed forms once they were asked for."""

    __slots__ = ("bodies", "creds", "epoch", "expires_at", "valid", "void_at")

    def __init__(self, epoch: int, valid: Valid, creds: Credentials) -> None:
        self.epoch, self.valid, self.creds = epoch, valid, creds
        self.expires_at = valid.ends_at
        self.void_at = valid.ends_at if valid.until is None else min(valid.ends_at, valid.until)
        self.bodies: dict[bool, bytes] = {}


class Sessions:
    """One a process, on the core's shelf: `sessions(core)`. It is the Authenticator too."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: dict[str, Known] = {}
        self._epoch = 0
        self.keys = KeySet(core.settings.fernet_keys_dir)
        self.catalogue: tuple[int, Any] | None = None

    async def authenticate(self, token: str) -> Credentials:
        """Raises Unauthorized."""
        try:
            return (await self.look(token)).creds
        except errors.NotFound:
            raise errors.Unauthorized(
                "The request you have made requires authentication.", reason="token_invalid"
            ) from None

    async def look(self, text: str, late_s: int = 0, asker: str | None = None) -> Known:
        """The token, fresh or remembered; NotFound when it doesn't count, or hasn't for longer than `late_s`.

        `asker` is the token that this very request was let in with: its epoch was asked for a moment ago.
        """
        epoch = await self._epoch_at(asker)
        known = self._known.get(text)
        if known is not None and known.epoch == epoch and known.void_at > self._core.clock():
            return known
        token = self.unseal(text)
        valid = await internal(self._core).read(validate.read, token, late_s)
        return self.remember(epoch, text, valid)

    def seal(self, token: Token) -> str:
        """The text of a token, as settings want it. Raises Forbidden for one that nobody could send."""
        forms = {"fernet": payload, "jws": jws}
        text: str = forms[self._core.settings.identity.token_provider].seal(self.keys, token)
        if len(text) > payload.LONGEST:
            raise errors.Forbidden(
                f"A token of {len(token.group_ids)} groups is too long to be sent. An administrator can let the "
                "mapping name fewer of them.", reason="too_many_groups",
            )
        return text

    def unseal(self, text: str) -> Token:
        """Of either form, so that changing the setting logs nobody out. Raises NotFound for what isn't ours."""
        token: Token = (jws if text.startswith(jws.MARK) else payload).unseal(self.keys, text)
        return token

    @property
    def _shared(self) -> bool:
        return self._core.db.name != "sqlite"

    async def epoch(self) -> int:
        if self._shared:
            self._epoch = await internal(self._core).glance(VALUE) or 0
        return self._epoch

    async def epoch_of(self, ctx: Context) -> int:
        """The one that this request was let in under; asked for once if it came without a token."""
        if ctx.epoch is None:
            ctx.epoch = await self._epoch_at(ctx.creds.token)
        return ctx.epoch

    async def _epoch_at(self, token: str | None) -> int:
        let_in = self._known.get(token) if token else None
        return await self.epoch() if let_in is None else let_in.epoch

    def raised(self) -> None:
        self._epoch += 1
        self._known.clear()

    def remember(self, epoch: int, text: str, valid: Valid) -> Known:
        """`epoch` was asked for before the rows were read: what changed since is read again next time."""
        known = Known(epoch, valid, valid.credentials(text))
        if (epoch == self._epoch or self._shared) and known.void_at > self._core.clock():
            if len(self._known) >= MOST:
                for old in list(self._known)[: MOST // 10]:
                    del self._known[old]
            self._known[text] = known
        return known


def sessions(core: Core) -> Sessions:
    found = core.shelf.get("identity.sessions")
    if found is None:
        found = core.shelf["identity.sessions"] = Sessions(core)
    return found


def void(tx: Tx) -> None:
    """What is remembered of tokens is read anew from the commit of this transaction on."""
    if not tx.changed(RAISE):
        tx.execute(EPOCHS.insert(), {"name": NAME, "value": 1})
    tx.after_commit(sessions(tx.ctx.core).raised)


async def prepare(core: Core) -> None:
    """The epoch's row is there before the first change, so that two firsts can't collide."""

    def ensure(tx: Tx, ctx: Context) -> None:
        if tx.first(VALUE) is None:
            tx.execute(EPOCHS.insert(), {"name": NAME, "value": 1})

    await internal(core).write(ensure)
    sessions(core)
