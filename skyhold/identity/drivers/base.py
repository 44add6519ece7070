# SPDX-License-Identifier: Apache-2.0
"""The interface to a directory of users and groups that is kept elsewhere and only read here.

What is made of its answers is directories/; the one driver is ldap.py. A directory is slow and may be
away: nothing here is called inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Away(Exception):
    """The directory doesn't answer, or can't be used as it is configured; says which, for the operator."""


class Person(NamedTuple):
    local_id: str
    name: str
    address: str
    """What the directory itself calls the entry: a distinguished name."""
    enabled: bool
    default_project_id: str | None
    extra: Mapping[str, str]
    """Further attributes: email, description, whatever the configuration maps."""


class Team(NamedTuple):
    local_id: str
    name: str
    description: str
    extra: Mapping[str, str]
    members: frozenset[str]
    """Local ids of people."""


class Directory(Protocol):
    """All raise Away."""

    async def person(self, *, name: str | None = None, local_id: str | None = None) -> Person | None:
        """The one of that name, or with that id."""

    async def matches(self, person: Person, password: str) -> bool:
        """Whether this is the person's password; never for an empty one."""

    async def teams_of(self, person: Person) -> list[Team]:
        """The groups that a person is in, each with that member alone."""

    async def everything(self) -> tuple[list[Person], list[Team]]:
        """All people and all groups with all their members; never some of them."""

    def close(self) -> None:
        """Let go of all connections."""
