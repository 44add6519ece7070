# SPDX-License-Identifier: Apache-2.0
"""Which errors of a database pass by themselves: whoever asked is told to try again, and that nothing is broken.
And which are the asker's: more conditions in one statement than the database takes.

What is tried again unseen is core/db/engine.py's business; here is what was in vain, or was never tried again. The one
thing to know first: nothing here was committed. A connection that broke during COMMIT is the engine's to tell.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.db.engine import FULL, code_of, full

BUSY = {
    # PostgreSQL, by SQLSTATE: serialization failure, deadlock, a lock not to be had in time.
    "40001", "40P01", "55P03",
    # MariaDB: a lock not to be had in time, deadlock, a row that changed since it was read.
    1205, 1213, 1020,
    # SQLite: another process writes.
    "SQLITE_BUSY", "SQLITE_LOCKED",
}
CROWDED = {
    # Too many connections, or no memory for one more.
    "53300", "53200", 1040, 1041, 1203, 1226,
}
ENDED = {
    # PostgreSQL: cancelled or too long, shut down, crashed, starting, the database dropped, idle for too long, and
    # the server is a standby now.
    "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "25006",
    "08000", "08001", "08003", "08004", "08006", "08007",
    # MariaDB: interrupted, too long (in MariaDB's number and in MySQL's), shut down, killed, gone, read-only, a node
    # of a cluster that isn't ready.
    1317, 1969, 3024, 1053, 1927, 2002, 2003, 2006, 2013, 1290, 1792, 1836, 1047,
}


TOO_MUCH = {
    # Deeper than the server's stack, or more parameters, columns or text than it takes.
    "54000", "54001", "54011", "54023", 1436, 1390,
}
SQLITE_TOO_MUCH = ("Expression tree is too large", "too many SQL variables", "parser stack overflow")
"""Its errors in a statement have all one name."""


def passing(error: BaseException) -> errors.Error | None:
    """What the user is told of this error; None if it is our own defect, or no database's."""
    if isinstance(error, sa.exc.TimeoutError):
        return crowded()
    code = code_within(error)
    if code in FULL:
        return full("database")
    if code in BUSY:
        return errors.Unavailable(
            "Others are changing the same things in the database, and this could not come between; try again.",
            reason="contended",
        )
    if code in CROWDED:
        return crowded()
    if code in ENDED:
        return errors.Unavailable("The database ended this before it was done; try again.", reason="database")
    if code in TOO_MUCH or (code == "SQLITE_ERROR" and any(text in str(error.args[0]) for text in SQLITE_TOO_MUCH)):
        return errors.Invalid("This asks for more at once than the database can look for.", reason="too_complex")
    return None


def crowded() -> errors.Unavailable:
    return errors.Unavailable("Every connection to the database is in use; try again.", reason="database")


def code_within(error: BaseException) -> str | int | None:
    """SQLite's name, MariaDB's number, PostgreSQL's SQLSTATE. A driver of PostgreSQL that could not connect raises an
    error of its own, which nothing wraps."""
    if not isinstance(error, sa.exc.DBAPIError):
        return getattr(error, "sqlstate", None)
    if name := getattr(error.orig, "sqlite_errorname", None):
        return "_".join(name.split("_")[:2])
    return code_of(error)
