"""Migrations of Alembic through the dialects on a real node."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import dqlite

sqlalchemy = pytest.importorskip("sqlalchemy")
alembic = pytest.importorskip("alembic")

from alembic import autogenerate, command, config, migration  # noqa: E402
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402

pytestmark = pytest.mark.cluster

Run: TypeAlias = Callable[[Callable[[Any], Any]], Any]
"""Calls a function with a connection, and returns what it returns."""

ENVIRONMENT = """
from alembic import context

context.configure(
    connection=context.config.attributes["connection"], target_metadata=None,
    **context.config.attributes["options"],
)
with context.begin_transaction():
    context.run_migrations()
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {number!r}, {before!r}


def upgrade():
    {up}


def downgrade():
    {down}
"""

CREATE = """
    op.create_table(
        "person",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(20)),
        sa.Column("is_grown", sa.Boolean, nullable=True),
        sa.Column("seen", sa.DateTime),
    )
    op.execute("INSERT INTO person (name) VALUES ('ann'), ('bob')")
"""

ADD = """
    op.add_column("person", sa.Column("city", sa.String(20), server_default="Oslo"))
    op.create_index("person_city", "person", ["city"])
"""

DROP = """
    op.drop_index("person_city")
    op.drop_column("person", "city")
"""

BATCH = """
    with op.batch_alter_table("person") as batch:
        batch.alter_column("name", new_column_name="called", existing_type=sa.String(20),
                           nullable=False)
        batch.drop_column("seen")
    with op.batch_alter_table("person") as batch:  # Alembic forgets one of a new name
        batch.create_unique_constraint("one_name", ["called"])
"""

UNBATCH = """
    with op.batch_alter_table("person") as batch:
        batch.drop_constraint("one_name", type_="unique")
    with op.batch_alter_table("person") as batch:
        batch.add_column(sa.Column("seen", sa.DateTime))
        batch.alter_column("called", new_column_name="name", existing_type=sa.String(20),
                           nullable=True)
"""

BROKEN = """
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO person (called) VALUES ('ann')")  # there is one
"""

STEPS = (
    (CREATE, 'op.drop_table("person")'), (ADD, DROP), (BATCH, UNBATCH),
    (BROKEN, 'op.drop_table("half")'),
)  # fmt: skip
SOUND = "3"


class Project:
    """A folder of migrations, and the database that they are for."""

    def __init__(self, folder: Path, run: Run, **options: Any) -> None:
        versions = folder / "versions"
        versions.mkdir(parents=True)
        (folder / "env.py").write_text(ENVIRONMENT)
        for number, (up, down) in enumerate(STEPS, 1):
            before = str(number - 1) if number > 1 else None
            text = REVISION.format(
                number=str(number), before=before, up=up.strip(), down=down.strip()
            )
            (versions / f"{number}.py").write_text(text)
        self.run = run
        self._config = config.Config()
        self._config.set_main_option("script_location", str(folder))
        self._config.attributes["options"] = options

    def upgrade(self, revision: str) -> None:
        self._do(command.upgrade, revision)

    def downgrade(self, revision: str) -> None:
        self._do(command.downgrade, revision)

    def revision(self) -> str | None:
        found: str | None = self.run(
            lambda on: migration.MigrationContext.configure(on).get_current_revision()
        )
        return found

    def tables(self) -> dict[str, list[str]]:
        """Names of tables and their columns, that of Alembic apart."""

        def look(connection: Any) -> dict[str, list[str]]:
            seen = sqlalchemy.inspect(connection)
            return {
                name: [each["name"] for each in seen.get_columns(name)]
                for name in seen.get_table_names()
                if name != "alembic_version"
            }

        found: dict[str, list[str]] = self.run(look)
        return found

    def unique(self, table: str) -> list[list[str]]:
        """The columns of each constraint."""

        def look(connection: Any) -> list[list[str]]:
            found = sqlalchemy.inspect(connection).get_unique_constraints(table)
            return [each["column_names"] for each in found]

        found: list[list[str]] = self.run(look)
        return found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found = self.run(lambda connection: connection.execute(sqlalchemy.text(sql)).all())
        return [tuple(each) for each in found]

    def _do(self, what: Callable[..., None], revision: str) -> None:
        def migrate(connection: Any) -> None:
            self._config.attributes["connection"] = connection
            what(self._config, revision)

        self.run(migrate)


@pytest.fixture(params=["sync", "asyncio"])
def run(request: pytest.FixtureRequest, node: str, tmp_path: Path) -> Iterator[Run]:
    """Connections of either dialect to a database of its own."""
    url = f"dqlite+{request.param}://{node}/alembic-{tmp_path.parent.name}-{tmp_path.name}"
    if request.param == "sync":
        engine = sqlalchemy.create_engine(url)

        def blocking(call: Callable[[Any], Any]) -> Any:
            with engine.connect() as connection:
                return call(connection)

        yield blocking
        engine.dispose()
        return

    async def awaited(call: Callable[[Any], Any]) -> Any:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(call)
        finally:
            await engine.dispose()

    yield lambda call: asyncio.run(awaited(call))


@pytest.fixture
def project(run: Run, tmp_path: Path) -> Project:
    return Project(tmp_path / "migrations", run)


def test_tables_are_made_altered_and_copied_with_their_rows_and_back(project: Project) -> None:
    project.upgrade("1")
    assert project.tables() == {"person": ["id", "name", "is_grown", "seen"]}

    project.upgrade("2")
    assert project.rows("SELECT name, city FROM person ORDER BY id") == [
        ("ann", "Oslo"), ("bob", "Oslo"),
    ]  # fmt: skip

    project.upgrade(SOUND)
    assert project.tables() == {"person": ["id", "called", "is_grown", "city"]}
    assert project.rows("SELECT called, is_grown, city FROM person ORDER BY id") == [
        ("ann", None, "Oslo"), ("bob", None, "Oslo"),
    ]  # fmt: skip
    assert project.revision() == SOUND
    assert project.unique("person") == [["called"]]

    project.downgrade("2")
    assert sorted(project.tables()["person"]) == ["city", "id", "is_grown", "name", "seen"]
    project.downgrade("base")
    assert project.tables() == {}
    assert project.revision() is None


@pytest.mark.parametrize("transactional_ddl", [False, True])
def test_migration_that_fails_leaves_nothing(
    run: Run, tmp_path: Path, transactional_ddl: bool
) -> None:
    project = Project(tmp_path / "migrations", run, transactional_ddl=transactional_ddl)
    project.upgrade(SOUND)
    with pytest.raises(sqlalchemy.exc.IntegrityError) as caught:
        project.upgrade("head")

    assert isinstance(caught.value.orig, dqlite.ConstraintViolation)
    assert list(project.tables()) == ["person"]
    assert project.revision() == SOUND


def test_run_that_fails_leaves_nothing_of_all_migrations_where_that_is_asked_for(
    run: Run, tmp_path: Path
) -> None:
    project = Project(tmp_path / "migrations", run, transactional_ddl=True)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        project.upgrade("head")

    assert project.tables() == {}
    assert project.revision() is None


def test_what_was_made_is_what_the_models_say(run: Run) -> None:
    metadata = sqlalchemy.MetaData()
    sqlalchemy.Table(
        "thing",
        metadata,
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String(20), nullable=False, unique=True),
        sqlalchemy.Column("is_good", sqlalchemy.Boolean),
        sqlalchemy.Column("at", sqlalchemy.DateTime),
        sqlalchemy.Column("on", sqlalchemy.Date),
    )

    def differences(connection: Any) -> Any:
        metadata.create_all(connection)
        connection.commit()
        context = migration.MigrationContext.configure(connection)
        same = autogenerate.compare_metadata(context, metadata)
        metadata.tables["thing"].append_column(sqlalchemy.Column("more", sqlalchemy.Text))
        other = autogenerate.compare_metadata(context, metadata)
        return same, [each[0] for each in other]

    assert run(differences) == ([], ["add_column"])
