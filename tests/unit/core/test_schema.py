# SPDX-License-Identifier: Apache-2.0
"""The schema: made whole when empty, migrated when old, refused when it is neither.

Every test runs on each database of the run, with the tables of all services.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from skyhold.cmd.compose import services
from skyhold.core import schema
from skyhold.core.db.columns import metadata
from skyhold.core.db.engine import Database, open_database
from skyhold.core.schema import WrongSchema, prepare_schema
from skyhold.core.tables import SCHEMA
from skyhold.migrations import upgrade
from tests.kit import schemas

NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{schema.HEAD}"


def upgrade():
    with op.batch_alter_table("core_leases") as batch:
        batch.add_column(sa.Column("note", sa.String(20), nullable=True))
"""
BROKEN = """
revision = "9002"
down_revision = "9001"


def upgrade():
    raise RuntimeError("no")
"""


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    services()
    made = await open_database(database_url, synchronous="OFF")
    yield made
    await made.close()


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A later release's migrations."""
    copy = tmp_path / "migrations"
    shutil.copytree(upgrade.HERE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "9001_notes.py").write_text(NEXT)
    return copy


def differences(conn: sa.Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(conn, opts={"compare_type": False}), metadata))


def leases_columns(conn: sa.Connection) -> set[str]:
    return {column["name"] for column in sa.inspect(conn).get_columns("core_leases")}


def test_the_head_is_the_newest_revision() -> None:
    assert upgrade.script_directory().get_current_head() == schema.HEAD


async def test_an_empty_database_is_made_whole_and_stamped(db: Database) -> None:
    await prepare_schema(db)
    assert await db.alter(schema.found) == schema.HEAD
    await prepare_schema(db)
    assert await upgrade.migrate(db) == []


async def test_what_is_made_is_what_is_declared(db: Database) -> None:
    """Each declaration survives being made and read back, so a forgotten migration would show."""
    await prepare_schema(db)
    assert await db.alter(differences) == []


async def test_an_old_database_is_refused_then_migrated_then_taken(
    db: Database, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare_schema(db)
    monkeypatch.setattr(schema, "HEAD", "9001")
    with pytest.raises(WrongSchema, match="skyhold migrate"):
        await prepare_schema(db)
    assert await upgrade.migrate(db, scripts) == ["9001"]
    assert "note" in await db.alter(leases_columns)
    await prepare_schema(db)
    assert await upgrade.migrate(db, scripts) == []


@pytest.mark.parametrize("revision", schemas.revisions())
async def test_every_release_migrates_to_what_is_declared(db: Database, revision: str) -> None:
    """The released schema itself is laid out, not what this program thinks it was."""

    def lay_out(conn: sa.Connection) -> None:
        for statement in schemas.statements(revision, conn.dialect.name):
            conn.exec_driver_sql(statement.replace("%", "%%"))
        conn.execute(SCHEMA.insert(), {"version_num": revision})

    await db.alter(lay_out)
    newer = await upgrade.migrate(db)
    assert (newer[-1:] or [revision]) == [schema.HEAD]
    assert await db.alter(differences) == []
    await prepare_schema(db)


@pytest.mark.parametrize("revision", schemas.revisions())
async def test_rows_of_every_release_are_there_after_it_was_migrated(db: Database, revision: str) -> None:
    """A row in each table: an empty column that must not be empty, a type that doesn't hold what was there, or a table
    made anew that takes along what refers to it would only show with somebody's data."""
    await db.alter(lambda conn: lay_out_with_rows(conn, revision))
    before = await db.alter(contents)
    await upgrade.migrate(db)
    after = await db.alter(contents)
    assert len(before) > 40
    for table, (row,) in before.items():
        (now,) = after[table]
        # What a release gave up is not looked for.
        assert {name: now.get(name, value) for name, value in row.items()} == row, table


def lay_out_with_rows(conn: sa.Connection, revision: str) -> None:
    for statement in schemas.statements(revision, conn.dialect.name):
        conn.exec_driver_sql(statement.replace("%", "%%"))
    conn.execute(SCHEMA.insert(), {"version_num": revision})
    for table in reflected(conn):
        conn.execute(table.insert(), {column.name: sample(column) for column in table.c})


def reflected(conn: sa.Connection) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(conn)
    return [table for table in found.sorted_tables if table.name != SCHEMA.name]


def contents(conn: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    return {table.name: [dict(row) for row in conn.execute(sa.select(table)).mappings()] for table in reflected(conn)}


def sample(column: sa.Column[Any]) -> Any:
    """The same in every table, so that whatever refers to something finds it; MariaDB's JSON is text, and checked."""
    if isinstance(column.type, sa.JSON):
        return {}
    if isinstance(column.type, sa.LargeBinary):
        return b"x"
    if column.type.python_type is bool:
        return True
    return "{}" if column.type.python_type is str else 1


def test_the_newest_schema_is_written_down() -> None:
    """A release whose SQL nobody kept could never be tested as the past of a later one."""
    written = {name: schemas.file_of(schema.HEAD, name).read_text() for name in schemas.DIALECTS}
    assert written == {name: schemas.printed(name) for name in schemas.DIALECTS}


async def test_a_newer_database_is_refused(db: Database, scripts: Path) -> None:
    await prepare_schema(db)
    await upgrade.migrate(db, scripts)
    with pytest.raises(WrongSchema, match="newer program"):
        await prepare_schema(db)


async def test_a_step_that_fails_keeps_those_before_it(db: Database, scripts: Path) -> None:
    await prepare_schema(db)
    (scripts / "versions" / "9002_broken.py").write_text(BROKEN)
    with pytest.raises(RuntimeError, match="no"):
        await upgrade.migrate(db, scripts)
    assert await db.alter(schema.found) in ("9001", schema.HEAD)
    (scripts / "versions" / "9002_broken.py").unlink()
    await upgrade.migrate(db, scripts)
    assert await db.alter(schema.found) == "9001"
    assert "note" in await db.alter(leases_columns)


async def test_migrating_an_empty_database_makes_it_whole(db: Database) -> None:
    assert await upgrade.migrate(db) == []
    assert await db.alter(schema.found) == schema.HEAD


async def test_processes_that_start_at_once_make_the_tables_once(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        return
    pool = [await open_database(database_url) for _ in range(3)]
    await asyncio.gather(*[prepare_schema(db) for db in pool])

    def versions(conn: sa.Connection) -> int:
        return len(conn.execute(sa.select(SCHEMA.c.version_num)).all())

    assert await pool[0].alter(versions) == 1
    for db in pool:
        await db.close()


def test_starting_does_not_load_alembic() -> None:
    asked = "import skyhold.core.app, sys; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
