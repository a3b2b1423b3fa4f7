"""What `doctor` prints: short tables, and each reason once."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dissever.commands.diagnosis_view import tables
from dissever.diagnosis import Check, Diagnosis, FaultCheck

ENGINE = ("no Docker engine answers", "start dockerd, or set DOCKER_HOST")
NETEM = ("the kernel has no sch_netem", "modprobe sch_netem where the kernel has it")
LONG = "/a/rather/long/path" * 6


def fault(name: str, backend: str, lack: tuple[str, str] | None = None) -> FaultCheck:
    return FaultCheck(name, backend, lack is None, *(lack or ()))


FOUND = Diagnosis(
    version="1",
    user="root",
    machine=(
        Check("ip", True, LONG),
        Check("containers", False, *ENGINE),
        Check("compose", False, *ENGINE),
    ),
    systems=(Check("nats", False, *ENGINE), Check("redis", True, "redis 7")),
    simulators=(
        Check("raft-1", True, LONG),
        Check("raft-2", False, "the simulator of raft-2 is not built yet", "run doctor --fetch"),
        Check("raft-3", True, LONG),
    ),
    faults=(
        fault("kill", "namespaces"),
        fault("kill", "containers", ENGINE),
        fault("netem-loss", "namespaces", NETEM),
        fault("netem-loss", "containers", ENGINE),
        fault("netem-rate", "namespaces", NETEM),
        fault("netem-rate", "containers", ENGINE),
    ),
)


def printed(width: int) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, width=width)
    for each in tables(FOUND):
        console.print(each, highlight=False)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_each_reason_is_a_footnote_once_with_its_remedy() -> None:
    text = "\n".join(printed(80))

    assert [text.count(reason) for reason, _ in (ENGINE, NETEM)] == [1, 1]
    assert "no Docker engine answers; start dockerd, or set DOCKER_HOST" in text
    assert "✗  containers  see 1" in text
    assert "✗  nats   see 1" in text


def test_a_row_of_the_faults_has_a_cell_for_each_backend_on_which_any_can_strike() -> None:
    lines = printed(80)

    assert " fault       namespaces" in lines
    assert " kill        ✓" in lines
    assert " netem-loss  ✗ 3" in lines
    assert " netem-rate  ✗ 3" in lines
    assert "✗  containers  no fault: see 1" in lines


def test_simulators_are_two_lines() -> None:
    lines = printed(80)

    assert "✓  built      raft-1, raft-3" in lines
    assert "✗  not built  raft-2: see 2" in lines


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_cut_and_no_line_is_too_long(width: int) -> None:
    lines = printed(width)

    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert "".join("".join(lines).split()).count("/a/rather/long/path") >= 1
