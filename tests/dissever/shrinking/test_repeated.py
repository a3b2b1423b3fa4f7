"""A recorded run that is repeated as a plan, with the operations written down."""

from __future__ import annotations

from pathlib import Path

from dissever.attempts import attempt
from dissever.harness import store
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.history import Event
from dissever.harness.plan import Options
from dissever.harness.reader import read_history
from dissever.shrinking.candidate import first_candidate, operations_of

OPTIONS = Options(
    system="simulated",
    workload="register",
    backend=SIMULATED,
    time_limit_s=4,
    rate=60,
    seed=4,
)


def events_of(run: Path) -> tuple[Event, ...]:
    return tuple(read_history(run / store.HISTORY).history.events)


def test_recorded_operations_have_the_history_of_those_that_were_drawn(tmp_path: Path) -> None:
    attempt(OPTIONS, keep=tmp_path / "recorded")
    recorded = events_of(tmp_path / "recorded")
    candidate = first_candidate(OPTIONS, schedule="", events=recorded, budget=2)
    attempt(candidate.asked, keep=tmp_path / "repeated")
    count = 2 * len(operations_of(recorded, OPTIONS.concurrency)) - OPTIONS.concurrency

    assert count > 300
    assert events_of(tmp_path / "repeated")[:count] == recorded[:count]
