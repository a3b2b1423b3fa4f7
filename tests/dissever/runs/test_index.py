"""What is found in a folder of runs, however hostile it is."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dissever.harness import store
from dissever.harness.history import Event, Type
from dissever.harness.results import Anomaly, Verdict
from dissever.runs import LATEST, State, index, look

Keep = Callable[..., Path]

STALE = Anomaly(
    name="stale-read", summary="old", indices=(1,), signature="linearizable/stale-read/read"
)
EVENTS = (
    Event(0, 0, 0, Type.INVOKE, "read", key=1),
    Event(1, 2_500_000_000, 0, Type.OK, "read", 3, key=1),
)


def test_run_is_one_value(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 7, Verdict.INVALID, anomalies=(STALE, STALE), events=EVENTS)
    (found,) = index(tmp_path).runs

    assert found.path == str(run.relative_to(tmp_path))
    assert (found.system, found.workload, found.faults) == ("dqlite", "register", ("kill",))
    assert (found.seed, found.verdict, found.state) == (7, Verdict.INVALID, State.JUDGED)
    assert found.signatures == ("linearizable/stale-read/read",)
    assert (found.operations, found.duration_s) == (1, 2.5)
    assert found.started == "2026-11-01T12:00:00+00:00"
    assert found.broken == ""


def test_newest_comes_first_and_latest_is_known(tmp_path: Path, keep_run: Keep) -> None:
    old = keep_run(tmp_path, 1, age=timedelta(days=2))
    keep_run(tmp_path, 2)
    store.point_latest(tmp_path, old)
    found = index(tmp_path)

    assert [run.seed for run in found.runs] == [2, 1]
    assert found.latest == found.runs[1].path
    assert found.find(LATEST) == found.runs[1]


def test_size_is_what_the_files_take_and_counts_a_file_with_two_names_once(
    tmp_path: Path, keep_run: Keep
) -> None:
    run = keep_run(tmp_path, 1, data_bytes=1 << 20)
    data = run / "nodes" / "n1" / "data"
    os.link(data / "segment", data / "again")
    with (data / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (found,) = index(tmp_path).runs

    assert 5 << 20 <= found.data_bytes < 6 << 20
    assert found.data_bytes < found.size_bytes < 6 << 20


def test_run_that_somebody_makes_is_running(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1, None, has_outcome=False)
    with store.being_made(run):
        assert look(tmp_path, str(run.relative_to(tmp_path))).state is State.RUNNING

    assert look(tmp_path, str(run.relative_to(tmp_path))).state is State.INTERRUPTED


def test_looking_at_a_run_does_not_lock_it(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    index(tmp_path)
    descriptor = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def test_run_waits_for_who_looks_at_it(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    descriptor = os.open(run, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    begun = threading.Event()

    def make() -> None:
        with store.being_made(run):
            begun.set()

    thread = threading.Thread(target=make)
    thread.start()
    os.close(descriptor)
    thread.join()

    assert begun.is_set()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("plan.json", b"", "plan.json"),
        ("plan.json", b"{}", "plan.json"),
        ("plan.json", b'{"options": {"system": 1}}', "plan.json"),
        ("plan.json", b"[" * 100_000, "plan.json"),
        ("plan.json", b"\xff\xfe", "plan.json"),
        ("plan.json", b'{"options":{"system":"a","workload":"b"},"started":"soon"}', "started"),
        ("results.json", b'{"verdict": "fine"}', "results.json"),
        ("outcome.json", b"null", "outcome.json"),
    ],
)
def test_broken_file_is_one_line_and_hides_no_other_run(
    name: str, content: bytes, said: str, tmp_path: Path, keep_run: Keep
) -> None:
    run = keep_run(tmp_path, 1)
    keep_run(tmp_path, 2)
    (run / name).write_bytes(content)
    found = {each.path: each for each in index(tmp_path).runs}
    broken = found.pop(str(run.relative_to(tmp_path)))

    assert broken.state is State.BROKEN
    assert said in broken.broken
    assert "\n" not in broken.broken
    assert [each.state for each in found.values()] == [State.JUDGED]
    assert (broken.system, broken.workload) != ("", "")


def test_broken_results_are_no_verdict(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    (run / "results.json").write_text('{"verdict": "valid"')
    (found,) = index(tmp_path).runs

    assert found.verdict is None


@pytest.mark.parametrize("tail", [b'{"index":2,"time":9', b"nonsense\n", b"\xff\n", b"[" * 70_000])
def test_duration_is_of_the_last_whole_line_or_not_known(
    tail: bytes, tmp_path: Path, keep_run: Keep
) -> None:
    run = keep_run(tmp_path, 1, events=EVENTS)
    with (run / "history.jsonl").open("ab") as file:
        file.write(tail)
    (found,) = index(tmp_path).runs

    assert found.duration_s in (2.5, None)
    assert (found.duration_s is None) == (tail.endswith(b"\n") or len(tail) > 1 << 16)


def test_links_lead_to_no_run_and_no_file(tmp_path: Path, keep_run: Keep) -> None:
    outside = keep_run(tmp_path / "outside", 1)
    secret = tmp_path / "secret.json"
    secret.write_bytes((outside / "plan.json").read_bytes())
    root = tmp_path / "runs"
    inside = keep_run(root, 2)
    (root / "elsewhere").symlink_to(outside.parent, target_is_directory=True)
    (root / "dqlite" / "register" / "linked").symlink_to(outside, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (inside / "results.json").unlink()
    (inside / "results.json").symlink_to(outside / "results.json")
    (root / LATEST).symlink_to(outside, target_is_directory=True)
    found = index(root)

    assert [run.path for run in found.runs] == [str(inside.relative_to(root))]
    assert found.runs[0].verdict is None
    assert found.runs[0].state is State.BROKEN
    assert found.latest == ""


def test_plan_that_is_a_link_is_broken_and_not_read(tmp_path: Path, keep_run: Keep) -> None:
    outside = keep_run(tmp_path / "outside", 77)
    root = tmp_path / "runs"
    run = keep_run(root, 1)
    (run / "plan.json").unlink()
    (run / "plan.json").symlink_to(outside / "plan.json")
    (found,) = index(root).runs

    assert found.state is State.BROKEN
    assert found.seed is None


@pytest.mark.parametrize("name", ["plan.json", "history.jsonl", "results.json", "outcome.json"])
def test_pipe_does_not_block(name: str, tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    (run / name).unlink()
    os.mkfifo(run / name)
    (found,) = index(tmp_path).runs

    assert (found.state is State.BROKEN) == (name != "history.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_read_is_said(tmp_path: Path, keep_run: Keep) -> None:
    run = keep_run(tmp_path, 1)
    keep_run(tmp_path, 2)
    run.chmod(0)
    try:
        found = index(tmp_path)
    finally:
        run.chmod(0o700)

    assert [each.seed for each in found.runs] == [2]
    assert run.name in found.troubles[0]


def test_run_inside_of_a_run_and_one_that_is_being_removed_are_none(
    tmp_path: Path, keep_run: Keep
) -> None:
    run = keep_run(tmp_path, 1)
    keep_run(run / "nodes", 2)
    keep_run(tmp_path, 3, name=".gone-3")

    assert [each.seed for each in index(tmp_path).runs] == [1]


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        index(tmp_path / "nowhere")


NAMES = st.binary(min_size=1, max_size=40).filter(
    lambda name: b"/" not in name and b"\0" not in name and not name.startswith(b".")
)


@given(name=NAMES)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_name_of_a_folder_is_found_again(
    name: bytes, tmp_path_factory: Any, keep_run: Keep
) -> None:
    root = tmp_path_factory.mktemp("runs")
    run = keep_run(root, 1)
    run.rename(run.with_name(os.fsdecode(name)))
    (found,) = index(root).runs

    assert os.fsencode(found.name) == name
    assert look(root, found.path) == found


@given(content=st.binary(max_size=200), name=st.sampled_from(["plan", "results", "outcome"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_file_holds_the_run_is_listed(
    content: bytes, name: str, tmp_path_factory: Any, keep_run: Keep
) -> None:
    root = tmp_path_factory.mktemp("runs")
    (keep_run(root, 1) / f"{name}.json").write_bytes(content)

    assert len(index(root).runs) == 1
