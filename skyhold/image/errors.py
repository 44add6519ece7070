# SPDX-License-Identifier: Apache-2.0
"""How image prints errors, and which status a shared error has here.

What goes wrong is core/errors.py. Glance answers HTML; its clients, when they are given JSON, look
for `message` in every value of the object (glanceclient fails on a flat one), so identity's
envelope `{"error": {…}}` is the one that glanceclient, openstacksdk and keystoneauth all read.
"""

from __future__ import annotations

from skyhold.core import errors
from skyhold.core.http.dialect import Dialect


class RangeUnsatisfiable(errors.Error):
    """A Range header that doesn't meet the image. `extra`: size_bytes."""

    status = 416
    reason = "range_not_satisfiable"


class ImageDialect(Dialect):
    def status(self, error: errors.Error) -> int:
        # Glance calls every limit, quotas included, an entity too large.
        return 413 if isinstance(error, errors.OverQuota) else error.status

    def headers(self, error: errors.Error, base_url: str) -> dict[str, str]:
        if isinstance(error, RangeUnsatisfiable):
            return {"Content-Range": f"bytes */{error.extra['size_bytes']}"}
        return super().headers(error, base_url)


DIALECT = ImageDialect()
