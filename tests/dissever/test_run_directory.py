"""A run is judged as whole only when it is; what is half written is named."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dissever.harness import store
from dissever.harness.cluster import Exit
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.history import Rows
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.judging import StaleResults, judge, publish, read_judged
from dissever.running import run

FAULTS = ("partition", "kill", "pause")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose verdict is valid. It is not to be changed."""
    options = Options(
        system="simulated",
        workload="register",
        faults=FAULTS,
        backend=SIMULATED,
        time_limit_s=8,
        seed=4,
    )
    ended = run(options, runs=tmp_path_factory.mktemp("runs"))
    assert ended.judged.results.verdict is Verdict.VALID, ended.judged.results.why
    return ended.directory


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "run"))


def test_run_that_is_whole_is_valid_wherever_it_lies(copy: Path) -> None:
    assert judge(copy).results.verdict is Verdict.VALID


def _cut_at_a_line(run: Path) -> None:
    path = run / store.HISTORY
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-40]))


def _cut_in_a_line(run: Path) -> None:
    path = run / store.HISTORY
    path.write_bytes(path.read_bytes()[:-30])


def _lose_the_middle(run: Path) -> None:
    path = run / store.HISTORY
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["process"] != 3]
    path.write_bytes(b"".join(kept))


def _lose(*processes: str) -> Callable[[Path], None]:
    def lose(run: Path) -> None:
        path = run / store.HISTORY
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(
            b"".join(line for line in lines if json.loads(line)["process"] not in processes)
        )

    return lose


def _change_the_plan(run: Path) -> None:
    path = run / store.PLAN
    path.write_text(path.read_text().replace('"rate": 200', '"rate": 201'))


def _remove(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def _empty(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes(b"")


def _fill(name: str, content: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(content) and None


EXITS = f"nodes/n2/{store.EXITS}"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_cut_at_a_line, "history.jsonl is cut"),
        (_cut_in_a_line, "history.jsonl is cut"),
        (_lose_the_middle, "history.jsonl is cut"),
        (_lose(*FAULTS, "majority-only"), "the plan has partition strike"),
        (_lose("kill"), "the plan has kill strike"),
        (_lose("recovery"), "does not hold await-ready"),
        (_change_the_plan, "plan.json was changed after the run"),
        (_remove(EXITS), "nodes/n2/exits.json is missing"),
        (_empty(EXITS), "exits.json: expected JSON, got an empty file"),
        (_fill(EXITS, '[{"node": "n2"'), "n2: exits.json"),
        (_fill(EXITS, "[]"), "nodes/n2/exits.json"),
        (_fill(EXITS, "{}"), "Expected `array`, got `object`"),
        (_fill(EXITS, '[{"node": 3}]'), "n2: exits.json"),
        (_remove(store.SCHEDULE), "schedule.jsonl is missing"),
        (_remove(store.OUTCOME), "the harness ended before the run did"),
        (_empty(store.OUTCOME), "outcome.json: expected JSON, got an empty file"),
        (_fill(store.OUTCOME, '{"interruption": ""'), "outcome.json"),
        (_fill(store.OUTCOME, '{"interruption": ""}'), "does not list the files of the run"),
        (_fill(store.OUTCOME, '{"interruption": 7}'), "outcome.json"),
        (_fill(store.OUTCOME, '{"interruption": "", "files": {}}'), "does not list history.jsonl"),
        (_fill(store.OUTCOME, "[" * 5000), "outcome.json"),
    ],
)
def test_run_of_which_a_part_is_gone_is_unknown_and_says_which(
    dissever: Callable, copy: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(copy)
    ran = dissever("check", str(copy))

    assert ran.status == 2, ran.text
    assert told in ran.text
    assert "Traceback" not in ran.text


def test_anomaly_in_what_is_left_stays_an_anomaly(dissever: Callable, runs: Path) -> None:
    dissever("test", "simulated", "--bug", "lost-write", "-t", "4", "--seed", "1", "-q")
    _cut_at_a_line(runs / "latest")

    assert dissever("check", str(runs / "latest")).status == 1


def _rewrite(run: Path, change: Callable[[list[Any]], list[Any]]) -> None:
    """Change the events of a run's history, one list of objects to another."""
    path = run / store.HISTORY
    events = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(f"{json.dumps(each)}\n" for each in events))


def _lose_writes(events: list[Any]) -> list[Any]:
    return [each for each in events if each["f"] != "write"]


def _answer_wrongly(events: list[Any]) -> list[Any]:
    read = next(each for each in events if each["type"] == "ok" and each["f"] == "read")
    read["value"] = 777_777
    return events


@pytest.mark.parametrize("without_outcome", [False, True])
def test_history_that_has_holes_accuses_nobody(copy: Path, without_outcome: bool) -> None:
    _rewrite(copy, _lose_writes)
    if without_outcome:
        (copy / store.OUTCOME).unlink()
    results = judge(copy).results

    assert results.verdict is Verdict.UNKNOWN
    assert "events are missing" in results.why


def test_history_that_was_changed_after_the_run_accuses_nobody(copy: Path) -> None:
    _rewrite(copy, _answer_wrongly)
    results = judge(copy).results

    assert results.verdict is Verdict.UNKNOWN
    assert f"{store.HISTORY} was changed after the run" in results.why


def test_run_whose_plan_names_another_workload_accuses_nobody(copy: Path) -> None:
    _plan_with(copy, workload="set", workload_options={})
    results = judge(copy).results

    assert results.verdict is Verdict.UNKNOWN
    assert store.PLAN in results.why


def _plan_with(run: Path, **changes: Any) -> None:
    path = run / store.PLAN
    plan = json.loads(path.read_text())
    plan["options"].update(changes)
    path.write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"workload": "frobnicate"}, "expected a workload out of"),
        ({"nodes": ["../../../etc"]}, "plan.json: expected"),
        ({"nodes": ["n1", ".."]}, "plan.json: expected"),
        ({"nodes": ["/etc"]}, "plan.json: expected"),
        ({"nodes": [""]}, "plan.json: expected"),
        ({"nodes": ["n\u0000"]}, "plan.json: expected"),
        ({"time_limit_s": 1e300}, "time_limit_s"),
        ({"time_limit_s": -1}, "time_limit_s"),
        ({"rate": 1e300}, "rate"),
        ({"concurrency": 10**12}, "concurrency"),
        ({"nodes": 5}, "nodes"),
        ({"workload_options": {"keys": []}}, "workload_options"),
    ],
)
def test_plan_that_no_run_can_have_is_refused_in_one_line(
    dissever: Callable, copy: Path, changes: dict[str, Any], told: str
) -> None:
    _plan_with(copy, **changes)
    ran = dissever("check", str(copy))

    assert ran.status == 3, ran.text
    assert told in ran.text
    assert "plan.json" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"options": 3}', "null", "\x00"])
@pytest.mark.parametrize("name", [store.PLAN, store.RESULTS])
def test_half_written_file_is_named(
    dissever: Callable, copy: Path, name: str, content: str
) -> None:
    (copy / name).write_text(content)
    ran = dissever("report", str(copy))

    assert ran.status == 3
    assert name in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("damage", [_fill(store.HISTORY, "nonsense"), _fill(store.PLAN, "{")])
def test_check_that_fails_leaves_nothing_that_says_valid(
    dissever: Callable, copy: Path, damage: Callable[[Path], None]
) -> None:
    assert (copy / store.REPORT).exists()
    damage(copy)
    ran = dissever("check", str(copy))

    assert ran.status == 3
    for name in (store.REPORT, store.JUNIT, store.RESULTS):
        assert not (copy / name).exists()


def test_results_of_another_history_are_not_reported(dissever: Callable, copy: Path) -> None:
    _cut_at_a_line(copy)
    ran = dissever("report", str(copy))

    assert ran.status == 3
    assert "results.json does not belong to this history.jsonl" in ran.text
    with pytest.raises(StaleResults):
        read_judged(copy)


def test_report_of_a_malformed_history_is_the_one_that_check_writes(
    dissever: Callable, copy: Path
) -> None:
    (copy / store.HISTORY).write_text('{"index":0,"time":0,"process":0,"type":"ok","f":"read"}\n')
    checked = dissever("check", str(copy))
    names = (store.REPORT, store.JUNIT, store.RESULTS)
    written = [(copy / name).read_bytes() for name in names]
    (copy / store.REPORT).unlink()
    ran = dissever("report", str(copy))

    assert checked.status == 2
    assert ran.status == 0, ran.text
    assert [(copy / name).read_bytes() for name in names] == written
    assert b"malformed: " in written[0]


def test_malformed_history_is_unknown_whatever_its_results_say(copy: Path) -> None:
    (copy / store.HISTORY).write_text('{"index":0,"time":0,"process":0,"type":"ok","f":"read"}\n')
    digest = store.digest(copy / store.HISTORY)
    store.write_results(copy, structs.replace(store.read_results(copy), history_sha256=digest))

    assert store.read_results(copy).verdict is Verdict.VALID
    assert read_judged(copy).results.verdict is Verdict.UNKNOWN


def test_results_of_this_history_are_reported(dissever: Callable, copy: Path) -> None:
    (copy / store.REPORT).unlink()
    ran = dissever("report", str(copy))

    assert ran.status == 0
    assert (copy / store.REPORT).exists()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes nothing more; root may write to what is read-only for everyone else."""

    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_directory_that_takes_nothing_is_judged_all_the_same(
    dissever: Callable, sound: Path, more: tuple[str, ...]
) -> None:
    ran = dissever("check", str(sound), *more)

    assert ran.status == 0, ran.text
    assert "valid" in ran.stdout.lower()
    assert "nothing could be written into" in ran.stderr
    assert "No space left on device" in ran.stderr


def test_disk_that_fills_up_while_the_report_is_written_does_not_cost_the_verdict(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "write_results", refuse)
    ran = dissever("test", "simulated", "--bug", "lost-write", "-t", "4", "--seed", "1", "-q")

    assert ran.status == 1, ran.text
    assert "nothing could be written" in ran.text


def test_page_is_written_whole_or_not_at_all(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (copy / store.REPORT).read_bytes()
    judged = judge(copy)

    class Half(io.BytesIO):
        def writelines(self, lines: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    written = Path.open

    def opened(path: Path, mode: str = "r", **more: Any) -> Any:
        if mode != "xb":
            return written(path, mode, **more)
        path.touch()
        return Half()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match="No space left"):
        publish(copy, judged)

    assert (copy / store.REPORT).read_bytes() == before
    assert not list(copy.glob("*.new"))


@pytest.mark.parametrize("status", [-9, -7, 0, 1])
def test_end_of_a_node_that_nobody_asked_for_is_told_by_check(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The node is started again before anybody sees it down: the exit alone tells."""

    def struck(cluster: SimulatedCluster) -> tuple[Exit, ...]:
        return (Exit("n2", 1, status, is_asked=False, time_ns=2_000_000_000),)

    monkeypatch.setattr(SimulatedCluster, "exits", property(struck))
    ran = dissever("test", "simulated", "-t", "4", "--seed", "1", "-q")

    assert ran.status == 1
    assert "n2: process 1 ended" in ran.text
    assert "crash" in (runs / "latest" / store.JUNIT).read_text()


def test_large_run_is_judged_without_an_object_for_each_operation(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(_: Rows) -> Any:
        raise AssertionError("an object was made for each operation")

    monkeypatch.setattr("dissever.judging.WHOLE_OPERATIONS_MAX", 0)
    monkeypatch.setattr("dissever.judging.SAMPLE_MAX", 100)
    monkeypatch.setattr(Rows, "operations", made)
    judged = judge(copy)

    assert judged.results.verdict is Verdict.VALID, judged.results.why
    assert judged.figures is not None
    assert judged.figures.total > 1000 > len(judged.history.operations)
    assert publish(copy, judged).exists()


def test_insight_is_drawn_on_the_page_and_changes_no_verdict(copy: Path) -> None:
    chance = {"time": 1_000_000_000, "k": 3, "n": 20, "low": 0.05, "high": 0.36}
    (copy / store.DOOM).write_text(json.dumps({"format": 1, "moments": [chance]}))
    (copy / store.STORY).write_text(json.dumps({"text": ["n1 led, and was cut off."]}))
    judged = judge(copy)
    page = publish(copy, judged).read_text()

    assert judged.results.verdict is Verdict.VALID, judged.results.why
    assert "3 of 20" in page
    assert "n1 led, and was cut off." in page
    assert "What the simulation saw of each node." in page


@pytest.mark.parametrize("name", [store.DOOM, store.STORY])
def test_pipe_in_the_place_of_insight_stops_no_page(copy: Path, name: str) -> None:
    os.mkfifo(copy / name)

    assert publish(copy, judge(copy)).exists()


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_thing_that_a_node_put_among_its_logs_is_not_read(copy: Path, kind: str) -> None:
    path = copy / "nodes" / "n1" / "evil-1.log"
    secret = copy / "secret"
    secret.write_text("Assertion: the password")
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    results = judge(copy).results

    assert results.verdict is Verdict.UNKNOWN
    assert "nodes/n1/evil-1.log is no file of the harness" in results.why
    assert "password" not in results.why
