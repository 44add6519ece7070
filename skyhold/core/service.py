# SPDX-License-Identifier: Apache-2.0
"""The manifest of a service: everything core needs to mount it, in one frozen value.

Each service's service.py makes one; cmd puts them together. Reading a manifest is reading the
service's index.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skyhold.core.http.dialect import BUILT_IN, Dialect
from skyhold.core.http.routes import Routes
from skyhold.core.loops import Loop
from skyhold.core.policy.rules import Rule
from skyhold.core.saga.base import Saga
from skyhold.core.versions import NO_VERSIONS, STANDARD_HEADER, Version, Versions

if TYPE_CHECKING:
    from skyhold.core.app import Core

Audit = Callable[[Any], Awaitable[list[Any]]]
"""Compares what a service keeps with what is there: `(ctx) -> list[Finding]` (core/operator/findings.py)."""

Mend = Callable[[Any, str], Awaitable[str]]
"""`(ctx, id) -> sentence`: sets right what an audit found, and says what was done, or would be in a dry run
(core/operator/mend.py)."""

Trace = Callable[[Any, Any, str, list[str]], list[Any]]
"""`(tx, ctx, request_id, ids) -> list[Told]` (core/operator/trace.py): what a service itself wrote down of a request
that was about things of these ids."""

Hears = Callable[[Any, str, Any], Awaitable[None]]
"""`(ctx, host_id, body)` with the program's own context."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """`prefix` is the first path segment (`/compute`), `endpoint` what follows it in the catalogue
    (`/v2.1`), `port` the traditional one; a service with an empty `type` stands in no catalogue.
    `reports` maps topics of host reports to their struct and who hears them. `on_start` runs once the
    database is ready, before requests are taken. `audits` compare what is kept with what is there."""

    name: str
    type: str
    prefix: str
    port: int
    endpoint: str = ""
    versions: Versions = NO_VERSIONS
    dialect: Dialect = BUILT_IN
    routes: Sequence[Routes] = ()
    rules: Sequence[Rule] = ()
    sagas: Sequence[builtins.type[Saga]] = ()
    loops: Sequence[Loop] = ()
    verbs: dict[str, tuple[builtins.type, builtins.type]] = field(default_factory=dict)
    reports: dict[str, tuple[builtins.type, Hears]] = field(default_factory=dict)
    on_start: Sequence[Callable[[Core], Awaitable[None]]] = ()
    audits: Sequence[Audit] = ()
    mends: Mapping[str, Mend] = field(default_factory=dict)
    """By kinds of findings: what an operator may have set right."""
    traces: Sequence[Trace] = ()
    rotations: Sequence[Callable[[Any], Awaitable[None]]] = ()
    """`(ctx)`: make new keys of the service's own. All of them, before the master key gets a successor."""
    reseals: Sequence[Callable[[Any], Awaitable[list[str]]]] = ()
    """`(ctx) -> places`: seal with the newest master key whatever an older one sealed. What can't be opened is left as
    it is, and where it stands is told."""
    request_id_header: str | None = None
    request_id_form: Callable[[str], str] = str
    """How the request's id is written in that header."""
    path_form: Callable[[str], str] | None = None
    """What is routed in place of a path below the prefix, where an API has several spellings of one address."""
    strict_query_since: Version | None = None
    strip_slash: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)
    """Resources that unified limits are registered for at the first start, with their default; -1 is none."""
    project_in_path: bool = False
    """Old clients put the project's id after the version: `/v2.1/{project_id}/servers`."""

    @property
    def version_headers(self) -> tuple[str, ...]:
        legacy = self.versions.legacy_header
        return (STANDARD_HEADER.lower(), legacy.lower()) if legacy else (STANDARD_HEADER.lower(),)
