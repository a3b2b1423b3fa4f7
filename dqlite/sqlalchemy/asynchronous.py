"""
The asyncio dialect, `dqlite+asyncio://`: as the blocking one, with `dqlite.aio`.

Source: SQLAlchemy, `connectors/asyncio.py`.
"""

from typing import Any

from sqlalchemy import pool
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection, AsyncAdapt_dbapi_cursor
from sqlalchemy.engine import URL
from sqlalchemy.util import concurrency

import dqlite
from dqlite.sqlalchemy.dialect import Dialect, Module

_wait = getattr(concurrency, "await_", None) or concurrency.await_only


class _Cursor(AsyncAdapt_dbapi_cursor):
    __slots__ = ()


class _Connection(AsyncAdapt_dbapi_connection):
    __slots__ = ()

    _cursor_cls = _Cursor

    @property
    def autocommit(self) -> bool:
        return bool(self._connection.autocommit)

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._connection.autocommit = value


class AsyncModule(Module):
    """The module of PEP 249 that SQLAlchemy expects: its connections wait in a greenlet."""

    exceptions_module = dqlite
    driver = dqlite

    def connect(self, *given: Any, **named: Any) -> _Connection:
        creator = named.pop("async_creator_fn", None) or dqlite.aio.connect
        return _Connection(self, _wait(creator(*given, **named)))


class AsyncDialect(Dialect):
    """`dqlite+asyncio://host:port/database`."""

    driver = "dqlite_asyncio"
    supports_statement_cache = True
    is_async = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return AsyncModule()

    @classmethod
    def get_pool_class(cls, _url: URL) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection
