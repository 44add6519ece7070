# SPDX-License-Identifier: Apache-2.0
"""What can keep a cloud from starting, each told in one sentence with the remedy."""

from __future__ import annotations

import errno
from pathlib import Path


class CannotStart(Exception):
    """The machine or the settings don't allow it."""


class NotUp(Exception):
    """The cloud is there, but the first server did not come up."""


def disk_full(error: BaseException, home: Path) -> str | None:
    """The sentence for a full disk, whoever met it (SQLite says so only in words); None for other errors."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "database or disk is full" in str(error):
        return f"The disk of {home} is full: free some space there, then start again. Nothing that was kept is lost."
    return None
