"""
From options to everything that defines a run: the plan, the schedule of faults, the generator.

Pure, except that it reads the versions of the machine's software, and sees whether a configuration
is in force. A run and a dry run start here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from dissever import __version__, configuration
from dissever.harness.client import Invocation
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
from dissever.harness.history import Key
from dissever.harness.names import numbered
from dissever.harness.options import Option, OptionValue, checked_options, unknown
from dissever.harness.plan import (
    DISK_MB,
    OK_MIN,
    RECOVERY_S,
    OnCrash,
    Options,
    Plan,
    Skipped,
    check_options,
    host_versions,
)
from dissever.harness.system import Lacks, System
from dissever.harness.system import checked as checked_for_system
from dissever.harness.values import LISTED_MAX, count_text
from dissever.harness.vocabulary import (
    COMPARE,
    COMPARE_AGAIN,
    MAJORITY_ONLY,
    PROGRESS,
    READY,
    RECOVERY,
    RESTART,
    RESTART_AGAIN,
)
from dissever.nemesis import (
    ALL,
    PRESETS,
    Fault,
    Heals,
    PlannedOp,
    actions,
    compile_script,
    core,
    hosts,
    minority_size,
    parse,
    possible,
    preset,
    read_script,
)
from dissever.nemesis import final as final_healing
from dissever.nemesis import generator as play
from dissever.nemesis import plan as draw_plan
from dissever.nemesis.plans.operations import generator as play_operations
from dissever.nemesis.plans.operations import placement
from dissever.nemesis.plans.script import Script
from dissever.registries import CHECKERS, installed_checkers, versions_of
from dissever.systems.clients import STORES
from dissever.workloads import WORKLOADS, Workload, lacking, served_by, serves

__all__ = [
    "Unfit",
    "budget",
    "checked",
    "generator",
    "make_plan",
    "missing",
    "missing_fault",
    "missing_system",
    "places",
    "remarks",
    "repeat_command",
    "schedule",
]


class Unfit(ValueError):
    """A fault can never strike on the backend; on another one it may."""


NO_TIME = "it has no time to strike"
LONGER = "use a longer --time-limit"
"""Why a fault of `standard` or `all` is left out, and what would help."""

DELAYS = ("ms", "delay_ms")
"""Settings of faults that let an operation wait."""

FINAL_RATE = 500.0
"""Operations per second of the final reads."""


def make_plan(options: Options, system: System, started: datetime) -> Plan:
    """Everything that defines the run."""
    skipped = options.skipped
    options = msgspec.structs.replace(
        options, hosts=hosts(options.faults, options.disk_mb), skipped=()
    )
    return Plan(
        options=options,
        command=repeat_command(options, system),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        versions={
            "dissever": __version__,
            **host_versions(),
            **system.versions(options),
            **versions_of(options),
        },
        capabilities=options.backend.capabilities,
        skipped=skipped,
        actions=actions(options.faults),
        scheduled=_scheduled(options, system),
        directory=str(Path.cwd()),
    )


def _scheduled(options: Options, system: System) -> tuple[str, ...]:
    """The faults that have time to strike at least once."""
    limit_ns = int(options.time_limit_s * 1e9)
    struck = (op.process for op in schedule(options, system) if op.offset_ns < limit_ns)
    return tuple(dict.fromkeys(struck))


def repeat_command(options: Options, system: System) -> str:
    """The command line that repeats a run, whatever is configured where it is typed."""
    words = ["dissever", "test", options.system, "--workload", options.workload]
    words += ["--no-config"] if configuration.is_in_force() else []
    if options.script:
        words += ["--plan", options.script_path]
    elif options.faults:
        words += ["--faults", ",".join(options.faults)]
    if options.checkers:
        words += ["--checker", ",".join(options.checkers)]
    count = len(options.nodes)
    nodes = str(count) if options.nodes == numbered(count) else ",".join(options.nodes)
    words += ["--backend", options.backend, "--nodes", nodes]
    words += ["--rate", f"{options.rate:g}", "--concurrency", str(options.concurrency)]
    words += ["--time-limit", f"{options.time_limit_s:g}"]
    words += ["--operation-limit", f"{options.operation_limit_s:g}"]
    words += ["--fault-interval", f"{options.fault_interval_s:g}"]
    if options.disk_mb != DISK_MB:
        words += ["--disk-mb", str(options.disk_mb)]
    if options.ok_min != OK_MIN:
        words += ["--ok-min", str(options.ok_min)]
    if options.stop_when_dead_s is not None:
        words += ["--stop-when-dead", f"{options.stop_when_dead_s:g}"]
    if options.recovery_limit_s != RECOVERY_S:
        words += ["--recovery-limit", f"{options.recovery_limit_s:g}"]
    if options.on_crash is not OnCrash.LEAVE:
        words += ["--on-crash", options.on_crash]
    if not options.watch_roles:
        words += ["--no-watch-roles"]
    words += _own_words(options.workload_options, WORKLOADS[options.workload].options)
    words += _own_words(options.system_options, system.options)
    return shlex.join([*words, "--seed", str(options.seed)])


def _own_words(options: Mapping[str, OptionValue], declared: Mapping[str, Option]) -> list[str]:
    """The options of a system or a workload that are not as by default."""
    return [
        word
        for name, value in options.items()
        if value is not None and (name not in declared or value != declared[name].default)
        for word in (f"--{name}", str(value))
    ]


def checked(options: Options, system: System) -> Options:
    """
    The options with every default filled in, once all of them are known to fit.

    Raises:
        ValueError: With what was expected, and what came.
    """
    check_options(options)
    if options.reseed is not None and not options.backend.is_virtual:
        raise ValueError(f"expected reseed on the backend simulated, got {options.backend}")
    workload = WORKLOADS.find(options.workload)
    if not serves(system, workload):
        raise ValueError(_unserved(options.workload, workload, system))
    declared = workload.options
    own = checked_options(options.workload, declared, options.workload_options)
    options = checked_for_system(msgspec.structs.replace(options, workload_options=own), system)
    workload.operations(options)
    workload.checkers(options)  # Both refuse values of the workload's options that do not fit.
    places(options)
    options = _with_presets(options, system)
    schedule(options, system)  # First, because it names the lines of a plan that are wrong.
    _check_faults(options, system)
    for reference in options.checkers:
        CHECKERS.find(reference)
    checkers = tuple(dict.fromkeys((*options.checkers, *installed_checkers())))
    return msgspec.structs.replace(options, checkers=checkers)


def _with_presets(options: Options, system: System) -> Options:
    """With the faults that `standard` and `all` stand for: as many as have time to strike."""
    asked = [name for name in options.faults if name in PRESETS]
    if not asked:
        return options
    usual, skipped = possible(
        preset(asked, options.backend),
        options.backend,
        system.lacks(options) if isinstance(system, Lacks) else {},
        nodes=len(options.nodes),
        budget=budget(options, system),
        machine=Fault.missing if ALL in asked else None,
    )
    others = tuple(name for name in options.faults if name not in PRESETS)
    for count in range(len(usual), 0, -1):
        names = tuple(dict.fromkeys((*usual[:count], *others)))
        late = tuple(Skipped(name, NO_TIME, LONGER) for name in usual[count:])
        found = msgspec.structs.replace(options, faults=names, skipped=(*skipped, *late))
        if count == 1 or _has_time(found, system):
            return found
    what = " or ".join(asked)
    raise ValueError(f"none of the faults of {what} can strike {system.name}")


def _has_time(options: Options, system: System) -> bool:
    """Whether every fault can strike once."""
    try:
        schedule(options, system)
    except ValueError:
        return False
    return True


def _unserved(reference: str, workload: Workload, system: System) -> str:
    """What a system lacks for a workload, in one line."""
    if reference in WORKLOADS.own and (served := served_by(system)):
        return unknown("workload", reference, served)
    if workload.methods:
        lacks = ", ".join(lacking(system, workload))
        lacks += f" (or {workload.whole})" if workload.whole else ""
        return f"{reference} calls {lacks} of its clients, and those of {system.name} have none"
    stores = ", ".join(system.stores or ()) or "none"
    methods = f" ({', '.join(STORES[workload.store])})" if workload.store in STORES else ""
    store = f"the store {workload.store}{methods}"
    return f"{reference} asks for {store}, and {system.name} has {stores}"


def _check_faults(options: Options, system: System) -> None:
    """
    Raises Unfit, a line for each fault that can never strike on this backend; ValueError, if there
    is one that can never strike this system.
    """
    specs = parse(options.faults, options.backend)
    unfit = [
        f"the fault {spec.name} cannot strike on the backend {options.backend}: {lack.reason};"
        f" {lack.remedy}"
        for spec in specs
        if (lack := spec.fault.unfit(options.backend)) is not None
    ]
    lacks = system.lacks(options) if isinstance(system, Lacks) else {}
    unmet = [
        f"the fault {':'.join((spec.name, *spec.targets))} cannot strike {system.name}: {why}"
        for spec in specs
        if spec.fault.unfit(options.backend) is None and (why := spec.lack_of(lacks))
    ]
    if unmet:
        raise ValueError("\n".join((*unfit, *unmet)))
    if unfit:
        raise Unfit("\n".join(unfit))


def remarks(options: Options, system: System) -> tuple[str, ...]:
    """
    What is allowed and still worth a word before the run: faults that were left out, delays that
    nobody waits for, and checkers of installed packages that cannot be loaded.
    """
    limit_ms = options.operation_limit_s * 1000
    found = {
        f"{op.process}: {name} {op.value[name]:g} is longer than the operation limit of"
        f" {limit_ms:g} ms: an operation that waits for it ends as info"
        for op in schedule(options, system)
        if isinstance(op.value, Mapping)
        for name in DELAYS
        if isinstance(op.value.get(name), int | float) and op.value[name] >= limit_ms
    }
    broken = (f"the checker {line}" for line in CHECKERS.broken().values())
    return (*_left_out(options), *sorted(found), *broken)


def _left_out(options: Options) -> tuple[str, ...]:
    """One line for the faults that `standard` or `all` left out, or none."""
    if not options.skipped:
        return ()
    reasons: dict[str, list[str]] = {}
    for each in options.skipped:
        reasons.setdefault(each.reason, []).append(each.capability)
    shown = [f"{_first(names)} ({why})" for why, names in reasons.items()][:LISTED_MAX]
    if (others := len(reasons) - len(shown)) > 0:
        shown.append(f"others for {count_text(others, 'more reason')}")
    count = len(options.skipped)
    total = len(options.faults) + count
    return (f"{count} of {total} faults are left out: {'; '.join(shown)}; plan.json has each",)


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def missing(options: Options, system: System) -> str | None:
    """Why this run cannot happen on this machine, with the remedy, or None. It tries things out."""
    return missing_system(options, system) or missing_fault(options)


def missing_system(options: Options, system: System) -> str | None:
    """Why the system cannot run on this machine, with the remedy, or None. It tries things out."""
    absent = system.probe(options)
    return None if absent is None else f"{absent.reason}; {absent.remedy}"


def missing_fault(options: Options) -> str | None:
    """Which fault cannot strike on this machine, why, and the remedy, or None. It tries it out."""
    for spec in parse(options.faults, options.backend):
        if (absent := spec.fault.missing(options.backend)) is not None:
            return f"the fault {spec.name} cannot be injected: {absent.reason}; {absent.remedy}"
    return None


def schedule(options: Options, system: System) -> tuple[PlannedOp, ...]:
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
            budget=budget(options, system),
            backend=options.backend,
        )
    return draw_plan(
        options.faults,
        nodes=options.nodes,
        seed=options.seed,
        interval_s=options.fault_interval_s,
        time_limit_s=options.time_limit_s,
        budget=budget(options, system),
        backend=options.backend,
    )


def budget(options: Options, system: System) -> int:
    """How many nodes may be down at the same time."""
    asked = read_script(options.script).budget if options.script else None
    return minority_size(len(system.voters(options))) if asked is None else asked


def generator(options: Options, system: System) -> Any:
    """The whole of a run: operations under faults, then healing, recovery, and final reads."""
    workload = WORKLOADS[options.workload]
    script = _script(options)
    planned = None if script is None else script.operations
    if planned is None:
        operations = clients(rate(options.rate, workload.operations(options)))
    else:
        operations = play_operations(planned)
    reads_at_end = script is None or script.final
    faults = play(schedule(options, system))

    @cache  # It is asked for again as long as nothing of it has begun.
    def ending(keys: tuple[Key, ...]) -> Any:
        reads = workload.final(options, keys) if reads_at_end else ()
        final = clients(rate(FINAL_RATE, reads))
        before = (READY, RESTART) if options.faults else (READY,)
        after = (COMPARE, RESTART_AGAIN, COMPARE_AGAIN) if options.faults else ()
        healing = _healing(options, system)
        return phases(*healing, *map(_recovery, before), final, *map(_recovery, after))

    work = time_limit(options.time_limit_s, any_of(operations, faults))
    return then_with_keys(work, ending, workload.keys)


def places(options: Options) -> tuple[str, ...]:
    """
    The node of each client, in their order.

    Raises:
        ValueError: When the operations of a plan name a client or a node that there is not.
    """
    script = _script(options)
    planned = () if script is None else script.operations or ()
    return placement(planned, options.nodes, options.concurrency)


def _script(options: Options) -> Script | None:
    """The plan that was written down, if it was by hand."""
    script = read_script(options.script) if options.script else None
    return script if isinstance(script, Script) else None


def _healing(options: Options, system: System) -> Iterator[Any]:
    """Everything heals except the links of a majority to the other nodes; then those links heal."""
    late = [spec.name for spec in parse(options.faults) if spec.fault.heals is Heals.MEMBERS]
    early = [spec.name for spec in parse(options.faults) if spec.name not in late]
    healing = nemesis(final_healing(early))
    inside = core(options.nodes, system.voters(options), options.seed) if options.faults else ()
    if not inside or late:  # All nodes take part in a change of members.
        yield from (healing, nemesis(final_healing(late)))
        return
    value = {"nodes": list(inside)}
    yield nemesis(once(Invocation(f"start-{MAJORITY_ONLY}", value, process=MAJORITY_ONLY)))
    yield healing
    yield _recovery(PROGRESS, value)
    yield nemesis(once(Invocation(f"stop-{MAJORITY_ONLY}", process=MAJORITY_ONLY)))


def _recovery(f: str, value: Any = None) -> Any:
    return nemesis(once(Invocation(f, value, process=RECOVERY)))
