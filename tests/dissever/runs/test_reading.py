"""All of a run that a page of it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.harness.history import Event, Type
from dissever.runs.reading import read_whole

STRIKES = tuple(
    Event(2 * n + is_end, n, "kill", (Type.INVOKE, Type.INFO)[is_end], "kill")
    for n in range(3)
    for is_end in (False, True)
)


@pytest.mark.parametrize(("most", "left"), [(6, 0), (4, 2)])
def test_events_of_faults_that_are_left_out_are_counted(
    tmp_path: Path,
    keep_run: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    left: int,
) -> None:
    run = keep_run(tmp_path, 1, events=STRIKES)
    monkeypatch.setattr("dissever.runs.series.FAULT_EVENTS_MAX", most)
    whole = read_whole(tmp_path, str(run.relative_to(tmp_path)))

    assert len(whole.series.faults) == most
    said = f"history.jsonl: faults are those of the first {most} events of nemeses, {left} more"
    assert [each.startswith(said) for each in whole.troubles] == [True] * bool(left)
