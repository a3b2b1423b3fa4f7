"""At the end of a run every fault heals, each once, in the order in which they must."""

from __future__ import annotations

from random import Random

import pytest

from dissever.harness.generator.simulate import context, simulate
from dissever.harness.history import Type
from dissever.nemesis import FAULTS, final, healing_order


@pytest.mark.parametrize("seed", range(10))
def test_every_fault_of_a_run_heals_at_its_end(seed: int) -> None:
    rng = Random(seed)
    faults = [name for name in FAULTS if not name.startswith("monotonic-")]
    asked = rng.sample(faults, rng.randint(1, len(faults)))
    events = simulate(final(asked), context(1, *asked))

    healed = [(event.process, event.f) for event in events if event.type is Type.INVOKE]
    assert healed == [(fault.name, fault.steps[-1]) for fault in healing_order(asked)]
    assert {process for process, _ in healed} == set(asked)
