"""Each bug of the simulated store is found with the faults that it names, and is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dissever import attempts
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options
from dissever.nemesis.faults import parse
from dissever.systems.simulated import BUGS, SimulatedSystem, bugs, transactions

TREE = Path(__file__).parents[2]

FIRST_SEED = {
    "deaf-to-disk": 6,
    "outdated-leader": 4,
    "term-not-persisted": 2,
    "transfer-without-votes": 2,
    "votes-twice": 6,
}
"""Bug -> the seed that is tried first, where that is not 1: it shows the bug, to save time."""

SEEDS = 20
"""How many seeds are tried: whatever moves the draws of a run, one of so many shows the bug."""


def options(bug: str, seed: int) -> Options:
    known = BUGS[bug]
    return Options(
        system="simulated",
        workload=known.workload,
        faults=known.faults,
        backend=SIMULATED,
        rate=200.0 if bug == "transfer-without-votes" else 60.0,
        time_limit_s=10.0,
        fault_interval_s=2,
        seed=seed,
        system_options={"bug": bug, **known.options},
        trace=False,
    )


@pytest.mark.parametrize("bug", BUGS)
def test_bug_is_found(bug: str) -> None:
    first = FIRST_SEED.get(bug, 1)
    tried = (
        attempts.attempt(options(bug, seed), SimulatedSystem())
        for seed in range(first, first + SEEDS)
    )

    assert any(attempt.is_invalid for attempt in tried)


def test_there_are_at_least_twenty_and_each_names_its_source() -> None:
    assert len(BUGS) >= 20
    assert all(bug.source for bug in BUGS.values())
    assert all(parse(bug.faults, SIMULATED) for bug in BUGS.values() if bug.faults)


def test_each_bug_is_switched_on_somewhere_and_each_switch_is_a_bug() -> None:
    texts = [path.read_text() for path in (TREE / "systems/simulated").rglob("*.py")]
    switch = re.compile(r'(?:has\(|bug == )"([a-z0-9-]+)"')
    asked = {name for text in texts for name in switch.findall(text)}

    assert asked - {"name"} - set(transactions.BUGS) == set(BUGS)


def test_documentation_lists_the_bugs() -> None:
    text = (TREE / "docs" / "simulated.md").read_text(encoding="utf-8")

    assert "\n".join(bugs.rows()) in text
