"""What a recorded run is made into: its faults as those of a plan."""

from __future__ import annotations

import json
from typing import Any

from dissever.shrinking.candidate import steps_of

LIMIT_S = 10.0


def schedule(*events: tuple[float, str, str, Any]) -> str:
    """Of time in s, type, function and value."""
    return "".join(
        json.dumps(
            {
                "index": index,
                "time": round(at * 1e9),
                "process": "disk-slow",
                "type": kind,
                "f": f"{f}-disk-slow",
                "value": value,
            }
        )
        + "\n"
        for index, (at, kind, f, value) in enumerate(events)
    )


STRUCK = (
    (1.0, "invoke", "start", {"ms": 100, "targets": ["n3"]}),
    (1.5, "info", "start", {"targets": ["n3"], "evidence": {"held": True}}),
    (1.5, "invoke", "stop", {"hold_s": 2.0}),
)


def test_a_fault_lasts_until_it_was_healed() -> None:
    healed = (3.5, "info", "stop", {"targets": ["n3"]})

    (step,) = steps_of(schedule(*STRUCK, healed), LIMIT_S)

    assert (step.at, step.for_s, step.nodes) == (1.0, 2.0, ("n3",))


def test_a_fault_that_was_in_force_when_the_run_ended_lasts_as_long_as_it_was_to() -> None:
    (step,) = steps_of(schedule(*STRUCK), LIMIT_S)

    assert step.for_s == 2.0


def test_a_fault_that_waited_for_a_trigger_when_the_run_ended_lasts_until_the_end() -> None:
    waits = (1.5, "invoke", "stop", {"after": {"event": "leader-changed"}})

    (step,) = steps_of(schedule(*STRUCK[:2], waits), LIMIT_S)

    assert step.for_s == LIMIT_S - 1.5
