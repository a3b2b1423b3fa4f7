"""
Dialects of SQLAlchemy (extra `sqlalchemy`): `dqlite+sync://` and `dqlite+asyncio://`.

    engine = create_engine("dqlite+sync://127.0.0.1:9001/app")

The entry points are `dqlite.sync` and `dqlite.asyncio`; nothing here needs to be imported.
"""
