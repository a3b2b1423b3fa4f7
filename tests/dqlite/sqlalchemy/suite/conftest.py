"""
SQLAlchemy's own suite for dialects, which `test_dialect_suite.py` runs in a process of its own.

    pytest -c tests/dqlite/sqlalchemy/suite/pytest.ini tests/dqlite/sqlalchemy/suite \
        --dburi dqlite+sync://127.0.0.1:9001/suite
"""

from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.testing import provision

registry.register("dqlite.sync", "dqlite.sqlalchemy.dialect", "Dialect")
registry.register("dqlite.asyncio", "dqlite.sqlalchemy.asynchronous", "AsyncDialect")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - the suite's own hooks


@provision.temp_table_keyword_args.for_db("sqlite", "dqlite")
def _temporary(cfg: Any, eng: Any) -> dict[str, list[str]]:
    return {"prefixes": ["TEMPORARY"]}


@provision.is_preferred_driver.for_db("dqlite", "sqlite")
def _preferred(cfg: Any, engine: Any) -> bool:
    return True
