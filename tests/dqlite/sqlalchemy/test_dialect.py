"""The dialects on a real node, and their URLs."""

import asyncio
import datetime
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")

from sqlalchemy import exc, func, inspect, select, text  # noqa: E402
from sqlalchemy.dialects.sqlite import insert  # noqa: E402
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column  # noqa: E402

import dqlite  # noqa: E402
from dqlite.sqlalchemy.dialect import Dialect  # noqa: E402

cluster = pytest.mark.cluster

NEW_YEAR = datetime.datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=datetime.UTC).replace(tzinfo=None)


class Model(DeclarativeBase):
    pass


class Person(Model):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    is_grown: Mapped[bool | None]
    seen: Mapped[datetime.datetime | None]
    born: Mapped[datetime.date | None]


@pytest.fixture
def engine(node: str) -> Any:
    made = sqlalchemy.create_engine(f"dqlite+sync://{node}/people?busy_timeout_s=1&begin=immediate")
    Model.metadata.drop_all(made)
    Model.metadata.create_all(made)
    yield made
    made.dispose()


@cluster
def test_objects_come_back_as_they_were_stored(engine: Any) -> None:
    with Session(engine) as session:
        session.add(Person(name="ann", is_grown=True, seen=NEW_YEAR, born=NEW_YEAR.date()))
        session.add(Person(name="bob", is_grown=None, seen=None, born=None))
        session.commit()
    with Session(engine) as session:
        rows = session.scalars(select(Person).order_by(Person.id)).all()
        found = [(each.name, each.is_grown, each.seen, each.born) for each in rows]
        newest = session.scalar(select(func.max(Person.seen)))

    assert found == [("ann", True, NEW_YEAR, NEW_YEAR.date()), ("bob", None, None, None)]
    assert newest == NEW_YEAR


@cluster
def test_error_of_the_connection_is_the_original(engine: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Person).values(name="ann"))
    with pytest.raises(exc.IntegrityError) as caught, engine.begin() as connection:
        connection.execute(insert(Person).values(name="ann"))

    assert isinstance(caught.value.orig, dqlite.ConstraintViolation)


@cluster
def test_upsert_and_savepoint_work(engine: Any) -> None:
    statement = insert(Person).values(name="ann", is_grown=False)
    statement = statement.on_conflict_do_update(
        index_elements=[Person.name], set_={"is_grown": True}
    )
    with engine.begin() as connection:
        connection.execute(statement)
        savepoint = connection.begin_nested()
        connection.execute(statement)
        savepoint.rollback()
        assert connection.scalar(select(Person.is_grown)) is False


@cluster
def test_autocommit_is_an_isolation_level(engine: Any) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(Person).values(name="ann"))
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        assert connection.scalar(select(func.count(Person.id))) == 1


@cluster
def test_schema_is_reflected(engine: Any) -> None:
    columns = {each["name"]: each["type"] for each in inspect(engine).get_columns("person")}

    assert [str(each) for each in columns.values()] == [
        "INTEGER", "VARCHAR", "BOOLEAN", "DATETIME", "DATE"
    ]  # fmt: skip
    assert inspect(engine).get_unique_constraints("person")[0]["column_names"] == ["name"]


@cluster
def test_asyncio_dialect_reads_and_writes(node: str) -> None:
    async def main() -> list[Any]:
        engine = create_async_engine(f"dqlite+asyncio:///apeople?servers={node}")
        async with engine.begin() as connection:
            await connection.run_sync(Model.metadata.create_all)
            await connection.execute(insert(Person).values(name="ann", seen=NEW_YEAR))
        async with engine.connect() as connection:
            rows = (await connection.execute(select(Person.name, Person.seen))).all()
        await engine.dispose()
        return [tuple(row) for row in rows]

    assert asyncio.run(main()) == [("ann", NEW_YEAR)]


@cluster
def test_ping_tells_an_open_connection(engine: Any) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        assert engine.dialect.do_ping(connection.connection.dbapi_connection)


def connected(url: str) -> tuple[Any, Any]:
    given, settings = Dialect().create_connect_args(sqlalchemy.make_url(url))
    return tuple(given), settings


def test_url_names_servers_database_and_settings() -> None:
    assert connected("dqlite+sync://h:9002/app") == (("h:9002", "app"), {})
    assert connected("dqlite+sync://h/app") == (("h:9001", "app"), {})
    assert connected("dqlite+sync://[::1]:9002/app") == (("[::1]:9002", "app"), {})
    assert connected("dqlite+sync://a:1/app?servers=b:2,c:3") == (
        (["a:1", "b:2", "c:3"], "app"),
        {},
    )
    assert connected(
        "dqlite+sync:///app?servers=file:///x/cluster.yaml&timeout_s=2&tokens=true"
    ) == (
        ("file:///x/cluster.yaml", "app"),
        {"timeout_s": 2.0, "tokens": True},
    )


@pytest.mark.parametrize(
    "url",
    [
        "dqlite+sync:///app", "dqlite+sync://h:1", "dqlite+sync://user:word@h:1/app",
        "dqlite+sync://h:1/app?timeout_s=soon", "dqlite+sync://h:1/app?nonsense=1",
        "dqlite+sync://h:1/app?tokens=perhaps", "dqlite+sync://h:1/app?tls_ca=/ca.crt",
        "dqlite+sync://h:1/app?tls_cert=/a.crt", "dqlite+sync://h:1/app?tls_cert=/a&tls_key=/b",
        "dqlite+sync://h:1/app?tls_cert=/a&tls_cert=/b&tls_key=/c",
    ],
)  # fmt: skip
def test_wrong_url_is_an_error_of_one_line_without_the_password(url: str) -> None:
    with pytest.raises(exc.ArgumentError) as caught:
        connected(url)

    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "word@" not in str(caught.value)


def test_entry_points_lead_to_the_dialects() -> None:
    pyproject = Path(__file__).resolve().parents[3] / "pyproject.toml"
    points = tomllib.loads(pyproject.read_text())["project"]["entry-points"]["sqlalchemy.dialects"]

    assert points.keys() == {"dqlite.sync", "dqlite.asyncio"}
    for target in points.values():
        module, _, name = target.partition(":")
        assert issubclass(getattr(import_module(module), name), Dialect)
