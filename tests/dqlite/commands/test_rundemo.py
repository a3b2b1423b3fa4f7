"""What `dqlite-rundemo` counts as missing, and that it notices a loop that loses rows."""

import random
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dqlite.client.blocking import BlockingClient
from dqlite.commands.rundemo.ledger import Ledger, count_missing
from dqlite.commands.rundemo.main import Cluster, Demo, cli, conclude
from dqlite.commands.rundemo.node import Commit, read_numbers, run_round

RUNDEMO = (sys.executable, "-m", "dqlite.commands.rundemo")

SHORT_LIVES = "16521"
"""A seed with which the first incarnation of each node dies within 6 s of its start."""


@pytest.fixture
def port() -> str:
    """The first of three free ports that no outgoing connection takes while a node is down."""
    reserved = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    while True:
        first = random.randrange(5000, int(reserved.split()[0]) - 3)
        with ExitStack() as held:
            try:
                for port in range(first, first + 3):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return str(first)


def ledger(*commits: tuple[int, int]) -> Ledger:
    kept = Ledger()
    for first, rows in commits:
        kept.committed(first, rows, missing=0)
    return kept


def test_whole_sequence_misses_nothing() -> None:
    assert ledger((0, 3), (3, 2)).missing([0, 1, 2, 3, 4]) == 0


def test_commit_of_unknown_outcome_may_be_there() -> None:
    assert ledger((0, 3)).missing([0, 1, 2, 3, 4, 5]) == 0


def test_rows_at_the_end_are_missed() -> None:
    assert ledger((0, 3), (3, 2)).missing([0, 1, 2, 3]) == 1


def test_row_inside_is_missed() -> None:
    assert ledger((0, 5)).missing([0, 1, 3, 4]) == 3  # rows 2 and 3 are not 2 and 3; one is short


@pytest.mark.parametrize("reversed_", [False, True])
def test_commits_of_the_same_numbers_are_missed_in_any_order(reversed_: bool) -> None:
    commits = [(0, 3), (3, 2), (3, 2)]
    kept = ledger(*(commits[::-1] if reversed_ else commits))

    assert kept.missing([0, 1, 2, 3, 4]) == 2


def test_what_a_transaction_found_missing_counts() -> None:
    kept = ledger((0, 3))
    kept.committed(3, 2, missing=1)

    assert kept.missing([0, 1, 2, 3, 4]) == 1


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_any_lost_row_is_missed(counts: Sequence[int], data: st.DataObject) -> None:
    commits = [(sum(counts[:index]), count) for index, count in enumerate(counts)]
    rows: list[object] = list(range(sum(counts)))
    lost = data.draw(st.integers(0, len(rows) - 1))

    assert ledger(*commits).missing(rows) == 0
    assert ledger(*commits).missing(rows[:lost] + rows[lost + 1 :]) > 0


@pytest.mark.cluster
def test_round_appends_and_counts(node: str) -> None:
    with BlockingClient.connect(node, timeout_s=10) as client:
        client.open("rounds")
        rounds = [run_round(client, lambda: None, inserts=4) for _ in range(2)]

        assert rounds == [Commit(0, 4, 0), Commit(4, 4, 0)]
        assert read_numbers(client) == list(range(8))


@pytest.mark.cluster
def test_broken_round_is_noticed_by_the_next_one(node: str) -> None:
    with BlockingClient.connect(node, timeout_s=10) as client:
        client.open("broken")
        run_round(client, lambda: None, inserts=4, is_broken=True)
        after = run_round(client, lambda: None, inserts=4)

        assert after == Commit(3, 4, missing=1)
        assert count_missing(read_numbers(client)) > 0


@pytest.mark.cluster
def test_program_notices_a_loop_that_loses_rows(library: None, tmp_path: Path, port: str) -> None:
    done = subprocess.run(
        [*RUNDEMO, "--time", "0.5", "--seed", "1", "--port", port, "--dir", str(tmp_path),
         "--broken"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"(\d+) rows acknowledged .* (\d+) missing", last)

    assert found is not None, done.stdout + done.stderr
    assert int(found[1]) > 0
    assert int(found[2]) > 0
    assert done.stderr.endswith(f"Error: {found[2]} values are missing\n")
    assert done.returncode == 1


@pytest.mark.cluster
def test_nodes_that_die_lose_nothing_that_was_acknowledged(
    library: None, tmp_path: Path, port: str
) -> None:
    done = subprocess.run(
        [*RUNDEMO, "--time", "12", "--seed", SHORT_LIVES, "--port", port, "--dir", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"(\d+) rows acknowledged .* (\d+) deaths, .* 0 missing", last)

    assert found is not None, done.stdout + done.stderr
    assert int(found[1]) > 0
    assert int(found[2]) > 0
    assert done.stdout.count(": dies\n") == int(found[2])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("commits", "final", "missing"),
    [((), [], None), (((0, 2),), [0, 1, 2], 0), (((0, 2),), [0], 1)],
)
def test_status_is_good_only_if_rows_were_inserted_and_none_is_missing(
    commits: Sequence[tuple[int, int]], final: Sequence[object], missing: int | None
) -> None:
    demo = Demo(Cluster(Path(), 1, 1, is_broken=False), is_verbose=False)
    demo.ledger = ledger(*commits)

    if missing == 0:
        conclude(demo, demo.ledger.missing(final))
        return
    with pytest.raises(click.ClickException, match=f"{missing or 'nothing'}"):
        conclude(demo, demo.ledger.missing(final))


def test_directory_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    done = CliRunner().invoke(cli, ["--dir", str(tmp_path)])

    assert done.exit_code == 2
    assert done.stderr.endswith("is not empty\n")
