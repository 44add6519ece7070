# SPDX-License-Identifier: Apache-2.0
"""The rigs of the suite for directories: one in memory, and one in Debian's slapd, for a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from skyhold.identity.drivers.base import Directory, Person, Team
from skyhold.identity.drivers.fake import FakeDirectory
from skyhold.identity.drivers.ldap import LdapDirectory
from tests.kit.slapd import Slapd


class Rig(Protocol):
    """A directory, and the other side's hand that keeps it."""

    directory: Directory

    def person(self, uid: str, password: str = "", *, name: str = "", enabled: bool = True, **extra: str) -> str:
        """A new one; what the directory calls the entry."""

    def disable(self, uid: str) -> None: ...
    def remove(self, uid: str) -> None: ...
    def team(self, name: str, *members: str, description: str = "") -> None:
        """`members` are uids, of which some may be nobody's."""

    def stop(self) -> None: ...
    def start(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.directory = FakeDirectory()
        self._made: dict[str, tuple[Person, str]] = {}

    def person(self, uid: str, password: str = "", *, name: str = "", enabled: bool = True, **extra: str) -> str:
        self._put(Person(uid, name or uid, f"uid={uid}", enabled, None, extra), password)
        return f"uid={uid}"

    def _put(self, person: Person, password: str) -> None:
        self._made[person.local_id] = person, password
        self.directory.put(person, password)

    def disable(self, uid: str) -> None:
        person, password = self._made[uid]
        self._put(person._replace(enabled=False), password)

    def remove(self, uid: str) -> None:
        self.directory.remove(uid)

    def team(self, name: str, *members: str, description: str = "") -> None:
        self.directory.put_team(Team(name, name, description, {}, frozenset(members)))

    def stop(self) -> None:
        self.directory.away = "somebody pulled the cable"

    def start(self) -> None:
        self.directory.away = ""


class LdapRig:
    """Its own organisation in the shared server, which it may stop and start."""

    NAMES = {"email": "mail", "description": "description"}

    def __init__(self, slapd: Slapd) -> None:
        self._slapd, self._tree = slapd, slapd.tree()
        options: dict[str, Any] = self._tree.config(user_name_attribute="cn")["ldap"]
        self.directory = LdapDirectory(options)

    def person(self, uid: str, password: str = "", *, name: str = "", enabled: bool = True, **extra: str) -> str:
        more = {self.NAMES[key]: value for key, value in extra.items()}
        return self._tree.user(uid, password, cn=name or uid, employeeType=str(enabled).upper(), **more)

    def disable(self, uid: str) -> None:
        self._tree.change(self._tree.address(uid), employeeType="FALSE")

    def remove(self, uid: str) -> None:
        self._tree.delete(self._tree.address(uid))

    def team(self, name: str, *members: str, description: str = "") -> None:
        more = {"description": description} if description else {}
        self._tree.group(name, *map(self._tree.address, members), **more)

    def stop(self) -> None:
        self._slapd.stop()

    def start(self) -> None:
        self._slapd.start()


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    made = Slapd(tmp_path_factory.mktemp("slapd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=["fake", "ldap"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made: Rig = FakeRig() if request.param == "fake" else LdapRig(request.getfixturevalue("slapd"))
    yield made
    made.directory.close()

