"""
Puts a run together out of the rooms: options to plan, plan to test, history to results to files.

The only place that knows every room; what it does is choose and connect.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dissever import __version__
from dissever.checkers import Evidence, Liveness, LogPatterns, NodeLog, Stats, compose
from dissever.harness import store
from dissever.harness.client import Invocation, Nemesis
from dissever.harness.formats import read_history
from dissever.harness.generator import (
    any_of,
    clients,
    nemesis,
    once,
    phases,
    rate,
    then_with_keys,
    time_limit,
)
from dissever.harness.history import History, Key
from dissever.harness.plan import DISK_MB, Options, Plan, host_versions
from dissever.harness.recovery import (
    COMPARE,
    COMPARE_AGAIN,
    PROGRESS,
    READY,
    RECOVERY,
    RESTART,
    RESTART_AGAIN,
)
from dissever.harness.results import Budget, Checker, Result, Results, Verdict, merge
from dissever.harness.runner import Test
from dissever.harness.system import Deployment, System
from dissever.nemesis import (
    FAULTS,
    MAJORITY_ONLY,
    Backend,
    Environment,
    Heals,
    PlannedOp,
    compile_script,
    core,
    hosts,
    make_nemeses,
    minority_size,
    read_script,
)
from dissever.nemesis import final as final_healing
from dissever.nemesis import generator as play
from dissever.nemesis import plan as draw_plan
from dissever.reports import NodeEvent, render_html, render_junit
from dissever.workloads import WORKLOADS

CAPABILITIES = {
    "namespaces": ("network namespaces", "nftables"),
    "containers": ("Docker containers", "nftables"),
    "simulated": ("virtual time",),
}
"""What of the machine each backend uses."""

FINAL_RATE = 500.0
"""Operations per second of the final reads."""


def make_plan(options: Options, system: System, started: datetime) -> Plan:
    """Everything that defines the run."""
    options = msgspec.structs.replace(options, hosts=hosts(options.faults, options.disk_mb))
    return Plan(
        options=options,
        command=repeat_command(options),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        versions={"dissever": __version__, **host_versions(), **system.versions(options)},
        capabilities=CAPABILITIES[options.backend],
    )


def repeat_command(options: Options) -> str:
    """The command line that repeats a run."""
    words = ["dissever", "test", options.system, "--workload", options.workload]
    if options.script:
        words += ["--plan", options.script_path]
    elif options.faults:
        words += ["--faults", ",".join(options.faults)]
    words += ["--backend", options.backend]
    words += [
        "--nodes",
        ",".join(options.nodes) if _are_named(options.nodes) else str(len(options.nodes)),
    ]
    words += ["--rate", f"{options.rate:g}", "--concurrency", str(options.concurrency)]
    words += ["--time-limit", f"{options.time_limit_s:g}"]
    words += ["--operation-limit", f"{options.operation_limit_s:g}"]
    words += ["--fault-interval", f"{options.fault_interval_s:g}"]
    words += ["--consistency", options.consistency]
    if options.disk_mb != DISK_MB:
        words += ["--disk-mb", str(options.disk_mb)]
    if options.values:
        words += ["--values", str(options.values)]
    for name, value in options.system_options.items():
        words += ["--bug", str(value)] if name == "bug" else ["--set", f"{name}={value}"]
    return shlex.join([*words, "--seed", str(options.seed)])


def plan_faults(options: Options, system: System) -> tuple[PlannedOp, ...]:
    """
    When which fault strikes: as the script says, or drawn from the seed.

    Raises:
        ValueError: For a fault that there is not, or that does not fit the nodes or the time.
    """
    if options.script:
        return compile_script(
            read_script(options.script),
            nodes=options.nodes,
            seed=options.seed,
            time_limit_s=options.time_limit_s,
            budget=_budget(options, system),
        )
    return draw_plan(
        options.faults,
        nodes=options.nodes,
        seed=options.seed,
        interval_s=options.fault_interval_s,
        time_limit_s=options.time_limit_s,
        budget=_budget(options, system),
    )


def missing_fault(options: Options, system: System) -> str | None:
    """Why a fault that is asked for cannot strike on this machine, with the remedy, or None."""
    backend = Backend(options.backend)
    for name in dict.fromkeys(each.partition(":")[0] for each in options.faults):
        missing = FAULTS[name].missing(backend)
        if missing is not None:
            return f"the fault {name} cannot be injected: {missing.reason}; {missing.remedy}"
    return None


def make_test(plan: Plan, system: System) -> Test:
    """What carries a plan out."""
    options = plan.options
    workload = WORKLOADS[options.workload]

    def nemeses(deployment: Deployment) -> Mapping[str, Nemesis]:
        environment = Environment(
            cluster=deployment.cluster,
            primaries=deployment,
            answers=deployment.answers,
            seed=options.seed,
            budget=_budget(options, system),
            watched=deployment,
            members=deployment.members,
            builds=deployment.builds,
            peer_ports=deployment.peer_ports,
            client_ports=deployment.client_ports,
        )
        return make_nemeses(options.faults, environment)

    return Test(
        plan=plan,
        system=system,
        generator=_generator(options, system),
        client=workload.client,
        nemeses=nemeses,
    )


def read_run(run: Path) -> tuple[History, tuple[str, ...]]:
    """
    The history of a run, and notes about what of its file could not be used.

    Raises:
        OSError: When there is no history.
        FormatError: When it is none.
    """
    loaded = read_history(run / store.HISTORY)
    return loaded.history, loaded.notes


def judge(
    run: Path, plan: Plan, history: History, interruption: str, notes: tuple[str, ...]
) -> Results:
    """What all checkers say of a history."""
    options = plan.options
    checkers: dict[str, Checker] = dict(WORKLOADS[options.workload].checkers(options))
    checkers["liveness"] = Liveness()
    checkers["stats"] = Stats()
    checkers["faults"] = Evidence()
    checkers["logs"] = LogPatterns(_node_logs(run, options.nodes))
    results = compose(checkers, history, Budget())
    reasons = [*([f"the run ended early: {interruption}"] if interruption else []), *notes]
    if not reasons:
        return results
    early = Result(checker="run", verdict=Verdict.UNKNOWN, why="; ".join(reasons))
    return merge((*results.results, early))


def write_reports(run: Path, plan: Plan, history: History, results: Results) -> Path:
    """Write the page and the JUnit file; the path of the page."""
    page = run / store.REPORT
    page.write_text(render_html(plan, history, results, node_events(history)), encoding="utf-8")
    junit = render_junit(plan, history, results, str(page))
    (run / store.JUNIT).write_text(junit, encoding="utf-8")
    return page


def node_events(history: History) -> tuple[NodeEvent, ...]:
    """What the faults did to the nodes' processes, from their evidence."""
    events = []
    for fault in history.faults:
        completion = fault.completion
        if completion is None or not isinstance(completion.value, dict):
            continue
        if fault.f not in _PROCESS_EVENTS:
            continue
        for node in completion.value.get("targets", ()):
            events.append(NodeEvent(completion.time, str(node), _PROCESS_EVENTS[fault.f]))
    return tuple(events)


_PROCESS_EVENTS = {
    "kill": "killed",
    "terminate": "stopped",
    "start-crash-loop": "killed",
    "stop-crash-loop": "started",
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "start-deposed-leader": "paused",
    "resume-deposed-leader": "resumed",
}


def _generator(options: Options, system: System) -> Any:
    """The whole of a run: operations under faults, then healing, recovery, and final reads."""
    workload = WORKLOADS[options.workload]
    operations = clients(rate(options.rate, workload.operations(options)))
    faults = nemesis(play(plan_faults(options, system)))

    def ending(keys: tuple[Key, ...]) -> Any:
        final = clients(rate(FINAL_RATE, workload.final(options, keys)))
        restart = [_recovery(RESTART)] if options.faults else []
        last = (COMPARE, RESTART_AGAIN, COMPARE_AGAIN) if options.faults else ()
        compare = map(_recovery, last)
        return phases(*_healing(options, system), _recovery(READY), *restart, final, *compare)

    return then_with_keys(time_limit(options.time_limit_s, any_of(operations, faults)), ending)


def _healing(options: Options, system: System) -> list[Any]:
    """Everything heals but the links of a majority to the others; then those, too."""
    late = [name for name in options.faults if _heals_members(name)]
    healing = nemesis(final_healing([name for name in options.faults if name not in late]))
    inside = core(options.nodes, system.voters(options), options.seed) if options.faults else ()
    if not inside or late:  # Members are joined by all, and a majority of nodes may have no vote.
        return [healing, nemesis(final_healing(late))]
    value = {"nodes": list(inside)}
    start = Invocation(f"start-{MAJORITY_ONLY}", value, process=MAJORITY_ONLY)
    stop = Invocation(f"stop-{MAJORITY_ONLY}", process=MAJORITY_ONLY)
    return [nemesis(once(start)), healing, _recovery(PROGRESS, value), nemesis(once(stop))]


def _heals_members(name: str) -> bool:
    return FAULTS[name.partition(":")[0]].heals is Heals.MEMBERS


def _budget(options: Options, system: System) -> int:
    """How many nodes may be down at a time."""
    asked = read_script(options.script).budget if options.script else None
    return minority_size(len(system.voters(options))) if asked is None else asked


def _recovery(f: str, value: Any = None) -> Any:
    return nemesis(once(Invocation(f, value, process=RECOVERY)))


def _are_named(nodes: tuple[str, ...]) -> bool:
    return nodes != tuple(f"n{i}" for i in range(1, len(nodes) + 1))


def _node_logs(run: Path, nodes: tuple[str, ...]) -> tuple[NodeLog, ...]:
    """The logs and exit statuses that the nodes left behind."""
    return tuple(log for node in nodes for log in _logs_of(run, node))


def _logs_of(run: Path, node: str) -> Iterator[NodeLog]:
    directory = store.node_directory(run, node)
    for path in sorted(directory.glob("*.log")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        yield NodeLog(node, str(path.relative_to(run)), lines)
    ended = [each.exit_status for each in store.read_exits(run, node)]
    signals = tuple(-status for status in ended if status < 0)
    yield NodeLog(node, str((directory / store.EXITS).relative_to(run)), exit_signals=signals)
