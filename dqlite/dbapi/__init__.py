"""PEP 249 over the wire protocol; `dqlite` exports it, and `dqlite.aio` is its asyncio twin."""
