"""`dissever runs` and `dissever gc`, as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dissever.harness import store
from dissever.harness.results import Anomaly, Verdict

Keep = Callable[..., Path]
Dissever = Callable[..., Any]

LOST = Anomaly(name="lost-write", summary="gone", indices=(1,), signature="linearizable/lost-write")


@pytest.fixture
def kept(runs: Path, keep_run: Keep) -> dict[int, Path]:
    """Seed -> run: four of them, the newest first; the first is what latest leads to."""
    made = {
        1: keep_run(runs, 1, data_bytes=5000),
        2: keep_run(runs, 2, Verdict.INVALID, age=timedelta(days=1), anomalies=(LOST,)),
        3: keep_run(runs, 3, Verdict.UNKNOWN, age=timedelta(days=2), system="redis"),
        4: keep_run(runs, 4, None, age=timedelta(days=3), faults=tuple("abcd")),
    }
    store.point_latest(runs, made[1])
    return made


def seeds(runs: Path) -> list[str]:
    return sorted(path.parent.name.rpartition("-")[2] for path in runs.rglob("plan.json"))


def test_table_has_what_was_found_and_where(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    ran = dissever("runs", str(runs))
    lines = ran.stdout.splitlines()

    assert ran.status == 0
    assert "dqlite, register" in lines[1]
    assert "(latest)" in lines[2]
    assert "invalid" in lines[3]
    assert "linearizable/lost-write" in lines[4]
    assert "not judged" in lines[7]
    assert "4 faults" in lines[7]
    assert lines[-1].startswith("4 runs, ")


def test_limit_says_how_many_more_there_are(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    ran = dissever("runs", str(runs), "--limit", "1")

    assert "; 3 more are not shown" in ran.text
    assert len(ran.stdout.splitlines()) == 4
    assert len(dissever("runs", str(runs), "--limit", "0").stdout.splitlines()) == 10


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), [1, 2, 3, 4]),
        (("--verdict", "invalid,unknown"), [2, 3]),
        (("--verdict", "none"), [4]),
        (("--system", "redis"), [3]),
        (("--signature", "linearizable/lost-write"), [2]),
        (("--fault", "a", "--fault", "d"), [4]),
        (("--seed", "3"), [3]),
        (("--since", "2026-10-31"), [1, 2]),
        (("--seed", "9"), []),
    ],
)
def test_filters(
    options: tuple[str, ...],
    wanted: list[int],
    dissever: Dissever,
    runs: Path,
    kept: dict[int, Path],
) -> None:
    told = json.loads(dissever("runs", str(runs), "--json", *options).stdout)
    paths = dissever("runs", str(runs), "--paths", *options)

    assert [run["seed"] for run in told["runs"]] == wanted
    assert told["latest"] == str(kept[1].relative_to(runs))
    assert paths.stdout.split() == [str(kept[seed]) for seed in wanted]
    assert paths.status == 0


def test_hostile_names_do_not_drive_the_terminal(
    dissever: Dissever, runs: Path, keep_run: Keep
) -> None:
    run = keep_run(runs, 1, system="\x1b[31mred", faults=("[bold]x",))
    run.rename(run.with_name("\x1b]0;title\x07\n\udcff"))
    for option in ("--paths", "--json", "--limit=5"):
        ran = dissever("runs", str(runs), option)

        assert ran.status == 0
        assert "\x1b" not in ran.stdout
        assert "\x07" not in ran.stdout
    assert "[bold]x" in dissever("runs", str(runs)).stdout


@pytest.mark.parametrize(
    "options",
    [("--verdict", "fine"), ("--since", "soon"), ("--seed", "-1"), ("--json", "--paths")],
)
def test_wrong_usage_of_runs(
    options: tuple[str, ...], dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    assert dissever("runs", str(runs), *options).status == 64


def test_gc_keeps_what_may_be_evidence(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    ran = dissever("gc", str(runs), "--keep", "0", "--yes")

    assert ran.status == 0
    assert seeds(runs) == ["1", "2", "4"]
    assert not kept[3].parent.exists()
    assert "removed 1 run" in ran.text
    assert "1 invalid" in ran.text
    assert "1 not judged" in ran.text


def test_gc_removes_everything_if_everything_is_named(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    dissever(
        *("gc", str(runs), "--keep", "0", "--yes"),
        *("--invalid-too", "--unjudged-too", "--latest-too"),
    )

    assert list(runs.iterdir()) == []


def test_latest_leads_to_the_newest_run_that_is_left(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    dissever("gc", str(runs), "--seed", "1", "--latest-too", "--yes")

    assert (runs / "latest").resolve() == kept[2]


def test_gc_of_data_keeps_runs_and_logs(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    ran = dissever("gc", str(runs), "--keep", "0", "--data-only", "--latest-too", "--yes", "--json")
    told = json.loads(ran.stdout)

    assert told["removed"] == [str(kept[1].relative_to(runs))]
    assert told["freed_bytes"] >= 5 * 5000
    assert seeds(runs) == ["1", "2", "3", "4"]
    assert (kept[1] / "nodes" / "n1" / "stderr-1.log").exists()
    assert not (kept[1] / "nodes" / "n1" / "data").exists()


def test_dry_run_changes_nothing(dissever: Dissever, runs: Path, kept: dict[int, Path]) -> None:
    before = sorted(runs.rglob("*"))
    ran = dissever("gc", str(runs), "--older-than", "1d", "--dry-run")

    assert sorted(runs.rglob("*")) == before
    assert "would remove 1 run" in ran.text


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--yes",),
        ("--keep", "-1", "--yes"),
        ("--older-than", "soon", "--yes"),
        ("--max-size", "big", "--yes"),
        ("--verdict", "invalid", "--yes"),
        ("--verdict", "none", "--yes"),
        ("--keep", "0"),
    ],
)
def test_gc_that_is_not_clear_removes_nothing(
    options: tuple[str, ...], dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    """The last one asks, and nobody is there."""
    ran = dissever("gc", str(runs), *options)

    assert ran.status == 64
    assert seeds(runs) == ["1", "2", "3", "4"]


def test_run_that_goes_on_survives_every_gc(
    dissever: Dissever, runs: Path, kept: dict[int, Path]
) -> None:
    with store.being_made(kept[3]):
        ran = dissever("gc", str(runs), "--keep", "0", "--yes")

    assert "3" in seeds(runs)
    assert "1 running" in ran.text


def test_only_one_gc_is_at_work(dissever: Dissever, runs: Path, kept: dict[int, Path]) -> None:
    with store.locked(runs, "taken"):
        ran = dissever("gc", str(runs), "--keep", "0", "--yes")

    assert ran.status == 3
    assert "another dissever gc" in ran.text
    assert seeds(runs) == ["1", "2", "3", "4"]


def test_real_run_is_listed_and_removed(dissever: Dissever, runs: Path) -> None:
    dissever("test", "simulated", "--time-limit", "2", "--seed", "1", "--quiet")
    (run,) = json.loads(dissever("runs", str(runs), "--json").stdout)["runs"]

    assert (run["state"], run["verdict"], run["seed"]) == ("judged", "valid", 1)
    assert run["operations"] > 100
    assert 1.5 < run["duration_s"] < 60

    dissever("gc", str(runs), "--keep", "0", "--latest-too", "--yes")

    assert list(runs.iterdir()) == []
