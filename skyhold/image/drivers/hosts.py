# SPDX-License-Identifier: Apache-2.0
"""What hosts are told of images: where the bytes of one are, and where those of a new one go.

Structs that the verbs of compute and volume carry; fetching and sending are the drivers' business. What a host brings
is believed only after its checksum and its format were looked at.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class ImageSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a host finds an image's bytes, and what they must be.

    `path` is used when that file exists on the host (it is hard-linked, not copied); otherwise
    the bytes come from `url` with `token`. `format` is what our own inspection found.
    """

    image_id: str
    format: Literal["raw", "qcow2"]
    size_bytes: int
    virtual_size_bytes: int
    sha512: str
    path: str | None = None
    url: str | None = None
    token: str | None = None


class ImageTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a host sends the bytes of a snapshot: PUT `url`, authenticated by `token`."""

    image_id: str
    url: str
    token: str
    format: Literal["raw", "qcow2"] = "qcow2"


class CantSend(Exception):
    """The image service can't be reached, went away, or can't just now: another try may be luckier."""
