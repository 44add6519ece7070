# SPDX-License-Identifier: Apache-2.0
"""The database's own time, in microseconds since 1970: what processes on several machines agree on.

An operation asks for it with `tx.clock()`, or saves that round trip by naming `CLOCK` in its statement and giving the
parameter `now`. That parameter counts on SQLite only, whose one process has a clock that will do.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Clock(FunctionElement[int]):
    """The same throughout a statement, so that an index can be searched by it."""

    inherit_cache = True
    name = "clock"
    type = sa.BigInteger()


@compiles(Clock, "sqlite")
def given(element: Clock, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(Clock, "postgresql")
def of_postgresql(element: Clock, compiler: Any, **kw: Any) -> str:
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)"


@compiles(Clock, "mysql")
@compiles(Clock, "mariadb")
def of_mariadb(element: Clock, compiler: Any, **kw: Any) -> str:
    return "CAST(unix_timestamp(now(6)) * 1000000 AS signed)"


CLOCK = Clock(sa.bindparam("now", type_=sa.BigInteger()))
ASK = sa.select(CLOCK)
