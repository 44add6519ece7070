# SPDX-License-Identifier: Apache-2.0
"""A directory in memory that keeps the interface's promises, and can be told to be away or slow.

The interface is base.py, the real one ldap.py. As in a real one a name is found however its letters are cased, two
people may have the same, and a group may have members that are nobody any more.
"""

from __future__ import annotations

import asyncio

from skyhold.identity.drivers.base import Away, Person, Team


class FakeDirectory:
    """`away`, when it says something, is why nothing is answered; each answer takes `delay_s`."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s, self.away = delay_s, ""
        self._people: dict[str, Person] = {}
        self._passwords: dict[str, str] = {}
        self._teams: dict[str, Team] = {}

    # ---- what is in it ---------------------------------------------------------------------

    def put(self, person: Person, password: str = "") -> None:
        """New, or in the place of the one with this id."""
        self._people[person.local_id.casefold()] = person
        self._passwords[person.address] = password

    def put_team(self, team: Team) -> None:
        self._teams[team.local_id.casefold()] = team

    def remove(self, local_id: str) -> None:
        gone = self._people.pop(local_id.casefold())
        del self._passwords[gone.address]

    # ---- questions -------------------------------------------------------------------------

    async def person(self, *, name: str | None = None, local_id: str | None = None) -> Person | None:
        await self._answer()
        if local_id is not None:
            return self._people.get(local_id.casefold())
        wanted = (name or "").casefold()
        found = [each for each in self._people.values() if each.name.casefold() == wanted]
        # Two of one name: nobody can say who is meant.
        return found[0] if len(found) == 1 else None

    async def matches(self, person: Person, password: str) -> bool:
        await self._answer()
        return bool(password) and self._passwords.get(person.address) == password

    async def teams_of(self, person: Person) -> list[Team]:
        await self._answer()
        mine = [team for team in self._teams.values() if person.local_id in team.members]
        return [team._replace(members=frozenset([person.local_id])) for team in mine]

    async def everything(self) -> tuple[list[Person], list[Team]]:
        await self._answer()
        known = {person.local_id for person in self._people.values()}
        teams = [team._replace(members=team.members & known) for team in self._teams.values()]
        return list(self._people.values()), teams

    def close(self) -> None:
        """It has no connections."""

    async def _answer(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.away:
            raise Away(self.away)
