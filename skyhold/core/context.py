# SPDX-License-Identifier: Apache-2.0
"""Who asks, for what, under which request id: the context that every operation receives.

Credentials come from the Authenticator (identity implements it, cmd wires it); the database and
policy come from the Core (core/app.py). An operation's only clock and randomness are `ctx.now`
and `ctx.new_id()`, so that it can be retried, rehearsed and tested.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Concatenate, Literal, NamedTuple, ParamSpec, Protocol, TypeVar

import msgspec
import structlog

from skyhold.core import errors
from skyhold.core.versions import Version

if TYPE_CHECKING:
    from sqlalchemy import Select, UpdateBase

    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx
    from skyhold.core.policy.rules import Rule

log = structlog.get_logger("database")

P = ParamSpec("P")
T = TypeVar("T")

Scope = Literal["system", "domain", "project", "unscoped"]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A validated token, or the program itself. `roles` are already expanded by implication."""

    user_id: str = ""
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None
    system_scope: str | None = None
    scope: Scope = "unscoped"
    roles: frozenset[str] = frozenset()
    token: str = ""
    audit_id: str = ""
    expires_at: int = 0
    """Microseconds; 0 for the program itself."""
    internal: bool = False
    app_cred_id: str | None = None
    trust_id: str | None = None
    access_token_id: str | None = None
    """Of OAuth 1."""
    ec2_key_id: str | None = None
    thumbprint: str | None = None
    """x5t#S256 of the client certificate without which the token is no good."""
    group_ids: tuple[str, ...] = ()
    """Groups that an identity provider put the user in, for as long as the token lives."""
    may_delegate: bool = True
    """False for a token of a delegation that isn't to be passed on."""
    access_rules: tuple[tuple[str, str, str], ...] | None = None
    """(service type, method, path) that an application credential is limited to; None for all."""


INTERNAL = Credentials(
    user_id="skyhold", user_name="skyhold", scope="system", system_scope="all",
    roles=frozenset({"admin", "manager", "member", "reader", "service"}), internal=True,
)
"""The program acting for itself: loops, sagas, bootstrap."""


class Authenticator(Protocol):
    """What core asks of identity."""

    async def authenticate(self, token: str) -> Credentials:
        """Raises Unauthorized."""


class Ceilings(NamedTuple):
    """What a project may have, by resource; -1 is no limit, what isn't named has no ceiling here.

    `shared` is what all of `projects` together may have, where a domain binds its projects.
    """

    own: Mapping[str, int]
    shared: Mapping[str, int]
    projects: Sequence[str]


class Limits(Protocol):
    """The unified limits, which identity keeps for all services."""

    def of(self, tx: Tx, project_id: str, service_type: str, names: Sequence[str]) -> Ceilings:
        """The ceilings in force for the project, of these resources of the service of that type."""


class NoLimits:
    """Where nobody keeps any: every resource has its service's own default."""

    def of(self, tx: Tx, project_id: str, service_type: str, names: Sequence[str]) -> Ceilings:
        return Ceilings({}, {}, ())


class Context:
    """One request. `rule` is the policy rule of the route; look-ups decide by it."""

    __slots__ = (
        "certificate", "core", "creds", "dry_run", "epoch", "global_request_id", "peer", "request_id", "rule",
        "version",
    )

    def __init__(
        self,
        core: Core,
        creds: Credentials,
        *,
        request_id: str | None = None,
        global_request_id: str | None = None,
        version: Version = Version(0, 0),
        rule: Rule | None = None,
        dry_run: bool = False,
        peer: str = "",
    ) -> None:
        self.core = core
        self.creds = creds
        self.request_id = request_id or new_request_id()
        self.global_request_id = global_request_id
        self.version = version
        self.rule = rule
        self.dry_run = dry_run
        self.peer = peer
        """The address that the request came from: of a proxy, if there is one."""
        self.certificate: bytes | None = None
        """The client's, in DER, checked by the connection or by a trusted proxy (core/http/caller.py)."""
        self.epoch: int | None = None
        """As of which change of identity's this request sees who may what, once it asked (core_epochs)."""

    @property
    def user_id(self) -> str:
        return self.creds.user_id

    @property
    def project_id(self) -> str:
        """The project in scope; empty when the scope is another."""
        return self.creds.project_id or ""

    @property
    def now(self) -> int:
        """Microseconds since 1970, UTC."""
        return self.core.clock()

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def allows(self, rule: Rule, target: object | None = None) -> bool:
        return self.core.policy.allows(rule.name, self.creds, target)

    def demand(self, rule: Rule, target: object | None = None) -> None:
        """Raises Forbidden, which names the rule and the role and scope that were missing."""
        if not self.allows(rule, target):
            raise errors.Forbidden(self.core.policy.explain(rule.name, self.creds), rule=rule.name)

    async def read(self, fn: Callable[Concatenate[Tx, Context, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `fn(tx, ctx, …)` on a consistent snapshot. Raises Unavailable when the database can't now."""
        answer: T = await asked(self.core.db.read(self, fn, *args, **kw))
        return answer

    async def glance(self, statement: Select[tuple[T]]) -> T | None:
        """The one value of a constant statement, as committed by now (core/db/glance.py)."""
        answer: T | None = await asked(self.core.db.glance(self, statement))
        return answer

    async def read_long(self, fn: Callable[Concatenate[Tx, Context, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """`read`, for what may have thousands of rows."""
        answer: T = await asked(self.core.db.read_long(self, fn, *args, **kw))
        return answer

    async def write(self, fn: Callable[Concatenate[Tx, Context, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run `fn(tx, ctx, …)` in one transaction; rolled back afterwards in a dry run. Raises Unavailable when the
        database can't now: then nothing was changed."""
        answer: T = await asked(self.core.db.write(self, fn, *args, **kw))
        return answer

    async def change(self, statement: UpdateBase, params: Mapping[str, object] | None = None) -> int:
        """One statement that is a transaction of its own, and may be done twice: how many rows it matched. Where a
        transaction is opened and ended by round trips, it saves them. Raises Unavailable as `write` does."""
        matched: int = await asked(self.core.db.change(self, statement, params or {}))
        return matched

    def derive(self, creds: Credentials) -> Context:
        """The same request, acting as another."""
        return Context(
            self.core, creds, request_id=self.request_id,
            global_request_id=self.global_request_id, version=self.version, dry_run=self.dry_run,
        )


async def asked(answer: Awaitable[T]) -> T:
    """A database's answer, or an error in the program's own words where it would pass by itself."""
    try:
        return await answer
    except errors.Error:
        raise
    except Exception as error:
        from skyhold.core.db.passing import passing

        told = passing(error)
        if told is None:
            raise
        log.warning("the database can't now", told=told.reason, error=str(error))
        raise told from error


def internal(core: Core, request_id: str | None = None) -> Context:
    """The program's own context."""
    return Context(core, INTERNAL, request_id=request_id)


def new_request_id() -> str:
    return "req-" + str(uuid.uuid4())


def system_clock() -> int:
    return time.time_ns() // 1000
