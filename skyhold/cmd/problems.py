# SPDX-License-Identifier: Apache-2.0
"""What can keep a cloud from starting, each told in one sentence with the remedy.

What a machine lacks is doctor.py. An accident that isn't known here keeps its traceback.
"""

from __future__ import annotations

import errno
from pathlib import Path

from skyhold.core.errors import StorageFull

DAMAGED = ("file is not a database", "database disk image is malformed")
"""SQLite's own words."""


class CannotStart(Exception):
    """The machine or the settings don't allow it."""


class NotUp(Exception):
    """The cloud is there, but the first server did not come up."""


def disk_full(error: BaseException, home: Path) -> str | None:
    """The sentence for a full disk, whoever met it (SQLite says so only in words); None for other errors."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or isinstance(error, StorageFull) or "database or disk is full" in str(error):
        return f"The disk of {home} is full: free some space there, then start again. Nothing that was kept is lost."
    return None


def known(error: BaseException, home: Path) -> str | None:
    """The sentence for what a full disk, a power cut or a former release left behind; None for other errors."""
    from skyhold.core.keyring import Damaged
    from skyhold.core.policy.language import PolicyError
    from skyhold.core.schema import WrongSchema

    if isinstance(error, Damaged | PolicyError | WrongSchema):
        return str(error)
    if any(words in str(error) for words in DAMAGED):
        return (
            f"The database {home / 'skyhold.db'} is damaged and can't be read: bring it back from a backup "
            "(docs/operate/backup.md), with its -wal and -shm removed."
        )
    return disk_full(error, home)
