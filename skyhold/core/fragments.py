# SPDX-License-Identifier: Apache-2.0
"""Resources of long lists as ready JSON, kept with whatever they were made of.

How a resource becomes JSON is its shape's business (core/wire/code.py), what it is made of its service's. The one
thing to know first: a fragment is used only while all that it was made of is still the same (the row's revision, and
whatever of other tables is shown with it), so nothing is ever thrown out by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from skyhold.core.shapes import Shape, guarded_fields, writer

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context

MOST_BYTES = 16 << 20
KEPT_BYTES = 1024
"""About what a fragment costs beside its text."""

Place = tuple[int, str]


class Kept(NamedTuple):
    made_of: Any
    text: bytes


class Fragments:
    """Of one shape, for all callers. Those least lately asked for go when they are more than `most_bytes`."""

    def __init__(self, shape: type[Shape], most_bytes: int = MOST_BYTES) -> None:
        self.shape = shape
        self.rules = sorted({rule for _, _, rule in guarded_fields(shape)})
        self._eyes: dict[Any, int] = {}
        self._most_bytes = most_bytes // 2
        self._bytes = 0
        # Two halves instead of an order of use: what is asked for moves to the young, the old go all at once.
        self._young: dict[Place, Kept] = {}
        self._old: dict[Place, Kept] = {}

    def seen_by(self, ctx: Context) -> Seen:
        """As this caller's version and rights show them; not for a transaction that writes, for it may roll back
        what it reads."""
        eyes = (ctx.version, *[ctx.core.policy.allows(rule, ctx.creds) for rule in self.rules])
        return Seen(self, ctx, self._eyes.setdefault(eyes, len(self._eyes)))

    def get(self, place: Place, made_of: Any) -> bytes | None:
        found = self._young.get(place)
        if found is None and (found := self._old.pop(place, None)) is not None:
            self.keep(place, found)
        return found.text if found is not None and found.made_of == made_of else None

    def keep(self, place: Place, kept: Kept) -> None:
        former = self._young.get(place)
        self._young[place] = kept
        self._bytes += len(kept.text) + KEPT_BYTES - (len(former.text) + KEPT_BYTES if former else 0)
        if self._bytes > self._most_bytes:
            self._young, self._old, self._bytes = {}, self._young, 0


class Seen:
    """Fragments as callers of one version and the same rights see them."""

    def __init__(self, fragments: Fragments, ctx: Context, eyes: int) -> None:
        self._fragments, self._ctx, self._eyes = fragments, ctx, eyes
        self._write = writer(fragments.shape, ctx.version)

    def get(self, id: str, made_of: Any) -> bytes | None:
        """The resource's JSON, if it was made of just that."""
        return self._fragments.get((self._eyes, id), made_of)

    def make(self, id: str, made_of: Any, resource: Shape) -> bytes:
        """The resource's JSON, kept with what it was made of."""
        text = orjson.dumps(self._write(resource, self._allows))
        self._fragments.keep((self._eyes, id), Kept(made_of, text))
        return text

    def _allows(self, rule: str) -> bool:
        return self._ctx.core.policy.allows(rule, self._ctx.creds)


def fragments(core: Core, name: str, shape: type[Shape]) -> Fragments:
    """This process's, on the core's shelf."""
    found: Fragments | None = core.shelf.get(name)
    if found is None:
        found = core.shelf[name] = Fragments(shape)
    return found
