# SPDX-License-Identifier: Apache-2.0
"""Column types that mean the same on all three databases, and the one metadata of all tables.

Text compares binary everywhere; times are BIGINT microseconds; JSON null is SQL NULL. Tables of
services are declared with `table()` in their tables.py, so that no dialect option is forgotten.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()

MARIADB_OPTIONS: dict[str, Any] = {
    # The mysql_* spellings are silently ignored on the mariadb dialect.
    "mariadb_engine": "InnoDB",
    "mariadb_default_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
}


def table(name: str, *items: Any, **options: Any) -> sa.Table:
    made: sa.Table = sa.Table(name, metadata, *items, **(MARIADB_OPTIONS | options))
    return made


def text(length: int = 255) -> sa.types.TypeEngine[str]:
    """A bounded string, compared byte by byte."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


class Utf8(sa.types.TypeDecorator[str]):
    """A text that is kept as its bytes: sorted and bounded by them, and a key of a kilobyte is no longer on MariaDB
    than it is. A statement may compare with bytes that are no text, the end of a range for instance."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self.most_bytes = most_bytes

    def process_bind_param(self, value: str | bytes | None, dialect: Any) -> bytes | None:
        return value.encode() if isinstance(value, str) else value

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        return None if value is None else bytes(value).decode()

    def load_dialect_impl(self, dialect: Any) -> Any:
        maria = dialect.name in ("mysql", "mariadb")
        return dialect.type_descriptor(mysql.VARBINARY(self.most_bytes) if maria else sa.LargeBinary())


def utf8_key(most_bytes: int) -> sa.types.TypeEngine[str]:
    """A name of at most so many bytes, for an index."""
    return Utf8(most_bytes)


def long_text() -> sa.types.TypeEngine[str]:
    binary = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return binary.with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def blob() -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def micros() -> sa.types.TypeEngine[int]:
    """A moment, in microseconds since 1970, UTC."""
    return sa.BigInteger()


def number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger()


def flag() -> sa.types.TypeEngine[bool]:
    return sa.Boolean()


def json() -> sa.types.TypeEngine[Any]:
    """Anything JSON can say; None is SQL's NULL."""
    return sa.JSON(none_as_null=True).with_variant(TextJson(), "sqlite")


class TextJson(sa.types.UserDefinedType[Any]):
    """SQLite gives columns of type JSON a numeric affinity, and would keep `1.0` as the integer 1.

    SQLAlchemy's own goes through three calls a value, which is a good part of reading a list; and most values
    of most rows are empty, which needs no parser.
    """

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "TEXT"

    def bind_processor(self, dialect: Any) -> Any:
        dumps = dialect._json_serializer
        return lambda value: None if value is None else dumps(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        loads = dialect._json_deserializer

        def read(text: str | None) -> Any:
            if text == "{}":
                return {}
            if text == "[]":
                return []
            return None if text is None else loads(text)

        return read


def id_column(name: str = "id", **options: Any) -> sa.Column[str]:
    return sa.Column(name, text(64), primary_key=True, **options)


def ref_column(name: str, nullable: bool = False, **options: Any) -> sa.Column[str]:
    """The id of something else; within a service also a foreign key, across services never."""
    return sa.Column(name, text(64), nullable=nullable, **options)


def serial_column(name: str = "id") -> sa.Column[int]:
    """An ever-growing number. SQLite only auto-increments INTEGER, the others want BIGINT."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, primary_key=True, autoincrement=True)
