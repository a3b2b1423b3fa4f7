"""
Times and truth values of SQLAlchemy over those of the connection.

They are stored as SQLAlchemy stores them in any SQLite. A connection gives times of columns that
are declared DATETIME, DATE or TIMESTAMP as values of datetime already, and text of expressions.

Source: SQLAlchemy, `dialects/sqlite/base.py`; `dqlite.dbapi.values`.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlalchemy.dialects.sqlite.base import DATE, DATETIME, SQLiteTypeCompiler

Processor = Callable[[Any], Any]


class DateTime(DATETIME):
    """Takes what a column gives, and text."""

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        from_text: Any = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            if isinstance(value, str):
                return from_text(value)
            if isinstance(value, date) and not isinstance(value, datetime):
                return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as stored
            return value

        return process


class Date(DATE):
    """Takes what a column gives, and text."""

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        from_text: Any = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            if isinstance(value, str):
                return from_text(value)
            return value.date() if isinstance(value, datetime) else value

        return process


class TypeCompiler(SQLiteTypeCompiler):
    """Declares columns so that servers lose nothing of them."""

    def visit_BOOLEAN(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        """BOOL: of a column that is declared BOOLEAN, servers send NULL as false."""
        return "BOOL"
