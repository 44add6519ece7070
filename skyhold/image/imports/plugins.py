# SPDX-License-Identifier: Apache-2.0
"""What imports do with content before it is inspected: unpack it, convert it, add properties.

Which of them run, and in which order, is the setting `image.import_plugins`. Each reads what is staged and stages
what it made of it; copies between stores pass none of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.core.saga.runner import Run
from skyhold.image import blobs
from skyhold.image.images import ops as images
from skyhold.image.images.store import store
from skyhold.image.imports import conversion, staged
from skyhold.image.logic import compression

PIECE_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 8


async def run(s: Run, row: Any, name: str) -> None:
    """Raises Abort when the plug-in refuses the content."""
    await PLUGINS[name](s, row)


async def image_decompression(s: Run, row: Any) -> None:
    """What the container format says is compressed stays so."""
    if row.container_format == "compressed":
        return
    path = await staged.path(s)
    file = await blobs.in_thread(open, path, "rb")
    try:
        kind = compression.kind_of(await blobs.in_thread(file.read, HEAD_BYTES))
        if kind is None:
            return
        file.seek(0)
        limit_bytes = await s.read(staged.limit_of, row)
        await staged.write(s, in_threads(compression.unpacked(kind, file, PIECE_BYTES)), None, limit_bytes)
    except compression.Damaged as damaged:
        raise Abort(str(damaged)) from None
    finally:
        await blobs.in_thread(file.close)


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await blobs.in_thread(next, pieces, b""):
        yield piece


async def inject_image_metadata(s: Run, row: Any) -> None:
    s.then(add_properties, s.subject, properties_of(s.ctx.core.settings.image.inject_properties))


def properties_of(told: list[str]) -> dict[str, str]:
    parts = (text.partition(":") for text in told)
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}


def add_properties(tx: Tx, ctx: Context, image_id: str, added: dict[str, str]) -> None:
    row = store.find(tx, image_id, lock=True)
    if row is None:
        raise staged.deleted(image_id)
    properties = {**row.properties, **added}
    images.check_properties(ctx, properties, had=len(row.properties))
    images.write(tx, row, {"properties": properties}, "image.update")


PLUGINS: Final[dict[str, Callable[[Run, Any], Awaitable[None]]]] = {
    "image_decompression": image_decompression,
    "image_conversion": conversion.image_conversion,
    "inject_image_metadata": inject_image_metadata,
}
