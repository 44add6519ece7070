# SPDX-License-Identifier: Apache-2.0
"""The wire form of an import, and the ways there are.

What is allowed when is ops.py; the work is sagas/import_image.py.
"""

from __future__ import annotations

from typing import Final

from skyhold.core.shapes import Shape, field

GLANCE_DIRECT: Final = "glance-direct"
WEB_DOWNLOAD: Final = "web-download"
COPY_IMAGE: Final = "copy-image"
GLANCE_DOWNLOAD: Final = "glance-download"
METHODS: Final = (GLANCE_DIRECT, WEB_DOWNLOAD, COPY_IMAGE, GLANCE_DOWNLOAD)


class Method(Shape, extra="ignore"):
    """`uri` belongs to web-download; the others of `glance_*` to glance-download."""

    name: str = field(max=64)
    uri: str | None = field(default=None, max=2048)
    glance_image_id: str | None = field(default=None, max=255)
    glance_region: str | None = field(default=None, max=255)
    glance_service_interface: str | None = field(default=None, max=255)


class ImportRequest(Shape, extra="ignore"):
    method: Method
    stores: list[str] | None = field(default=None, max_items=100)
    all_stores: bool = False
    all_stores_must_succeed: bool = True
