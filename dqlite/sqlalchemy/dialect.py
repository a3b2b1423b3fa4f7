"""
The blocking dialect: SQLAlchemy's own for SQLite, with the connection of `dqlite.connect`.

It is a dialect named `sqlite`, since what the servers run is SQLite: compilers and the options of
tables know it by that name. RETURNING is left out, since it damages servers, and so is what one
connection has for itself: attached databases and user functions.

Source: SQLAlchemy, `dialects/sqlite/base.py` and `pysqlite.py`.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy.types
from sqlalchemy import exc, pool
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import IsolationLevel

import dqlite
from dqlite.sqlalchemy.types import Date, DateTime, TypeCompiler

_AUTOCOMMIT: Final = "AUTOCOMMIT"
_SERIALIZABLE: Final = "SERIALIZABLE"

_FROM_TEXT: dict[str, Any] = {
    "timeout_s": float,
    "busy_timeout_s": float,
    "begin": str,
    "consistency": str,
    "cached_statements": int,
    "tokens": lambda text: {"true": True, "false": False}[text.lower()],
}


class Dialect(SQLiteDialect):
    """
    `dqlite+sync://host:port/database`, with more servers as `?servers=host:port,host:port`.

    For TLS the query names files of PEM: `tls_cert` and `tls_key`, and `tls_ca` if who signs them
    is somebody else.
    """

    driver = "dqlite"
    supports_statement_cache = True
    returns_native_bytes = True

    insert_returning = False
    update_returning = False
    update_returning_multifrom = False
    delete_returning = False
    use_insertmanyvalues = False

    type_compiler_cls = TypeCompiler
    colspecs = {  # noqa: RUF012 - as its base class has it
        **SQLiteDialect.colspecs,
        sqlalchemy.types.Date: Date,
        sqlalchemy.types.DateTime: DateTime,
        sqlalchemy.types.TIMESTAMP: DateTime,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The library that this process has says nothing about that of the servers.
        self.insert_returning = self.update_returning = self.delete_returning = False

    @classmethod
    def import_dbapi(cls) -> Any:
        return Module()

    @classmethod
    def get_pool_class(cls, _url: URL) -> type[pool.Pool]:
        return pool.QueuePool

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        """Servers and database out of the URL; its query holds settings of `dqlite.connect`."""
        query = dict(url.query)
        servers = query.pop("servers", None)
        host = f"{_bracketed(url.host)}:{url.port or _PORT}" if url.host else None
        named = [host] if host else []
        if isinstance(servers, str):
            named += [servers] if servers.startswith("file://") else servers.split(",")
        elif servers is not None:
            named += servers
        if not named or not url.database:
            raise exc.ArgumentError(
                "expected a URL like dqlite+sync://host:port/database or"
                f" dqlite+sync:///database?servers=host:port,host:port, got {url}"
            )
        if url.username or url.password:
            raise exc.ArgumentError("dqlite has no users: expected a URL without a name of one")
        settings = _tls(query)
        for name, text in query.items():
            try:
                settings[name] = _FROM_TEXT[name](text)
            except (KeyError, ValueError, TypeError, AttributeError):
                known = ", ".join(sorted(_FROM_TEXT))
                raise exc.ArgumentError(
                    f"expected servers, {', '.join(_TLS)} or a setting of {known} in the URL,"
                    f" got {name}={text!r}"
                ) from None
        given = named[0] if len(named) == 1 else named
        return (given, url.database), settings

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        """Of the servers' SQLite."""
        text = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
        return tuple(int(part) for part in str(text).split(".")[:3])

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[IsolationLevel]:
        return [_SERIALIZABLE, _AUTOCOMMIT]

    def get_default_isolation_level(self, dbapi_conn: Any) -> IsolationLevel:
        return _SERIALIZABLE

    def set_isolation_level(self, dbapi_connection: Any, level: IsolationLevel) -> None:
        dbapi_connection.autocommit = level == _AUTOCOMMIT

    def get_isolation_level(self, dbapi_connection: Any) -> IsolationLevel:
        return _AUTOCOMMIT if dbapi_connection.autocommit else _SERIALIZABLE

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """A connection finds the leader again by itself, so it is lost only once it is closed."""
        return isinstance(e, dqlite.Closed)


class Module:
    """`dqlite`, with the version of SQLite from which on its dialect may use everything."""

    sqlite_version_info = (3, 35, 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(dqlite, name)


_PORT = 9001
_TLS: Final = ("tls_cert", "tls_key", "tls_ca")


def _tls(query: dict[str, Any]) -> dict[str, Any]:
    """Take the files of TLS out of the query of a URL, and return the argument they make."""
    cert, key, ca = files = [query.pop(name, None) for name in _TLS]
    if files == [None, None, None]:
        return {}
    if not all(isinstance(each, str) for each in (cert, key, ca or "")):
        raise exc.ArgumentError("expected tls_cert and tls_key in the URL, each once")
    try:
        return {"tls": dqlite.simple_tls_config(cert, key, ca)}
    except dqlite.NodeError as error:
        raise exc.ArgumentError(f"expected files of TLS in the URL: {error}") from error


def _bracketed(host: str | None) -> str:
    """An IPv6 address of a URL in brackets, anything else as it is."""
    return f"[{host}]" if host and ":" in host else f"{host}"
