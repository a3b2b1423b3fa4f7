"""The dialects are registered here, whatever is installed; the node is that of all tests."""

try:
    from sqlalchemy.dialects import registry
except ImportError:  # then the tests skip themselves
    pass
else:
    registry.register("dqlite.sync", "dqlite.sqlalchemy.dialect", "Dialect")
    registry.register("dqlite.asyncio", "dqlite.sqlalchemy.asynchronous", "AsyncDialect")

collect_ignore = ["suite"]
