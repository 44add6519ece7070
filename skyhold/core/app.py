# SPDX-License-Identifier: Apache-2.0
"""The control plane put together: settings, database, policy, bus, sagas, loops and services.

Nothing here knows a service: `cmd` hands over the manifests and the Authenticator. `Core` is what
a context carries, so every operation reaches the rest of the program through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
import yaml

from skyhold.core import context, errors, journal
from skyhold.core.bus import Bus, socket_of
from skyhold.core.context import Authenticator, Context, Credentials, Limits, NoLimits
from skyhold.core.db import stalled
from skyhold.core.db.engine import Database, open_database
from skyhold.core.http.mount import Front
from skyhold.core.http.routes import Public, Route
from skyhold.core.keyring import KeySet
from skyhold.core.loops import Loop, Loops
from skyhold.core.policy.defaults import BASE
from skyhold.core.policy.language import PolicyError
from skyhold.core.policy.rules import Policy
from skyhold.core.saga import rows
from skyhold.core.saga.runner import Runner
from skyhold.core.schema import prepare_schema
from skyhold.core.service import Service
from skyhold.core.settings.whole import Settings
from skyhold.core.shapes import guarded_fields, shape_in
from skyhold.core.siblings import Siblings

log = structlog.get_logger("core")

SEQUENCE_PAUSE_S = 0.004
HEALTHY_S = 5.0


class Core:
    """`authenticator` and `limits` are set by whoever composes the program, before `start`."""

    authenticator: Authenticator
    db: Database

    def __init__(
        self, settings: Settings, services: Sequence[Service], clock: Callable[[], int] = context.system_clock,
        number: int = 1,
    ) -> None:
        """`number` tells apart the control processes of one cloud on one machine."""
        self.settings = settings
        self.services = {service.name: service for service in services}
        self.clock = clock
        self.started_at = clock()
        self.policy = Policy()
        self.policy.register(*BASE)
        for service in services:
            self.policy.register(*service.rules)
        self.policy.override(self._policy_file())
        self.policy.compile()
        for service in services:
            refuse_unknown_rules(self.policy, service)
        self.keyring = KeySet(settings.keys_dir / "master")
        verbs = {name: structs for service in services for name, structs in service.verbs.items()}
        self.bus = Bus(socket_of(settings.bus_socket, number), verbs)
        self.siblings = Siblings(settings.run_dir, number, settings.http.processes)
        self.sagas = Runner(self, [saga for s in services for saga in s.sagas])
        self.loops = Loops(self, [*own_loops(settings), *(loop for s in services for loop in s.loops)])
        self.news = journal.News()
        self.siblings.on(journal.NEWS, self.news.ring)
        self.asgi = Front(self, list(services))
        self.limits: Limits = NoLimits()
        self.shelf: dict[str, Any] = {}
        """What services keep for the life of the process (a token cache, a store), by their name."""

    def _policy_file(self) -> dict[str, Any]:
        path = self.settings.home / "policy.yaml"
        try:
            return yaml.safe_load(path.read_text()) or {} if path.exists() else {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path} can't be read: {error}") from error

    async def start(self) -> None:
        """Database first, then what services prepare, then work; requests are taken after this."""
        database = self.settings.database
        self.db = await open_database(
            self.settings.database_url, synchronous=database.sqlite_synchronous, pool_size=database.pool_size,
            pool_overflow=database.pool_overflow,
        )
        await prepare_schema(self.db)
        for service in self.services.values():
            for topic, (kind, hears) in service.reports.items():
                self.bus.on_report(topic, kind, self._in_context(hears))
        for service in self.services.values():
            for prepare in service.on_start:
                await prepare(self)
        await self.bus.start()
        await self.siblings.start()
        await self.sagas.start()
        await self.loops.start()

    def _in_context(self, hears: Any) -> Any:
        async def hear(host_id: str, body: Any) -> None:
            await hears(context.internal(self), host_id, body)

        return hear

    def recorded(self) -> None:
        """A commit wrote to the journal: whoever follows it hears of it as soon as it has a position."""
        if self.db.name == "sqlite":
            self.news.ring()
        else:
            self.loops.ring(journal.SEQUENCER)

    async def stop(self) -> None:
        await self.loops.stop()
        await self.sagas.stop()
        await self.siblings.stop()
        await self.bus.stop()
        await self.db.close()

    async def authenticate(self, token: str | None) -> Credentials:
        if not token:
            raise errors.Unauthorized("The request you have made requires authentication.", reason="no_token")
        return await self.authenticator.authenticate(token)

    async def health(self) -> str | None:
        """None when well, else what is wrong, in words for anybody: the database's own are for the log."""
        try:
            async with asyncio.timeout(HEALTHY_S):
                await context.internal(self).read(lambda tx, ctx: tx.now)
        except TimeoutError:
            return f"database: it did not answer within {HEALTHY_S:g} s"
        except errors.Error as error:
            return f"database: {error.message}"
        except Exception:
            log.exception("the database can't be read")
            return "database: it can't be read; the log says why"
        return None


def refuse_unknown_rules(policy: Policy, service: Service) -> None:
    """PolicyError for a route, or an attribute of its body or answer, whose rule nobody registered: a name
    that is spelled in two ways must stop the program, not wait for whoever asks first."""
    for route in (route for routes in service.routes for route in routes.all):
        for name in rule_names(route):
            if name not in policy:
                raise PolicyError(f"{service.name}: {route.method} {route.path} names the rule {name!r}, "
                                  "which is in no policy.py")


def rule_names(route: Route) -> list[str]:
    own = [] if isinstance(route.policy, Public) else [route.policy.name]
    shapes = [shape for shape in (shape_in(route.body), shape_in(route.reply)) if shape is not None]
    return own + [rule for shape in shapes for _, _, rule in guarded_fields(shape)]


def own_loops(settings: Settings) -> list[Loop]:
    async def number_journal(ctx: Context) -> None:
        while await journal.sequence(ctx) >= journal.BATCH:
            pass
        # A burst of commits is numbered at once, not one by one.
        await asyncio.sleep(SEQUENCE_PAUSE_S)

    async def forget_journal(ctx: Context) -> None:
        before_us = ctx.now - settings.journal.retention_days * 86_400_000_000
        await ctx.write(journal.forget, before_us)
        await ctx.write(rows.forget, before_us)

    loops = [Loop("core.journal_forget", 3600.0, forget_journal)]
    if not settings.database_url.startswith("sqlite"):
        loops.append(Loop(journal.SEQUENCER, 1.0, number_journal, leased=False))
    if settings.database_url.startswith("postgresql"):
        loops.append(Loop("core.db_stalled", stalled.EVERY_S, stalled.run, leased=False))
    return loops
