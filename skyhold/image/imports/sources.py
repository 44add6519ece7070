# SPDX-License-Identifier: Apache-2.0
"""Where imported content comes from when it isn't staged: the web, or another cloud's image service.

What is done with it is sagas/import_image.py. The web goes through the one outbound client, because users aim it;
other image services are what operators wrote into the catalogue, and are asked with a token of the user.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from skyhold.core import errors
from skyhold.core.outbound import Outbound
from skyhold.core.saga.base import Abort
from skyhold.core.settings.whole import Settings
from skyhold.identity import facade as identity

if TYPE_CHECKING:
    from skyhold.core.saga.runner import Run

CHUNK_BYTES: Final = 1024 * 1024
STALL_S: Final = 60.0
COPIED_PROPERTIES: Final = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
"""What a property's name begins with that goes along with content from another image service, as upstream."""


class Source(msgspec.Struct):
    """`attributes` are what the image is to become besides its content."""

    chunks: AsyncIterator[bytes]
    length: int | None
    attributes: dict[str, Any] = {}


@asynccontextmanager
async def from_web(s: Run, uri: str, limit_bytes: int) -> AsyncIterator[Source]:
    """Raises Abort with the reason when there is nothing to be had there."""
    try:
        async with Outbound(s.ctx.core.settings).stream("GET", uri, limit_bytes=limit_bytes, stall_s=STALL_S) as found:
            if found.status != 200:
                raise Abort(f"{uri} answered {found.status}.")
            yield Source(gathered(found.chunks), length_of(found.headers))
    except errors.Error as error:
        raise Abort(error.message) from None


@asynccontextmanager
async def from_glance(s: Run, method: dict[str, Any]) -> AsyncIterator[Source]:
    """An image of the image service of that region, with the rights that the user has there."""
    import aiohttp

    region, interface = method["glance_region"], method.get("glance_service_interface") or "public"
    base = await s.read(identity.endpoint, "image", region, interface)
    if base is None:
        raise Abort(f"The catalogue has no {interface} endpoint of an image service in region {region}.")
    try:
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
    except errors.Error as error:
        raise Abort(error.message) from None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=STALL_S, sock_read=STALL_S)
    place = f"{base.rstrip('/').removesuffix('/v2')}/v2/images/{method['glance_image_id']}"
    try:
        async with aiohttp.ClientSession(
            headers={"X-Auth-Token": token}, timeout=timeout, trust_env=False, auto_decompress=False,
            connector=aiohttp.TCPConnector(ssl=trust(s.ctx.core.settings)),
        ) as session:
            attributes = copied(await shown(session, place))
            async with session.get(place + "/file", allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Abort(f"The image service of region {region} has no content of this image.")
                yield Source(answer.content.iter_chunked(CHUNK_BYTES), length_of(answer.headers), attributes)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Abort(f"The image service of region {region} can't be read: {error or type(error).__name__}.") from None


async def shown(session: Any, place: str) -> dict[str, Any]:
    async with session.get(place, allow_redirects=False) as answer:
        if answer.status != 200:
            raise Abort(f"The other image service answered {answer.status}: there is no such image to be had.")
        image: dict[str, Any] = await answer.json()
    if image.get("status") != "active":
        raise Abort(f"The image to import is {image.get('status')} there, and not active.")
    return image


def copied(image: dict[str, Any]) -> dict[str, Any]:
    """What goes along: both formats, and the properties that describe the content."""
    properties = {
        name: value for name, value in image.items() if name.startswith(COPIED_PROPERTIES) and isinstance(value, str)
    }
    return {
        "disk_format": image.get("disk_format"), "container_format": image.get("container_format"),
        "properties": properties, "sha512": image.get("os_hash_value"),
    }


def trust(settings: Settings) -> ssl.SSLContext:
    """What the machine trusts, and this cloud's own authority."""
    context = ssl.create_default_context()
    if settings.tls_authority.exists():
        context.load_verify_locations(cafile=str(settings.tls_authority))
    return context


def length_of(headers: Any) -> int | None:
    told = headers.get("Content-Length") or ""
    return int(told) if told.isdigit() else None


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """In larger pieces: each costs a hop to a thread."""
    waiting, size = [], 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
