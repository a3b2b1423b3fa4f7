"""
What a run left behind in its directory, and what of it is missing.

A run is judged as whole only when it is: every file that it left is there as it left it, every
fault that it planned struck, and it ended by asking whether the system has come back. What is
missing is a reason, one phrase each, and makes the verdict unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from dissever.checkers import NodeEnd, NodeLog, Remains, Violation
from dissever.harness import store
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.episodes import Role, episodes_of
from dissever.harness.history import History
from dissever.harness.log_file import LogFile
from dissever.harness.plan import Options, Outcome, Plan
from dissever.harness.trace import VIOLATION
from dissever.harness.vocabulary import READY
from dissever.nemesis.faults import without_target
from dissever.nemesis.targets import BY_LEADERSHIP

__all__ = ["find_remains", "gaps", "is_changed", "outcome_of"]


def outcome_of(run: Path) -> tuple[Outcome, list[str]]:
    """How the run ended, and why it cannot count as whole. It reads every file of the run once."""
    try:
        outcome = store.read_outcome(run)
    except store.BrokenFile as error:
        return Outcome(), [str(error)]
    reasons = [f"the run ended early: {outcome.interruption}"] if outcome.interruption else []
    if outcome.files is not None or not outcome.interruption:
        reasons += store.damage(run, outcome.files)
    return outcome, reasons


def find_remains(run: Path, plan: Plan, outcome: Outcome) -> tuple[Remains, list[str]]:
    """The logs and ends of the nodes, and what of them cannot be read."""
    reasons: list[str] = []
    nodes, is_real = plan.options.nodes, plan.options.backend != SIMULATED
    logs: list[NodeLog] = []
    ends: list[NodeEnd] = []
    for node in nodes:
        of_node = list(_logs(run, node, reasons))
        if is_real and not of_node:
            reasons.append(f"no log of {node} was kept")
        logs += of_node or [NodeLog(node, f"{store.NODES}/{node}")]
        try:
            ends += _ends(run, node)
        except store.BrokenFile as error:
            reasons.append(f"{node}: {error}")
    violations = _violations(run, reasons)
    remains = Remains(
        nodes, logs, ends, outcome.lost_ns, aimed=_aimed(plan.options), violations=violations
    )
    return remains, reasons


def _aimed(options: Options) -> Collection[str] | None:
    """The faults that the options ask to strike the leader or followers; None: a script does."""
    if options.script:
        return None
    by_leadership = (text for text in options.faults if text.rpartition(":")[2] in BY_LEADERSHIP)
    return {without_target(text) for text in by_leadership}


def is_changed(run: Path, outcome: Outcome, digest: str) -> bool:
    """
    Whether the plan or the history is not the run's own. A history that was cut still is.

    Args:
        digest: Of the history.
    """
    files = outcome.files or {}
    plan, history = files.get(store.PLAN), files.get(store.HISTORY)
    if plan is not None and store.digest(run / store.PLAN) != plan.sha256:
        return True
    if history is None or digest == history.sha256:
        return False
    return (run / store.HISTORY).stat().st_size >= history.size_bytes


def gaps(plan: Plan, history: History) -> Iterator[str]:
    """What every run that came to its end holds, and this history lacks."""
    if plan.scheduled is None:
        return  # Nobody said what had to happen.
    found = episodes_of(history, plan.actions)
    struck = {str(each.process) for each, role in found.faults if role is Role.INJECT}
    for fault in plan.scheduled:
        if fault not in struck:
            yield f"the plan has {fault} strike, and the history holds no injection of it"
    if READY not in {each.f for each in found.recovery}:
        yield f"the history does not hold {READY}, which every run asks at its end"


def _logs(run: Path, node: str, reasons: list[str]) -> Iterator[NodeLog]:
    for path in sorted(store.node_directory(run, node).glob("*.log")):
        if path.match(store.CLIENT_LOGS):
            continue  # What a client says accuses no node.
        name = str(path.relative_to(run))
        if path.is_symlink() or not path.is_file():
            reasons.append(f"{name} is no file of the harness: a node put it there")
            continue
        try:
            yield NodeLog(node, name, LogFile(path))
        except OSError as error:
            reasons.append(f"{name} cannot be read: {error.strerror}")


class _Line(msgspec.Struct, frozen=True):
    """A line of a simulation, as far as it may be a violation."""

    time: int
    kind: str
    node: str | None = None
    name: str = "unnamed"
    text: str = ""


def _violations(run: Path, reasons: list[str]) -> list[Violation] | None:
    """The invariants that a simulation saw broken; None: it left no file that would say so."""
    path = run / store.SIMULATION
    if not path.is_file():
        return None
    decode = msgspec.json.Decoder(_Line).decode
    found: list[Violation] = []
    try:
        content = path.read_bytes()
    except OSError as error:
        reasons.append(f"{store.SIMULATION} cannot be read: {error.strerror}")
        return found
    lines = content.splitlines() if b'"violation"' in content else []  # Most often none is.
    unreadable = []
    for suspicious in (line for line in lines if b'"violation"' in line):
        try:
            line = decode(suspicious)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            unreadable.append(error)
            continue
        if line.kind == VIOLATION:
            found.append(Violation(line.name, line.node, line.text, line.time))
    if unreadable:
        reasons.append(f"{store.SIMULATION} has a violation that cannot be read: {unreadable[0]}")
    return found


def _ends(run: Path, node: str) -> Sequence[NodeEnd]:
    return [
        NodeEnd(node, each.incarnation, each.exit_status, each.is_asked, each.time_ns, each.next_ns)
        for each in store.read_exits(run, node)
    ]
