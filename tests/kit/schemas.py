# SPDX-License-Identifier: Apache-2.0
"""The schema of each release as SQL, a file per revision and database, in tests/unit/core/schemas/.

What turns one into the next is skyhold/migrations; that it does is tests/unit/core/test_schema.py.
`python -m tests.kit.schemas` writes the files of the newest revision: do so with each release, then never again.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from skyhold.cmd.compose import services
from skyhold.core import schema
from skyhold.core.db.columns import metadata

FOLDER = Path(__file__).parents[1] / "unit" / "core" / "schemas"
DIALECTS: dict[str, type[Dialect]] = {
    "sqlite": sqlite.dialect, "postgresql": postgresql.dialect, "mariadb": MariaDBDialect,
}


def file_of(revision: str, database: str) -> Path:
    return FOLDER / f"{revision}.{database}.sql"


def statements(revision: str, database: str) -> list[str]:
    """The release's tables and indexes, a statement each."""
    return [each for each in file_of(revision, database).read_text().split(";\n") if each.strip()]


def revisions() -> list[str]:
    return sorted({path.name.split(".")[0] for path in FOLDER.glob("*.sql")})


def printed(database: str) -> str:
    """The declared tables in the words of one database."""
    dialect = DIALECTS[database]()
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=str)]
    return "".join(f"{each};\n" for each in made)


def main() -> None:
    services()
    FOLDER.mkdir(exist_ok=True)
    for database in DIALECTS:
        file_of(schema.HEAD, database).write_text(printed(database))


if __name__ == "__main__":
    main()
