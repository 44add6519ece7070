# SPDX-License-Identifier: Apache-2.0
"""The list of assignments as bytes: each user, place and role is printed once, and rows are put together.

What is in the list is listing.py, its shape Assignment there, names are names.py. Ten thousand rows are a
few megabytes, and hold the same few hundred things over and over: printing each row anew cost most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from skyhold.core.context import Context
from skyhold.identity import links
from skyhold.identity.assignments.names import Names

if TYPE_CHECKING:
    from skyhold.identity.assignments.listing import Held


class Part(NamedTuple):
    """One user, place or role: as JSON, and in an address (as JSON too, without the quotes)."""

    json: str
    path: str


class Grant(NamedTuple):
    """A role in a place, as the text before an actor, between the two forms of it, and after."""

    before: str
    between: str
    after: str


class Parts:
    """Printed once each."""

    def __init__(self, names: Names | None, base: str) -> None:
        self._names, self.base = names, base
        self.actors: dict[str, Part] = {}
        self.grants: dict[tuple[str, str, str], Grant] = {}

    def actor(self, kind: str, id: str) -> Part:
        shown = self._names.actor(id) if self._names else {"id": id}
        part = self.actors[id] = Part(f'"{kind}":{text(shown)}', f"{kind}s/{quoted(id)}")
        return part

    def role(self, id: str) -> Part:
        return Part(text(self._names.role(id) if self._names else {"id": id}), quoted(id))

    def place(self, kind: str, id: str) -> Part:
        """`json` is left open: whether it is inherited follows."""
        if kind == "system":
            return Part('{"system":{"all":true}', "system")
        shown = self._names.place(id) if self._names else {"id": id}
        return Part(f'{{"{kind}":{text(shown)}', f"{kind}s/{quoted(id)}")

    def grant(self, kind: str, place_id: str, role_id: str) -> Grant:
        role, place = self.role(role_id), self.place(kind, place_id)
        grant = self.grants[kind, place_id, role_id] = Grant(
            f'{{"role":{role.json},"scope":{place.json}}},',
            f',"links":{{"assignment":"{self.base}/{place.path}/', f'/roles/{role.path}"}}}}',
        )
        return grant


def body(ctx: Context, found: Sequence[Held], names: Names | None, asked: links.Query) -> bytes:
    """`{"role_assignments": […], "links": {…}}` of what is held; `asked` is the query."""
    rows = ",".join(printed(Parts(names, links.base(ctx)), found))
    return f'{{"role_assignments":[{rows}],"links":{text(links.of_list(ctx, "role_assignments", asked))}}}'.encode()


def printed(parts: Parts, found: Sequence[Held]) -> list[str]:
    """All in one loop: a call for each would cost as much as what it does."""
    actors, grants, made = parts.actors, parts.grants, []
    for held in found:
        actor_type, actor_id, kind, place_id, role_id, inherited, via_group, _, via_role = held
        if inherited or via_group or via_role:
            made.append(followed(parts, held))
            continue
        json, path = actors.get(actor_id) or parts.actor(actor_type, actor_id)
        before, between, after = grants.get((kind, place_id, role_id)) or parts.grant(kind, place_id, role_id)
        made.append(f"{before}{json}{between}{path}{after}")
    return made


def followed(parts: Parts, held: Held) -> str:
    """One that was given to a group, above, or as another role: its links say to whom, where and as which."""
    actor_type, actor_id, kind, place_id, role_id, inherited, via_group, via_place, via_role = held
    actor = parts.actors.get(actor_id) or parts.actor(actor_type, actor_id)
    grant = parts.grants.get((kind, place_id, role_id)) or parts.grant(kind, place_id, role_id)
    place = parts.place(*via_place) if via_place else parts.place(kind, place_id)
    whom = f"groups/{quoted(via_group)}" if via_group else actor.path
    which = quoted(via_role or role_id)
    path, before, more = f"{place.path}/{whom}/roles/{which}", grant.before, ""
    if inherited:
        path = f"OS-INHERIT/{path}/inherited_to_projects"
        before = f'{before[:-2]},"OS-INHERIT:inherited_to":"projects"}},'
    if via_group:
        more = f',"membership":"{parts.base}/{whom}/{actor.path}"'
    if via_role:
        more = f'{more},"prior_role":"{parts.base}/prior_role/{which}/implies/{quoted(role_id)}"'
    return f'{before}{actor.json},"links":{{"assignment":"{parts.base}/{path}"{more}}}}}'


def text(value: Any) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=4096)
def quoted(value: str) -> str:
    """As it stands inside a JSON text."""
    return text(value)[1:-1]
