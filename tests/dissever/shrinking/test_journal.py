"""A search that was interrupted comes to the same end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from dissever.harness.plan import Options
from dissever.nemesis.plans.operations import ClientOp
from dissever.nemesis.plans.script import Step
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.journal import Journal
from dissever.shrinking.shrink import Deadline, Original, Shrunk, shrink
from dissever.shrinking.trials import Answer, Answers, Task

OPTIONS = Options(system="simulated", workload="register", time_limit_s=8, concurrency=4)

START = Candidate(
    OPTIONS,
    tuple(Step("kill", at, for_s=0.5, nodes=(f"n{at}",)) for at in range(1, 5)),
    tuple(ClientOp(n / 10, n % 4, "write", n % 3, n, f"n{n % 4 + 1}") for n in range(16)),
    True,
    2,
)


def fails(candidate: Candidate) -> bool:
    """It needs one fault, two operations, and for some shapes another seed."""
    ops = {op.value for op in candidate.operations or ()}
    struck = any("n2" in step.nodes for step in candidate.faults)
    is_lucky = candidate.options.seed % 3 == 0 or len(ops) > 9
    return struck and {7, 12} <= ops and is_lucky


class Asked:
    """Tries that count, and end a search after so many attempts."""

    def __init__(self, most: int | None = None) -> None:
        self.made = 0
        self._most = most

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        for task in tasks:
            if self.made == self._most:
                raise Deadline
            self.made += 1
            yield task, Answer(failed=fails(task.candidate))


def shrunk(path: Path, asked: Asked) -> Shrunk:
    original = Original(path, None, "linearizable/x", START, START, None, True)  # type: ignore[arg-type]
    tries = Journal(path / "attempts.jsonl", asked, lambda *_: None)
    return shrink(original, tries, found=lambda *_: None)


def test_search_finds_what_is_needed(tmp_path: Path) -> None:
    found = shrunk(tmp_path, Asked())

    assert found.is_whole
    assert [step.nodes for step in found.candidate.faults] == [("n2",)]
    assert [op.value for op in found.candidate.operations or ()] == [7, 12]
    assert found.candidate.final is False


@pytest.mark.parametrize("most", [1, 50])
def test_interrupted_search_comes_to_the_same_end(tmp_path: Path, most: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    once = Asked()
    expected = shrunk(whole, once)
    first, second = Asked(most), Asked()
    early = shrunk(parts, first)
    late = shrunk(parts, second)

    assert not early.is_whole
    assert early.why == "the time is up"
    assert late == expected
    assert first.made + second.made == once.made  # Nothing was asked again.


def test_line_that_was_cut_is_asked_again(tmp_path: Path) -> None:
    expected = shrunk(tmp_path, Asked())
    journal = tmp_path / "attempts.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Asked()

    assert shrunk(tmp_path, again) == expected
    assert again.made == 1
