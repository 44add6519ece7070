# SPDX-License-Identifier: Apache-2.0
"""How the object store prints errors, and what can go wrong here and nowhere else.

What goes wrong everywhere is core/errors.py. Swift answers small pages of HTML; clients read the status and show the
text, and its quotas say that an entity is too large.
"""

from __future__ import annotations

import html

from skyhold.core import errors
from skyhold.core.http.dialect import TITLES, Dialect

PAGE = "<html><h1>{title}</h1><p>{message}</p></html>"
HTML = "text/html; charset=UTF-8"
FURTHER = {411: "Length Required", 422: "Unprocessable Entity"}


class LengthRequired(errors.Error):
    """An upload that says neither how long it is nor that it comes in chunks."""

    status = 411
    reason = "length_required"


class RangeUnsatisfiable(errors.Error):
    """No part of a Range header meets the object. `extra`: size_bytes."""

    status = 416
    reason = "range_not_satisfiable"


class Unprocessable(errors.Error):
    """What came isn't what its ETag says."""

    status = 422
    reason = "etag_mismatch"


class ObjectDialect(Dialect):
    def status(self, error: errors.Error) -> int:
        return 413 if isinstance(error, errors.OverQuota) else error.status

    def printed(self, error: errors.Error, status: int, request_id: str) -> tuple[str, bytes]:
        title = TITLES.get(status) or FURTHER.get(status, "Error")
        return HTML, PAGE.format(title=title, message=html.escape(error.message)).encode()

    def headers(self, error: errors.Error, base_url: str) -> dict[str, str]:
        found = {"X-Openstack-Reason": error.reason} | super().headers(error, base_url)
        if isinstance(error, RangeUnsatisfiable):
            found["Content-Range"] = f"bytes */{error.extra['size_bytes']}"
        return found


DIALECT = ObjectDialect()
