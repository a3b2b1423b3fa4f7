from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from dissever.harness.episodes import Role
from dissever.harness.missing import Missing
from dissever.nemesis import (
    FAULTS,
    Backend,
    FaultSpec,
    compile_script,
    healing_order,
    parse,
    read_script,
    without_target,
)

SIMULATED = {
    "partition", "swizzle", "deposed-leader",
    "packet-loss", "packet-rate", "netem-delay", "netem-loss", "netem-duplicate", "netem-corrupt",
    "netem-reorder", "netem-rate", "latency", "bandwidth", "black-hole",
    "client-cut", "client-reset",
    "disk-slow", "disk-error", "disk-torn", "disk-full", "power-failure", "snapshot-error",
    "clock-jump", "clock-strobe", "clock-drift", "monotonic-jump", "monotonic-drift",
    "out-of-memory",
    "kill", "stop", "crash-loop", "pause",
    "remove-member", "replace-member", "demote", "transfer",
}  # fmt: skip
"""The faults that simulated hosts can have; what a system lacks of that, it says itself."""


def asked(name: str, *targets: str) -> FaultSpec:
    return FaultSpec(FAULTS[name], targets)


def test_a_fault_is_named_with_or_without_a_spec() -> None:
    specs = parse(["kill", "partition:majorities-ring"])

    assert specs == (
        asked("kill"),
        asked("partition", "majorities-ring"),
    )


def test_specs_of_one_fault_come_together() -> None:
    assert parse(["kill:one", "pause", "kill:leader", "kill:one"]) == (
        asked("kill", "one", "leader"),
        asked("pause"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton", "did you mean partition"),
        (
            "kill:leeder",
            "target of kill out of one, .*, got 'leeder'; did you mean leader",
        ),
        ("xyzzy", "expected a fault out of partition, .*, got 'xyzzy'$"),
        ("kill:", "got ''"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse([text])


def test_specs_that_do_not_fit_are_not_drawn() -> None:
    assert asked("kill").fitting(3, 1) == ("one", "minority", "leader", "followers")
    assert asked("partition").fitting(2, 0) == ("one", "halves", "leader", "one-way")


@pytest.mark.parametrize(
    ("fault", "count", "budget", "message"),
    [
        (
            asked("kill", "all"),
            3,
            1,
            "kill:all would stop 3 of 3 nodes, and the plan allows 1 at a time",
        ),
        (asked("kill"), 2, 0, "kill:one would stop 1 of 2 nodes, and the plan allows 0 at a time"),
        (
            asked("partition", "bridge"),
            2,
            0,
            "partition:bridge needs at least 3 nodes, got 2",
        ),
        (
            asked("deposed-leader"),
            2,
            1,
            "deposed-leader:leader needs at least 3 nodes, got 2",
        ),
    ],
)
def test_what_was_asked_for_and_does_not_fit_is_refused(
    fault: FaultSpec, count: int, budget: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fault.fitting(count, budget)


def test_a_name_stands_in_one_place_and_a_fault_ends_as_it_says() -> None:
    for name, fault in FAULTS.items():
        roles = [action.role for action in fault.actions.values()]

        assert fault.name == name
        assert (roles[0], roles[-1]) == (Role.INJECT, Role.HEAL)
        assert all(role is Role.CONTINUE for role in roles[1:-1])
        assert fault.description
        assert fault.held
        assert fault.healed
        assert fault.needs


def test_what_a_backend_lacks_follows_from_its_abilities() -> None:
    can = {name for name, fault in FAULTS.items() if not fault.missing(Backend.SIMULATED)}
    kernel = FAULTS["limit-cpu"].missing(Backend.SIMULATED)

    assert can == SIMULATED
    assert kernel == Missing(
        "simulated hosts have no kernel", "use namespaces, containers or compose"
    )


SLOW = """
from dissever.faults import Fault, Heals, NodeProcesses

def make(fault, site):
    raise NotImplementedError

SLOW = Fault(name="slow", description="", make=make, heals=Heals.RESUME, held="", healed="")
OTHER = Fault(name="other", description="", make=make, heals=Heals.CLIENTS, held="", healed="")
"""


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with two faults, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    path = tmp_path / "slow.py"
    path.write_text(SLOW, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "name", "targets"),
    [
        ("slow.py:SLOW", "slow.py:SLOW", ()),
        ("slow.py:slow", "slow.py:slow", ()),
        ("slow.py:SLOW:leader", "slow.py:SLOW", ("leader",)),
        ("{}:OTHER:one", "{}:OTHER", ("one",)),
    ],
)
def test_a_fault_of_a_file_is_called_by_its_reference(
    slow: Path, text: str, name: str, targets: tuple[str, ...]
) -> None:
    (spec,) = parse([text.format(slow)])

    assert (spec.name, spec.targets) == (name.format(slow), targets)
    assert spec.fault.steps in (("start-slow", "stop-slow"), ("start-other", "stop-other"))
    assert without_target(text.format(slow)) == name.format(slow)
    assert parse([spec.name])[0].fault == spec.fault


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["slow.py"], "slow.py: expected one fault, found SLOW, OTHER; say which"),
        (["slow.py:leader"], "slow.py: expected a fault named leader, found none; it has SLOW"),
        (["slow.py:SLOW:leadr"], "expected a target of slow.py:SLOW out of"),
        (["slow.py:SLOW", "slow.py:slow"], "slow.py:SLOW and slow.py:slow are the same fault"),
        (["gone.py"], "expected a Python file, found none at gone.py"),
        (["gone.py:X:leader"], "expected a Python file, found none at gone.py"),
        (["kil:leader"], "got 'kil'; did you mean kill?"),
        (["no.such:FAULT"], "expected an importable module, found no no"),
    ],
)
def test_a_reference_to_no_fault_is_one_line(slow: Path, texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(texts)


def test_faults_of_files_heal_in_order_after_ours(slow: Path) -> None:
    order = healing_order(["slow.py:SLOW", "pause", "slow.py:OTHER"])

    assert [fault.name for fault in order] == ["slow.py:OTHER", "pause", "slow.py:SLOW"]


def test_a_plan_in_yaml_and_a_recorded_one_name_a_fault_of_a_file(slow: Path) -> None:
    text = "faults:\n  - fault: slow.py:SLOW:one\n    at: 1\n    for: 2\n"
    script = read_script(text)
    ops = compile_script(script, nodes=("n1", "n2", "n3"), seed=1, time_limit_s=5)
    lines = "".join(
        json.dumps({"index": i, "time": op.offset_ns, "process": op.process, "type": "invoke",
                    "f": op.f, "value": op.value}) + "\n"
        for i, op in enumerate(ops)
    )  # fmt: skip
    replayed = read_script(lines)

    assert script.names == replayed.names == ("slow.py:SLOW",)
    assert compile_script(replayed, nodes=("n1", "n2", "n3"), seed=1, time_limit_s=5) == ops
    assert slow.exists()
