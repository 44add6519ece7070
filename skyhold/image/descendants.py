# SPDX-License-Identifier: Apache-2.0
"""What stands on an image: the servers, and whatever else other services make of it.

Services further up the street say what they have with `add_source` (facade.py); nothing is known of them here. The one
thing to know first: whoever owns an image is shown the things of its own project and told how many there are in all;
only an administrator sees everybody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape
from skyhold.image import policy
from skyhold.image.images.store import get

if TYPE_CHECKING:
    from skyhold.core.app import Core

SHELF: Final = "image.descendants"
MOST: Final = 1000


class Descendant(Shape):
    """`type` is a word of its API, such as `server`."""

    type: str
    id: str
    name: str
    project_id: str


class Found(msgspec.Struct, frozen=True):
    """Some of the things, and how many there are in all."""

    shown: list[Descendant]
    total: int


class Source(Protocol):
    def __call__(self, tx: Tx, ctx: Context, image_id: str, project_id: str | None, most: int) -> Found:
        """What was made of the image and is still there; at most `most` are shown, newest first, of this project alone
        unless it is None, while all are counted. As many queries whatever there is."""


class Descendants(Shape):
    image_id: str
    descendants: list[Descendant]
    total: int


def sources(core: Core) -> list[Source]:
    kept: list[Source] = core.shelf.setdefault(SHELF, [])
    return kept


def add_source(core: Core, source: Source) -> None:
    if source not in sources(core):
        sources(core).append(source)


# ---- routes ----------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2/images/{image_id}/descendants", policy=policy.GET_DESCENDANTS, reply=Descendants)
async def index(ctx: Context, image_id: str) -> Descendants:
    """List what was made of an image."""
    found = await ctx.read(of_image, image_id)
    return Descendants(image_id=image_id, descendants=found.shown, total=found.total)


# ---- operations ------------------------------------------------------------------------------


def of_image(tx: Tx, ctx: Context, image_id: str) -> Found:
    """Raises NotFound, and Forbidden for an image of others that the caller may use."""
    image = get(tx, ctx, image_id)
    ctx.demand(policy.GET_DESCENDANTS, image._asdict())
    own = None if "admin" in ctx.creds.roles else ctx.project_id
    found = [source(tx, ctx, image.id, own, MOST) for source in sources(ctx.core)]
    shown = [each for some in found for each in some.shown]
    return Found(shown[:MOST], sum(some.total for some in found))


def check_unused(tx: Tx, ctx: Context, image: Any) -> None:
    """Raises Conflict. What is made of the image in this very moment isn't seen."""
    total = sum(source(tx, ctx, image.id, None, 0).total for source in sources(ctx.core))
    if total:
        raise errors.Conflict(
            f"Image {image.id} has {total} descendants, which GET /v2/images/{image.id}/descendants lists. They would "
            "go on without it, but couldn't be rebuilt; delete it without if_unused to do so.",
            reason="image_in_use",
        )
