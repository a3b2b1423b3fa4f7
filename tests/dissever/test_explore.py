"""Many seeds in one command: what is found, kept, counted, and taken up again."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever import campaign, exploring, workers
from dissever.attempts import attempt
from dissever.campaign import RECORD
from dissever.harness import store
from dissever.harness.runner import CannotRun

SMALL = ("explore", "simulated", "-t", "1", "--rate", "100", "-n", "3")
SHORT = (*SMALL, "--jobs", "1")
BROKEN = (*SHORT, "--bug", "dirty-read")


def explored(dissever: Callable, *words: str) -> dict:
    said: dict = json.loads(dissever(*words, "--json", "-q").stdout)
    return said


def test_a_sound_system_is_valid_with_every_seed(dissever: Callable, tmp_path: Path) -> None:
    ran = dissever(*SHORT, "--seeds", "1-3", "--keep", str(tmp_path / "kept"))

    assert ran.status == 0
    assert "3 of 3 seeds" in ran.text
    assert not list((tmp_path / "kept").glob("seed-*"))


def test_of_each_kind_of_failure_the_smallest_run_is_kept_with_its_page(
    dissever: Callable, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    said = explored(dissever, *BROKEN, "--seeds", "1-6", "--keep", str(kept))

    assert (said["verdict"], said["exit_status"]) == ("invalid", 1)
    for found in said["found"]:
        directory = Path(found["directory"])
        assert directory == kept / f"seed-{found['seed']}"
        assert (directory / store.REPORT).is_file()
        assert found["signature"] in (directory / store.RESULTS).read_text()
    assert {each.name for each in kept.glob("seed-*")} == {
        f"seed-{found['seed']}" for found in said["found"]
    }
    lines = [json.loads(line) for line in (kept / RECORD).read_bytes().splitlines()[2:]]
    for found in said["found"]:
        own = [line for line in lines if found["signature"] in line["signatures"]]
        sizes = {line["seed"]: tuple(line["size"].values()) for line in own}
        assert found["runs"] == len(own)
        assert found["first"] == min(sizes)
        assert found["seed"] == min(sizes, key=lambda seed: (sizes[seed], seed))


def without_times(said: dict) -> dict:
    return {name: each for name, each in said.items() if name not in ("seconds", "made")}


def test_what_is_found_does_not_depend_on_how_many_run_at_a_time(
    dissever: Callable, tmp_path: Path
) -> None:
    words = (*SMALL, "--bug", "dirty-read", "--seeds", "1-5")
    one = explored(dissever, *words, "--jobs", "1", "--keep", str(tmp_path / "kept"))
    (tmp_path / "kept").rename(tmp_path / "first")
    two = explored(dissever, *words, "--jobs", "2", "--keep", str(tmp_path / "kept"))

    assert without_times(one) == without_times(two)


def test_a_campaign_goes_on_where_it_was(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = str(tmp_path / "kept")
    whole = explored(dissever, *BROKEN, "--seeds", "1-4", "--keep", str(kept))
    (tmp_path / "kept").rename(tmp_path / "whole")

    def interrupted(options, *rest, **more):  # type: ignore[no-untyped-def]
        if options.seed == 3:
            raise KeyboardInterrupt
        return attempt(options, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(exploring, "attempt", interrupted)
        half = explored(dissever, *BROKEN, "--seeds", "1-4", "--keep", str(kept))
    with (tmp_path / "kept" / RECORD).open("ab") as file:
        file.write(b'{"seed": 3, "verd')  # As if the disk had been full.
    rest = explored(dissever, *BROKEN, "--seeds", "1-4", "--keep", str(kept))

    assert (half["tried"], half["ended"]) == (2, "interrupted")
    assert rest["made"] == 2
    assert without_times(rest) == without_times(whole)


def test_what_a_killed_campaign_left_of_a_run_is_replaced(
    dissever: Callable, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    (kept / "seed-1").mkdir(parents=True)
    (kept / "seed-1" / store.HISTORY).write_text("half of a history\n")
    explored(dissever, *BROKEN, "--seeds", "1", "--keep", str(kept))

    assert (kept / "seed-1" / store.REPORT).is_file()
    assert not [path.name for path in (kept / "seed-1").glob("seed-*")]


def test_an_interrupted_campaign_without_a_failure_is_not_valid(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(options, *rest, **more):  # type: ignore[no-untyped-def]
        if options.seed == 2:
            raise KeyboardInterrupt
        return attempt(options, *rest, **more)

    monkeypatch.setattr(exploring, "attempt", interrupted)
    ran = dissever(*SHORT, "--seeds", "1-9", "--keep", str(tmp_path / "kept"))

    assert ran.status == 2
    assert "1 of 9 seeds" in ran.text
    assert "the same command with --keep" in ran.text


def test_another_test_is_not_mixed_with_a_campaign(dissever: Callable, tmp_path: Path) -> None:
    kept = ("--keep", str(tmp_path / "kept"))
    dissever(*SHORT, "--seeds", "1", *kept)
    ran = dissever(*SHORT, "--seeds", "1", *kept, "--rate", "50")

    assert ran.status == 64
    assert "is of another campaign: rate was 100.0 there, and is 50.0 here" in ran.text


HOLD = """
import fcntl, pathlib, sys
with pathlib.Path(sys.argv[1]).open("ab") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_campaigns_in_one_directory_are_refused_until_the_first_is_gone(
    dissever: Callable, tmp_path: Path
) -> None:
    words = (*SHORT, "--seeds", "1", "--keep", str(tmp_path / "kept"))
    record = tmp_path / "kept" / RECORD
    record.parent.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, record], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        refused = dissever(*words)
        holder.kill()
    after = dissever(*words)

    assert refused.status == 3
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"Error: {tmp_path}/kept: another dissever explore writes to it now")
    assert (after.status, len(record.read_bytes().splitlines())) == (0, 3)


@pytest.mark.parametrize("left", ["", '{"opt'])
def test_a_campaign_that_was_killed_at_its_beginning_goes_on(
    dissever: Callable, tmp_path: Path, left: str
) -> None:
    record = tmp_path / "kept" / RECORD
    record.parent.mkdir()
    record.write_text(left)
    ran = dissever(*SHORT, "--seeds", "1", "--keep", str(record.parent))

    assert ran.status == 0, ran.text
    assert len(record.read_bytes().splitlines()) == 3


def test_a_file_that_is_no_record_is_left_as_it_is(dissever: Callable, tmp_path: Path) -> None:
    record = tmp_path / "kept" / RECORD
    record.parent.mkdir()
    record.write_text("my notes")
    ran = dissever(*SHORT, "--seeds", "1", "--keep", str(record.parent))

    assert ran.status == 64
    assert "expected the record of a campaign" in ran.text
    assert record.read_text() == "my notes"


def test_a_campaign_that_goes_on_with_other_code_says_so(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ("--keep", str(tmp_path / "kept"))
    dissever(*SHORT, "--seeds", "1-2", *kept)
    monkeypatch.setattr(campaign, "_code", lambda: "another")
    said = explored(dissever, *SHORT, "--seeds", "1-3", *kept)
    ran = dissever(*SHORT, "--seeds", "1-3", *kept)

    assert [each["seeds"] for each in said["makers"]] == [2, 1]
    assert "what makes the runs has changed after 2 runs: dissever was 0.1.0 (" in ran.text
    assert "and is 0.1.0 (another)" in ran.text


def test_two_campaigns_in_other_orders_and_processes_have_the_same_bytes(
    dissever: Callable, tmp_path: Path
) -> None:
    first, second = (str(tmp_path / name) for name in "ab")
    dissever(*SMALL, "--jobs", "2", "--seeds", "1-5", "--keep", first)
    words = (*SHORT, "--seeds", "6,4,3,2", "--keep", second, "--compare", first)
    ran, said = dissever(*words), explored(dissever, *words)

    assert ran.status == 0
    assert f"compared with {first}: 3 of 3 seeds have the same bytes" in ran.text
    assert "not compared: 1 only here, 2 only there" in ran.text
    assert said["compared"] == {
        "path": first,
        "same": 3,
        "differ": [],
        "only_here": 1,
        "only_there": 2,
        "versions": [],
    }
    for line in (tmp_path / "a" / RECORD).read_bytes().splitlines()[2:]:
        tried = json.loads(line)
        assert len(tried["history"]) == len(tried["simulation"]) == 64


def test_other_bytes_are_unknown_and_told_with_what_else_differs(
    dissever: Callable, tmp_path: Path
) -> None:
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere.jsonl"
    words = (*SHORT, "--seeds", "1-3", "--keep", str(kept))
    dissever(*words)
    header, maker, *lines = (kept / RECORD).read_bytes().splitlines(keepends=True)
    tried = [json.loads(line) for line in lines]
    tried[0]["simulation"] = "0" * 64
    tried[1]["history"] = tried[1]["simulation"] = "0" * 64
    made_by = json.loads(maker)
    made_by["made_by"]["python"] = "3.99.0"
    said = [made_by, *tried]
    elsewhere.write_bytes(header + b"".join(json.dumps(each).encode() + b"\n" for each in said))
    ran = dissever(*words, "--compare", str(elsewhere))

    assert ran.status == 2
    assert "1 of 3 seeds have the same bytes" in ran.text
    assert "seed 1 differs in simulation.jsonl" in ran.text
    assert "seed 2 differs in history.jsonl" in ran.text
    assert "python was 3.99.0 there, and is 3." in ran.text


def test_what_cannot_be_compared_is_not_the_same(dissever: Callable, tmp_path: Path) -> None:
    first, second, third = (str(tmp_path / name) for name in "abc")
    dissever(*SHORT, "--seeds", "1", "--keep", first)
    words = (*SHORT, "--keep", second, "--compare", first)
    apart = dissever(*words, "--seeds", "2")
    another = dissever(*SHORT, "--rate", "50", "--keep", third, "--compare", first)
    real = dissever("explore", "redis", "--compare", first)
    none = dissever(*words[:-1], str(tmp_path))

    assert apart.status == 2
    assert "0 of 0 seeds have the same bytes" in apart.text
    assert another.status == 64
    assert "is of another test: rate was 100.0 there, and is 50.0 here" in another.text
    assert none.status == 64
    assert f"expected the directory of a campaign, got {tmp_path}, which has no" in none.text
    assert real.status == 64
    assert "runs of real nodes (namespaces) never have the same bytes" in real.text


def test_a_canary_must_be_found(dissever: Callable, tmp_path: Path) -> None:
    kept = ("--keep", str(tmp_path / "a"))
    dead = ("--keep", str(tmp_path / "b"))
    found = dissever(*BROKEN, "--seeds", "1-9", "--expect-invalid", "--until-failure", *kept)
    missed = dissever(*SHORT, "--seeds", "1", "--expect-invalid", *dead)

    assert (found.status, missed.status) == (0, 1)
    assert "the bug was found" in found.text
    assert "it ended early: a failure was found" in found.text
    assert "expected an invalid run, found none" in missed.text


def test_what_no_run_has_reached_is_named(dissever: Callable, tmp_path: Path) -> None:
    said = explored(dissever, *SHORT, "--seeds", "1", "--keep", str(tmp_path / "kept"))

    assert "read fail" in said["never"]
    assert "read ok" not in said["never"]


def test_a_run_that_cannot_be_made_is_no_verdict(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(options, *rest, **more):  # type: ignore[no-untyped-def]
        if options.seed == 2:
            raise CannotRun("the power is off")
        return attempt(options, *rest, **more)

    monkeypatch.setattr(exploring, "attempt", refused)
    ran = dissever(*SHORT, "--seeds", "1-3", "--keep", str(tmp_path / "kept"))

    assert ran.status == 3
    assert "2 of 3 seeds" in ran.text
    assert "could not be made: seed 2: the power is off" in ran.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seeds", "3-1"), "the smaller end first"),
        (("--jobs", "0"), "0 is not in the range"),
        (("--seed", "3"), "No such option"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    dissever: Callable, words: tuple[str, ...], told: str
) -> None:
    ran = dissever("explore", "simulated", *words)

    assert ran.status == 64
    assert told in ran.text


def test_real_nodes_are_not_explored_side_by_side(dissever: Callable) -> None:
    ran = dissever("explore", "redis", "--jobs", "2")

    assert ran.status == 64
    assert "expected --jobs 1" in ran.text


def test_what_a_project_says_of_its_runs_is_explored(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dissever]\nsystem = "simulated"\nseed = 7\ntime-limit = 1\nnodes = 3\n'
        'options = {bug = "dirty-read"}\n'
    )
    ran = dissever("explore", "--seeds", "1-2", "--jobs", "1", "--keep", "kept")

    assert ran.status == 1
    assert "linearizable/aborted-read/read" in ran.text


def test_a_worker_that_never_ends_does_not_hold_up_the_end(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(options, *rest, **more):  # type: ignore[no-untyped-def]
        if options.seed == 2:
            time.sleep(600)
        return attempt(options, *rest, **more)

    monkeypatch.setattr(exploring, "attempt", stuck)
    monkeypatch.setattr(workers, "GRACE_S", 0.1)
    words = ("--bug", "dirty-read", "--until-failure", "--keep", str(tmp_path / "kept"))
    ran = dissever(*SMALL, "--jobs", "2", "--seeds", "1-2", *words)

    assert ran.status == 1
    assert not multiprocessing.active_children()


def test_runs_of_a_simulated_system_are_short_unless_somebody_says_otherwise(
    dissever: Callable, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    explored(
        dissever, "explore", "simulated", "-n", "3", "-t", "1", "--seeds", "1", "--keep", str(kept)
    )
    options = json.loads((kept / RECORD).read_bytes().splitlines()[0])["options"]

    assert (options["time_limit_s"], options["rate"], options["fault_interval_s"]) == (1, 30, 2.5)


def test_a_run_that_fails_without_its_trace_is_kept_with_it(
    dissever: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces: dict[int, list[bool]] = {}

    def noted(options, *rest, **more):  # type: ignore[no-untyped-def]
        traces.setdefault(options.seed, []).append(options.trace)
        return attempt(options, *rest, **more)

    monkeypatch.setattr(exploring, "attempt", noted)
    kept = tmp_path / "kept"
    said = explored(dissever, *BROKEN, "--seeds", "1-3", "--keep", str(kept))

    assert traces == {1: [True], 2: [False, True], 3: [False, True]}
    for found in said["found"]:
        lines = (Path(found["directory"]) / store.SIMULATION).read_text().splitlines()
        assert any('"kind":"server"' in line for line in lines)
