"""What of a run's directory counts as evidence."""

from __future__ import annotations

from pathlib import Path

from dissever.harness import store
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options, Outcome, Plan
from dissever.remains import find_remains
from dissever.traces import lines_of


def test_a_violation_counts_though_another_one_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / store.SIMULATION).write_bytes(
        b'{"time":NaN,"kind":"violation","node":"n1","name":"durability","text":"lost"}\n'
        b'{"time":2,"kind":"violation","node":"n1","name":"election-safety","text":"two"}\n'
    )
    options = Options(system="simulated", workload="register", backend=SIMULATED, nodes=("n1",))
    plan = Plan(options=options, command="", started="")
    remains, reasons = find_remains(tmp_path, plan, Outcome())

    assert remains.violations is not None
    assert [each.name for each in remains.violations] == ["election-safety"]
    assert any("a violation that cannot be read" in reason for reason in reasons)


def test_a_line_that_is_nested_too_deeply_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / store.SIMULATION).write_bytes(
        b'{"kind":"note","text":' + b"[" * 50_000 + b'\n{"kind":"server","node":"n1"}\n'
    )

    assert [line.kind for line in lines_of(tmp_path)] == ["server"]
