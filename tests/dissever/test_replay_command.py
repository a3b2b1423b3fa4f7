"""A recorded run once more: identical where it is simulated, and a share with its interval."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever import replaying
from dissever.attempts import attempt
from dissever.harness import store
from dissever.harness.cluster.backends import Backend
from dissever.harness.results import Verdict
from dissever.harness.runner import CannotRun
from dissever.proportions import wilson
from dissever.replaying import recorded, replay, rerun

TEST = ("test", "simulated", "-t", "1", "-n", "3", "--seed", "1", "-q")
BROKEN = (*TEST, "--bug", "dirty-read")


def made(dissever: Callable, runs: Path, *words: str) -> Path:
    dissever(*words)
    return (runs / "latest").resolve()


def test_a_simulated_failure_is_the_same_to_the_byte_every_time(
    dissever: Callable, runs: Path
) -> None:
    run = made(dissever, runs, *BROKEN)
    ran = dissever("replay", str(run), "--times", "3")

    assert ran.status == 1
    assert "identical: 3 of 3 have the same history to the byte" in ran.text
    assert "3 of 3 replays show it again" in ran.text
    assert "interval" not in ran.text


def test_another_failure_of_the_run_can_be_looked_for(dissever: Callable, runs: Path) -> None:
    run = made(dissever, runs, *BROKEN)
    found = recorded(run).signature

    same = dissever("replay", str(run), "--signature", found.partition("@")[0])
    none = dissever("replay", str(run), "--signature", "nodes/crash/SIGSEGV")

    assert "1 of 1 replays show it again" in same.text or "shows it again" in same.text
    assert none.status == 3
    assert f"expected a signature of the run ({found}" in none.text


def test_a_valid_run_is_valid_again(dissever: Callable, runs: Path) -> None:
    ran = dissever("replay", str(made(dissever, runs, *TEST)))

    assert ran.status == 0
    assert "1 of 1 replay shows no failure again" in ran.text


def test_a_run_of_faults_is_repeated_with_all_of_them(dissever: Callable, runs: Path) -> None:
    run = made(dissever, runs, *TEST[:2], "-t", "4", *TEST[4:], "-f", "partition,kill")
    ran = dissever("replay", str(run))

    assert "identical: 1 of 1" in ran.text


def test_the_first_difference_is_named_and_the_replay_kept(
    dissever: Callable, runs: Path, tmp_path: Path
) -> None:
    run = made(dissever, runs, *TEST)
    lines = (run / store.HISTORY).read_text().splitlines()
    changed = lines[7].replace('"time":', '"time":1')
    (run / store.HISTORY).write_text("\n".join([*lines[:7], changed, *lines[8:]]) + "\n")
    ran = dissever("replay", str(run), "--json", "--runs", str(tmp_path / "kept"))

    said = json.loads(ran.stdout)
    assert (said["difference"]["event"], said["identical"], ran.status) == (7, 0, 2)
    assert said["difference"]["replayed"] == lines[7]
    assert (Path(said["kept"]) / store.REPORT).is_file()


def test_it_is_replayed_from_the_directory_in_which_it_was_planned(
    dissever: Callable, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "own.py").write_text(
        "from dissever.systems.simulated import SimulatedSystem\n\n"
        "class Own(SimulatedSystem):\n    name = 'own'\n"
    )
    monkeypatch.chdir(home)
    run = made(dissever, runs, "test", "own.py:Own", *TEST[2:])
    monkeypatch.chdir(tmp_path)
    ran = dissever("replay", str(run))

    assert "identical: 1 of 1" in ran.text
    assert Path.cwd() == tmp_path


def as_on_real_nodes(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[str]
) -> dict:
    """Replay a failure where each replay comes to something else."""
    run = recorded(made(dissever, runs, *BROKEN))
    came = iter(outcomes)

    def tried(options, system, *, keep):  # type: ignore[no-untyped-def]
        outcome = next(came)
        if outcome == "refused":
            raise CannotRun("the power is off")
        if outcome == "interrupted":
            raise KeyboardInterrupt
        made = attempt(replace(options, seed=1), system, keep=keep)
        if outcome == "same":
            return made
        signatures = () if outcome == "valid" else (outcome,)
        verdict = Verdict.INVALID if signatures else Verdict.VALID
        return replace(made, signatures=signatures, verdict=verdict)

    monkeypatch.setattr(replaying, "attempt", tried)
    made_ = replay(run, rerun(run), times=len(outcomes), keep=runs / "replayed", is_exact=False)
    return {"made": made_, "kept": (runs / "replayed" / store.REPORT).is_file()}


def replace(made, **changes):  # type: ignore[no-untyped-def]
    from msgspec import structs

    return structs.replace(made, **changes)


def test_other_failures_are_counted_apart(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = ["valid", "same", "set/lost", "refused", "same", "valid", "interrupted"]
    seen = as_on_real_nodes(dissever, runs, monkeypatch, outcomes)

    made_ = seen["made"]
    assert (made_.shown, made_.tried, made_.identical) == (2, 5, None)
    assert (made_.low, made_.high) == wilson(2, 5)
    assert made_.others == {"set/lost": 1}
    assert made_.failures == ("replay 4: the power is off",)
    assert made_.ended == "interrupted"
    assert seen["kept"]


def test_replays_that_were_all_interrupted_are_no_evidence(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_ = as_on_real_nodes(dissever, runs, monkeypatch, ["interrupted"])["made"]

    assert (made_.tried, made_.low, made_.high) == (0, 0.0, 1.0)
    assert made_.verdict is Verdict.UNKNOWN


def test_an_interrupted_replay_is_no_difference_though_it_has_failed_by_then(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(made(dissever, runs, *BROKEN))

    def tried(options, system, *, keep):  # type: ignore[no-untyped-def]
        ended = attempt(replace(options, time_limit_s=0.5), system, keep=keep)
        return replace(ended, interruption="interrupted", verdict=Verdict.INVALID)

    monkeypatch.setattr(replaying, "attempt", tried)
    again = replay(run, rerun(run), times=2, keep=runs / "replayed", is_exact=True)

    assert (again.tried, again.difference, again.ended) == (0, None, "interrupted")
    assert again.verdict is Verdict.UNKNOWN


def test_on_real_nodes_the_schedule_is_the_plan(
    dissever: Callable, runs: Path, tmp_path: Path
) -> None:
    run = made(dissever, runs, *TEST[:2], "-t", "4", *TEST[4:], "-f", "kill")
    before = recorded(run)
    real = replace(before.plan.options, backend=Backend.NAMESPACES)
    moved = replaying.Recorded(
        run, replace(before.plan, options=real), before.results, before.signature
    )

    assert rerun(moved).script == (run / store.SCHEDULE).read_text()
    (run / store.SCHEDULE).unlink()
    assert rerun(moved).script == (run / store.HISTORY).read_text()
    (run / store.HISTORY).unlink()
    with pytest.raises(ValueError, match=r"expected schedule.jsonl in .*, found none"):
        rerun(moved)


@pytest.mark.parametrize(
    ("successes", "tries", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 20, 0.0089, 0.2361)],
)
def test_intervals_are_those_of_the_literature(
    successes: int, tries: int, low: float, high: float
) -> None:
    assert wilson(successes, tries) == pytest.approx((low, high), abs=1e-4)


def test_by_events_each_simulated_replay_has_a_seed_of_its_own(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(made(dissever, runs, *TEST))
    seeds = []

    def tried(options, system, *, keep):  # type: ignore[no-untyped-def]
        seeds.append(options.seed)
        return attempt(replace(options, seed=1), system, keep=keep)

    monkeypatch.setattr(replaying, "attempt", tried)
    for _ in range(2):
        replay(run, rerun(run), times=3, keep=runs / "replayed", is_exact=False)

    assert seeds[0] == 1
    assert len({*seeds[:3]}) == 3
    assert seeds[3:] == seeds[:3]
