"""The run directory."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import msgspec
import pytest

from dissever.harness import store
from dissever.harness.history import Event, Type
from dissever.harness.plan import Kept, Options, Plan, Skipped, host_versions
from dissever.harness.results import Anomaly, Result, Step, Verdict, merge

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
OPTIONS = Options(system="simulated", workload="register", seed=42)
PLAN = Plan(
    options=OPTIONS,
    command="dissever test",
    started="now",
    versions=host_versions(),
    skipped=(Skipped("docker", "not installed", "install it"),),
)


def test_run_has_a_directory_of_its_own_and_latest_leads_to_it(tmp_path) -> None:
    first = store.create_run(tmp_path, OPTIONS, NOW)
    second = store.create_run(tmp_path, OPTIONS, NOW.replace(second=6))

    assert first == tmp_path / "simulated" / "register" / "20260102T030405.678Z-42"
    assert (tmp_path / "latest").resolve() == second
    assert not (tmp_path / "latest").readlink().is_absolute()


def test_two_runs_in_the_same_millisecond_do_not_share_a_directory(tmp_path) -> None:
    """As tests do that run side by side."""
    first = store.create_run(tmp_path, OPTIONS, NOW)
    second = store.create_run(tmp_path, OPTIONS, NOW)

    assert second == first.with_name(f"{first.name}-2")
    assert second.is_dir()
    assert (tmp_path / "latest").resolve() == second


def test_run_is_found_by_its_path_a_link_or_a_file_in_it(tmp_path) -> None:
    run = store.create_run(tmp_path, OPTIONS, NOW)
    store.write_plan(run, PLAN)

    assert store.find_run(run) == run
    assert store.find_run(tmp_path / "latest") == run
    assert store.find_run(run / store.PLAN) == run


@pytest.mark.parametrize("name", ["", "nowhere", "latest"])
def test_what_is_no_run_is_reported(tmp_path, name) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a run directory with plan\.json"):
        store.find_run(tmp_path / name)


def test_plan_and_results_read_back(tmp_path) -> None:
    anomaly = Anomaly(
        name="stale-read", summary="old", indices=(3,), steps=(Step("it was", (1, 3)),), key=7
    )
    results = merge([Result(checker="c", verdict=Verdict.INVALID, why="w", anomalies=(anomaly,))])

    store.write_plan(tmp_path, PLAN)
    store.write_results(tmp_path, results)

    assert store.read_plan(tmp_path) == PLAN
    assert store.read_results(tmp_path) == results
    assert {path.name for path in tmp_path.iterdir()} == {store.PLAN, store.RESULTS}


def test_results_of_a_run_that_was_never_judged_are_reported(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        store.read_results(tmp_path)


def test_plan_that_holds_something_else_is_reported(tmp_path) -> None:
    (tmp_path / store.PLAN).write_text('{"options": {"system": 3}}')

    with pytest.raises(store.BrokenFile, match=r"plan\.json: .*\$\.options\.system"):
        store.read_plan(tmp_path)


def test_schedule_holds_the_faults_alone(tmp_path) -> None:
    fault = Event(1, 5, "net", Type.INVOKE, "cut", {"n1": ["n2"]})

    store.write_schedule(tmp_path, [Event(0, 0, 0, Type.INVOKE, "read"), fault])
    lines = (tmp_path / store.SCHEDULE).read_bytes().splitlines()

    assert [msgspec.json.decode(line, type=Event) for line in lines] == [fault]


def test_data_of_nodes_goes_and_logs_stay(tmp_path) -> None:
    node = store.node_directory(tmp_path, "n1")
    (node / "data").mkdir(parents=True)
    (node / "data" / "file").touch()
    (node / "stderr-1.log").touch()

    store.drop_node_data(tmp_path)

    assert [path.name for path in node.iterdir()] == ["stderr-1.log"]


@pytest.mark.parametrize("name", ["exits.json", "exits.json.new"])
@pytest.mark.parametrize("trap", ["link", "pipe"])
def test_exits_are_not_written_where_a_node_points(tmp_path, name, trap) -> None:
    """A node's folder is its own: it may have put anything there."""
    victim, folder = tmp_path / "victim", tmp_path / "n1"
    victim.write_text("untouched")
    folder.mkdir()
    if trap == "link":
        (folder / name).symlink_to(victim)
    else:
        os.mkfifo(folder / name)
    store.write_exits(folder, ())

    assert victim.read_text() == "untouched"
    assert not (folder / "exits.json").is_symlink()
    assert (folder / "exits.json").is_file()


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path, put) -> None:
    (tmp_path / store.NODES / "n1").mkdir(parents=True)
    for path in (store.PLAN, store.RESULTS, store.OUTCOME, "nodes/n1/exits.json"):
        put(tmp_path / path)
    kept = {store.HISTORY: Kept(1, ""), store.OUTCOME: Kept(1, "")}

    for read in (store.read_plan, store.read_results, store.read_outcome):
        with pytest.raises(store.BrokenFile, match="cannot be read"):
            read(tmp_path)
    with pytest.raises(store.BrokenFile, match=r"exits\.json: cannot be read: it is no file"):
        store.read_exits(tmp_path, "n1")
    assert f"{store.OUTCOME} cannot be read: it is no file" in list(store.damage(tmp_path, kept))
