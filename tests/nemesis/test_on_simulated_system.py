"""Every fault that fits strikes the simulated store, as a run: it holds, it heals, all is valid."""

from __future__ import annotations

import pytest

from dissever.attempts import Attempt, attempt
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.nemesis import FAULTS, Backend
from dissever.systems.simulated import SimulatedSystem

RARE = {"snapshot-error"}
"""What meets nothing in a short run."""

SEEDS = {"client-cut": 3}
"""Where the usual one cuts off a node that nobody asks meanwhile."""


def fits(name: str) -> bool:
    fault = FAULTS[name].on(Backend.SIMULATED)
    options = Options(system="simulated", workload="register", backend=Backend.SIMULATED)
    lacks = SimulatedSystem().lacks(options)
    return fault.unfit(Backend.SIMULATED) is None and not any(need in lacks for need in fault.needs)


def tried(*faults: str, script: str = "", seed: int = 2) -> Attempt:
    options = Options(
        system="simulated",
        workload="register",
        backend=Backend.SIMULATED,
        faults=faults,
        script=script,
        seed=seed,
        nodes=("n1", "n2", "n3"),
        rate=40,
        concurrency=6,
        time_limit_s=5.0,
        trace=False,
    )
    return attempt(options)


@pytest.mark.parametrize("fault", [name for name in FAULTS if fits(name)])
def test_a_fault_strikes_the_store_and_the_run_is_valid(fault: str) -> None:
    made = tried(fault, seed=SEEDS.get(fault, 2))

    assert made.interruption == ""
    if fault in RARE:
        assert "no fault met anything" in made.why
    else:
        assert made.verdict is Verdict.VALID, made.why


@pytest.mark.parametrize(
    "event",
    [
        "leader-changed",
        "{event: leader-changed, number: 1, delay: 0.25}",
        "{event: operations, number: 40}",
    ],
)
def test_a_fault_waits_for_what_the_cluster_does(event: str) -> None:
    script = f"""
        faults:
        - {{fault: kill:leader, at: 1, for: 1}}
        - {{fault: partition:one, at: 1, after: {event}, within: 2.5, for: 0.7}}
    """
    made = tried("kill", "partition", script=script)

    assert made.verdict is Verdict.VALID, made.why
