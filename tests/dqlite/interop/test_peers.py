"""
The Python packages of others: no name of ours is theirs, and both work on one cluster.

`DQLITE_PEERS_PYTHON` is the command of a Python 3.13 that has sqlalchemy-dqlite 0.8.0 and finds our
package, too. docs/dqlite/peers.md says how to make one.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.dqlite.interop.tools import LIMIT_S, Programs, sql

ROOT = Path(__file__).parents[3]

MODULES_OF_PEERS = {"dqliteclient", "dqlitedbapi", "dqlitewire", "sqlalchemydqlite", "dqlitepy"}
"""Of dqlite-client, -dbapi, -wire and sqlalchemy-dqlite 0.8.0, and of dqlitepy 0.1.0."""

DIALECTS_OF_PEERS = {"dqlite", "dqlite.aio", "dqlite.dqlitedbapi"}

SCRIPT = """
import sys
import sqlalchemy as sa
import dqlite

engine = sa.create_engine(f"dqlite://{sys.argv[1]}/demo")
assert engine.dialect.__class__.__module__.startswith("sqlalchemydqlite")
metadata = sa.MetaData()
columns = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.String(9)))
rows = sa.Table("r", metadata, *columns)
metadata.create_all(engine)
with engine.begin() as connection:
    connection.execute(rows.insert(), [{"v": "theirs"}])
with dqlite.connect(sys.argv[1], "demo") as ours:
    ours.execute("INSERT INTO r (v) VALUES ('ours')")
    ours.commit()
with engine.connect() as connection:
    print(sorted(connection.scalars(sa.select(rows.c.v))))
"""


def test_no_name_of_ours_is_one_of_a_peer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    points = project["project"].get("entry-points", {})
    dialects = points.get("sqlalchemy.dialects", {})

    assert found == ["dissever*", "dqlite*"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"dissever", "dqlite"}
    assert packages & MODULES_OF_PEERS == set()
    assert dialects.keys() & DIALECTS_OF_PEERS == set()
    assert not any(path.name in MODULES_OF_PEERS for path in ROOT.iterdir())


@pytest.mark.cluster
@pytest.mark.parametrize("version", ["1.11.1", "1.18.7"])
def test_sqlalchemy_dqlite_and_our_package_share_a_process_and_a_node(
    programs: Programs, version: str
) -> None:
    command = os.environ.get("DQLITE_PEERS_PYTHON")
    if not command:
        pytest.skip("DQLITE_PEERS_PYTHON is not set: see docs/dqlite/peers.md")
    address = programs.node(version, 1).db

    done = subprocess.run(
        (*shlex.split(command), "-c", SCRIPT, address),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "['ours', 'theirs']"
    assert {row[0] for row in sql([address], "SELECT v FROM r")} == {"ours", "theirs"}
