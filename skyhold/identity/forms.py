# SPDX-License-Identifier: Apache-2.0
"""Bodies that browsers and OAuth clients send: fields of a form, within bounds.

Bodies of the API itself are JSON: core/http/body.py. A field that is sent twice is refused, because two readers
could each believe another one.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from skyhold.core import errors
from skyhold.core.http.routes import Stream

LONGEST_BYTES = 256 * 1024
MOST_FIELDS = 50
KIND = "application/x-www-form-urlencoded"


async def fields(stream: Stream) -> dict[str, str]:
    """Raises UnsupportedMedia, TooLarge, Invalid."""
    if stream.content_type.partition(";")[0].strip().lower() != KIND:
        raise errors.UnsupportedMedia(f"This takes a form: {KIND}.")
    raw = await whole(stream)
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, strict_parsing=bool(raw))
    except ValueError:
        raise errors.Invalid("The form can't be understood.", reason="bad_form") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise errors.Invalid("A field of the form was sent twice.", reason="bad_form")
    if any("\0" in value for value in found.values()):
        raise errors.Invalid("A field of the form has a NUL character.", reason="bad_form")
    return found


async def whole(stream: Stream, longest_bytes: int = LONGEST_BYTES) -> bytes:
    parts, size = [], 0
    async for chunk in stream.chunks:
        parts.append(bytes(chunk))
        size += len(chunk)
        if size > longest_bytes:
            raise errors.TooLarge(f"The body is longer than {longest_bytes} bytes.", limit_bytes=longest_bytes)
    return b"".join(parts)
