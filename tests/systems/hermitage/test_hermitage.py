"""Each interleaving shows its anomaly where the level permits it, and none elsewhere."""

from __future__ import annotations

import pytest

from dissever.checkers.rows import Rows
from dissever.checkers.transactions.models import forbids
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict
from tests.systems.hermitage.cases import CASES, LEVELS
from tests.systems.hermitage.databases import (
    PostgresDatabase,
    SimulatedDatabase,
    SqliteDatabase,
    postgres_server,
)
from tests.systems.hermitage.script import play

EVERY = [(where, case) for where in LEVELS for case in CASES]


@pytest.fixture(scope="module")
def server():
    with postgres_server() as folder:
        yield folder


@pytest.fixture
def played(request, tmp_path):
    """Plays a case on a database that is named as in LEVELS."""
    made = []

    def play_on(where: str, case: str) -> History:
        kind, _, level = where.partition(" ")
        if kind == "postgres":
            made.append(PostgresDatabase(level, request.getfixturevalue("server")))
        elif kind == "sqlite":
            made.append(SqliteDatabase(level, tmp_path))
        else:
            made.append(SimulatedDatabase(level))
        return play(CASES[case].steps, made[-1])

    yield play_on
    for each in made:
        each.close()


@pytest.mark.parametrize(("where", "case"), EVERY, ids=[f"{w}-{c}" for w, c in EVERY])
def test_anomalies_are_those_that_the_level_permits(played, where, case) -> None:
    model, permitted = LEVELS[where]
    result = Rows(model or "read-uncommitted")(played(where, case), Budget())
    names = set(result.details["counts"])

    assert bool(names & set(CASES[case].names)) is (case in permitted)
    assert result.verdict is not Verdict.INVALID or not model
    if model == "serializable":
        assert (result.verdict, names) == (Verdict.VALID, set())
    elif case in permitted:
        assert forbids("serializable", CASES[case].names[0])
