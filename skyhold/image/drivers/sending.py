# SPDX-License-Identifier: Apache-2.0
"""Sends the bytes of a new image from a host to the image service, with the token it was given for that.

Making the bytes is the business of whoever holds the disk: compute's drivers and volume's. An answer that isn't a
success is final, but for those of a service that is away or just ending; a connection that fails is not.
"""

from __future__ import annotations

from typing import Any

import aiohttp

from skyhold.image.drivers.hosts import CantSend, ImageTarget

STALL_S = 120
AWAY = (502, 503, 504)


class Refused(Exception):
    """The image service said no; the text is for the user."""


async def send(body: Any, length: int, target: ImageTarget, session: aiohttp.ClientSession) -> None:
    """PUT `body`, bytes or an open file. Raises Refused or CantSend."""
    headers = {
        "X-Auth-Token": target.token, "Content-Type": "application/octet-stream", "Content-Length": str(length),
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=STALL_S)
    try:
        async with session.put(
            target.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            if answer.status in AWAY:
                raise CantSend(f"The image could not be sent: the image service answered {answer.status}.")
            if answer.status // 100 != 2:
                raise Refused(f"The image service refused the image with status {answer.status}.")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CantSend(f"The image could not be sent: {error or type(error).__name__}.") from error
