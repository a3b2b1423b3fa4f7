"""One run judged without a page, as searches make by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissever import attempts
from dissever.attempts import attempt
from dissever.harness import store
from dissever.harness.cluster.backends import Backend
from dissever.harness.plan import Options
from dissever.harness.results import Verdict


def options(seed: int = 1, **own: str) -> Options:
    return Options(
        system="simulated",
        workload="register",
        seed=seed,
        time_limit_s=2,
        backend=Backend.SIMULATED,
        system_options=own,
    )


def test_a_valid_attempt_has_no_signature_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attempts, "MEMORY", tmp_path)
    tried = attempt(options())

    assert (tried.verdict, tried.signatures, tried.directory) == (Verdict.VALID, (), None)
    assert list(tmp_path.iterdir()) == []


def test_attempts_of_one_seed_have_one_history_whatever_was_tried_between() -> None:
    first, other, again = (attempt(options(seed)) for seed in (1, 2, 1))

    assert first.history_sha256 == again.history_sha256 != other.history_sha256


def test_a_failure_has_the_same_signature_for_other_seeds() -> None:
    found = {attempt(options(seed, bug="dirty-read")).signature for seed in (1, 2)}

    assert found == {"linearizable/aborted-read/read"}


def test_size_ends_with_the_first_anomaly() -> None:
    whole, part = attempt(options()), attempt(options(bug="dirty-read"))

    assert part.size.events < whole.size.events
    assert part.size.time_ns < whole.size.time_ns


def test_a_directory_that_is_kept_can_be_judged_again(tmp_path: Path) -> None:
    kept = attempt(options(bug="dirty-read"), keep=tmp_path / "kept", page=True)

    assert kept.directory == str(tmp_path / "kept")
    assert store.read_results(tmp_path / "kept").signature == kept.signature
    assert (tmp_path / "kept" / store.REPORT).is_file()


def test_a_failure_is_shown_whether_or_not_both_know_the_role() -> None:
    tried = attempt(options(bug="dirty-read"))

    assert tried.shows("linearizable/aborted-read/read")
    assert not tried.shows("linearizable/stale-read/read")


def test_what_a_process_that_was_killed_left_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attempts, "MEMORY", tmp_path)
    dead, alive, other = (
        tmp_path / name
        for name in ("dissever-attempt-999999999-a", "dissever-attempt-1-b", "dissever-attempt-x-c")
    )
    for path in (dead, alive, other):
        (path / "nodes").mkdir(parents=True)
    with attempts.scratch(is_virtual=True) as place:
        there = {path.name for path in tmp_path.iterdir()}

        assert there == {alive.name, other.name, place.name}
