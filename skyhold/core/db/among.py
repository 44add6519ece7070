# SPDX-License-Identifier: Apache-2.0
"""`among(column, "ids")`: the rows whose column is one of many values, told as one parameter.

Ordinary queries are core/store.py. An ordinary IN writes every value into the statement anew, which
for a page of a thousand costs more than the query: SQLite is handed one JSON array instead and
PostgreSQL, which plans each number of values anew, one of its own arrays. MariaDB is written to as
before. The statement is built once and given `{"ids": [...]}` each time.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from skyhold.core.db.columns import json


class among(FunctionElement[Any]):
    """The values are texts or integers, none of them NULL, at most 30,000."""

    # Not Boolean: SQLite would be asked `… = 1` then, and couldn't use the index.
    type = sa.types.NullType()
    inherit_cache = True

    def __init__(self, column: Any, parameter: str) -> None:
        super().__init__(column, sa.bindparam(parameter, type_=json()))


@compiles(among)
def written_out(clause: among, compiler: Any, **options: Any) -> str:
    column, values = clause.clauses
    text: str = compiler.process(column.in_(sa.bindparam(values.key, expanding=True)), **options)
    return text


@compiles(among, "postgresql")
def as_own_array(clause: among, compiler: Any, **options: Any) -> str:
    column, values = clause.clauses
    told = sa.bindparam(values.key, type_=ARRAY(column.type))
    text: str = compiler.process(column == sa.any_(told), **options)
    return text


@compiles(among, "sqlite")
def as_array(clause: among, compiler: Any, **options: Any) -> str:
    column, values = clause.clauses
    asked, told = compiler.process(column, **options), compiler.process(values, **options)
    return f"{asked} IN (SELECT value FROM json_each({told}))"  # noqa: S608 - both are SQLAlchemy's own text
