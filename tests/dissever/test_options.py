"""Every option of `dissever test` is checked before anything runs: one clear line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dissever import planning
from dissever.harness.cluster.backends import Backend
from dissever.harness.plan import LIMITS, Options
from dissever.systems import load

FLAGS = {
    "rate": "--rate",
    "concurrency": "--concurrency",
    "time_limit_s": "--time-limit",
    "operation_limit_s": "--operation-limit",
    "fault_interval_s": "--fault-interval",
    "seed": "--seed",
    "disk_mb": "--disk-mb",
    "ok_min": "--ok-min",
    "stop_when_dead_s": "--stop-when-dead",
    "recovery_limit_s": "--recovery-limit",
}

NUMBERS = ("nan", "inf", "-inf", "1e300", "-1", "", "x", "²", "9" * 5000, "0x10", "\x1b[2J")


def test_every_number_among_the_options_has_a_range_and_a_flag() -> None:
    fields = {
        each.name
        for each in msgspec.structs.fields(Options)
        if each.type in (int, float, float | None)
    }

    assert fields == LIMITS.keys() == FLAGS.keys()


@pytest.mark.parametrize("option", FLAGS)
@pytest.mark.parametrize("given", NUMBERS, ids=lambda each: ascii(each)[:12])
def test_what_is_no_number_in_the_range_is_refused(
    dissever: Callable, option: str, given: str
) -> None:
    ran = dissever("test", "simulated", f"{FLAGS[option]}={given}", "--dry-run")

    assert ran.status == 64, ran.text
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("Error:")]
    if option == "stop_when_dead_s" and given.startswith("-"):
        return  # Its number may be left out, so this is read as another option.
    assert FLAGS[option] in line
    assert "expected" in line
    assert len(line) < 250
    assert "Traceback" not in ran.stderr
    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize("option", FLAGS)
def test_the_ends_of_a_range_are_in_it_and_what_is_beyond_is_not(option: str) -> None:
    least, most = LIMITS[option]
    system = load("simulated")
    base = Options(system="simulated", workload="register", backend=Backend.SIMULATED)

    for value in (least, most):
        planning.checked(msgspec.structs.replace(base, **{option: value}), system)
    for value in (least - 1, most + 1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"expected {option} from .* got"):
            planning.checked(msgspec.structs.replace(base, **{option: value}), system)


@pytest.mark.parametrize(
    "nodes",
    ["0", "101", "1000000", "9" * 5000, "²", "-3", "3.5", "nan", "n1,n1", "é,n2", "a/b", ""],
)
def test_nodes_that_cannot_be_are_refused(dissever: Callable, nodes: str) -> None:
    ran = dissever("test", "simulated", f"--nodes={nodes}", "--dry-run")

    assert ran.status == 64, ran.text
    assert "expected" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_more_clients_in_all_than_there_may_be_are_refused(dissever: Callable) -> None:
    ran = dissever("test", "simulated", "-n", "100", "-c", "9999n", "--dry-run")

    assert ran.status == 64
    assert "expected concurrency from 1 to 10,000, got 999900" in ran.text


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = Options(
        system="simulated", workload="register", rate=-1, time_limit_s=0, nodes=("a/b",)
    )

    with pytest.raises(ValueError, match="rate") as refused:
        planning.checked(wrong, load("simulated"))

    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize("nodes", ["db-1,db-2.example,10.0.0.1", "fe80::1,::1,n3"])
def test_host_names_and_addresses_are_names_of_nodes(dissever: Callable, nodes: str) -> None:
    ran = dissever(
        "test", "simulated", "-n", nodes, "-t", "5", "--rate", "50", "--seed", "1", "-q",
        "-f", "kill,partition",
    )  # fmt: skip

    assert ran.status == 0, ran.text


@pytest.mark.parametrize(
    ("system", "faults", "told"),
    [
        ("simulated", "slicer", "slicer cannot strike on the backend simulated"),
        ("simulated", "disk-flip", "disk-flip cannot strike on the backend simulated"),
        ("simulated", "limit-cpu", "limit-cpu cannot strike on the backend simulated"),
        ("simulated", "out-of-memory", "its nodes are objects in Python"),
        ("dqlite", "out-of-memory", "only simulated nodes can have it"),
        ("dqlite", "upgrade", "expected --upgrade-to VERSION with the fault upgrade, got none"),
        ("dqlite", "kill,upgrade:one", "expected --upgrade-to VERSION"),
    ],
)
def test_a_fault_that_can_never_strike_is_refused_before_anything_runs(
    dissever: Callable, system: str, faults: str, told: str
) -> None:
    ran = dissever("test", system, "-f", faults, "--dry-run")

    assert ran.status == 64, ran.text
    assert told in ran.text


def test_every_fault_that_the_system_cannot_have_is_named_at_once(dissever: Callable) -> None:
    ran = dissever("test", "simulated", "-f", "slicer,kill,disk-flip,limit-cpu", "--dry-run")

    assert ran.text.count("cannot strike") == 3
    assert "fault kill" not in ran.text


@pytest.mark.parametrize(("seconds", "count"), [("4", 4), ("40", 10)])
def test_a_run_has_as_many_standard_faults_as_have_time(
    dissever: Callable, seconds: str, count: int
) -> None:
    ran = dissever("test", "simulated", "-f", "standard", "-t", seconds, "--dry-run", "--seed", "1")
    (named,) = {word for word in ran.text.split() if word.startswith("partition,")}

    assert ran.status == 0, ran.text
    assert named.split(",")[:2] == ["partition", "kill"]
    assert len(named.split(",")) == count


def test_other_faults_may_be_named_with_the_standard_ones(dissever: Callable) -> None:
    ran = dissever("test", "simulated", "-f", "swizzle,standard", "-t", "9", "--dry-run")

    assert ran.status == 0, ran.text
    assert ",swizzle" in ran.text


def test_a_plan_file_is_checked_like_the_options(dissever: Callable, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults:\n- fault: slicer\n  at: 1\n  for: 1\n")
    ran = dissever("test", "simulated", "--plan", str(plan), "--dry-run")

    assert ran.status == 64, ran.text
    assert "slicer cannot strike" in ran.text


def test_a_plan_file_that_is_no_text_is_refused(dissever: Callable, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(b"faults: \xff\xfe")
    ran = dissever("test", "simulated", "--plan", str(plan), "--dry-run")

    assert ran.status == 64, ran.text
    assert "line 1: expected UTF-8 text, got bytes" in ran.text


@pytest.mark.parametrize("given", ["", ",", " , ,"])
def test_faults_without_a_name_are_refused(dissever: Callable, given: str) -> None:
    """An empty variable in a script must not become a run without faults."""
    ran = dissever("test", "simulated", "-f", given, "--dry-run")

    assert ran.status == 64, ran.text
    assert "expected --faults with names of faults, got" in ran.text


@pytest.mark.parametrize(
    ("setting", "is_told"), [("ms: 999", False), ("ms: 1000", True), ("ms: 3000", True)]
)
def test_a_delay_that_no_operation_waits_for_is_said(
    dissever: Callable, tmp_path: Path, setting: str, is_told: bool
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"faults:\n- fault: disk-slow\n  at: 1\n  for: 1\n  with: {{{setting}}}\n")
    ran = dissever("test", "dqlite", "--plan", str(plan), "--dry-run")

    assert ran.status == 0, ran.text
    assert ("is longer than the operation limit of 1000 ms" in ran.stderr) is is_told
