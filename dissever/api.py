"""
The functions of `import dissever`: run a test, and judge a history, in a line each.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dissever import recorded
from dissever.checkers import Linearizable, Model, compose
from dissever.checkers.bank import Bank
from dissever.checkers.rows import Rows
from dissever.checkers.transactions import Transactions
from dissever.checkers.transactions.models import SERIALIZABLE
from dissever.harness.cluster.backends import Backend
from dissever.harness.history import Event, History
from dissever.harness.names import numbered
from dissever.harness.options import OptionValue
from dissever.harness.plan import Options
from dissever.harness.references import is_loading
from dissever.harness.results import Budget, Result, Results, Verdict, merge
from dissever.harness.store import PLAN
from dissever.harness.system import System, default_nodes
from dissever.judging import DEFAULT_MODEL, judge, judge_file
from dissever.nemesis import read_script
from dissever.registries import model_at
from dissever.running import RUNS, Run
from dissever.running import run as run_options
from dissever.systems import SYSTEMS, load

__all__ = ["check", "model", "run"]

CLIENTS_PER_NODE: Final = 2
_OWN: Final[Mapping[str, OptionValue]] = {}


def run(
    options: Options | None = None,
    *,
    system: str | System | type | None = None,
    workload: str = "register",
    faults: str | Iterable[str] = (),
    plan: str | Path | None = None,
    nodes: int | Iterable[str] | None = None,
    time_limit: float = 30.0,
    seed: int | None = None,
    rate: float = 200.0,
    concurrency: int | None = None,
    fault_interval: float = 5.0,
    operation_limit: float = 1.0,
    backend: str | Backend | None = None,
    system_options: Mapping[str, OptionValue] = _OWN,
    workload_options: Mapping[str, OptionValue] = _OWN,
    checkers: Sequence[str] = (),
    runs: str | Path = RUNS,
) -> Run:
    """
    Run a workload on a system under faults, and judge what it answered: `dissever test`.

        assert run(system="mykv.py", workload="register", faults=["partition", "kill"]).is_valid

    Arguments have the names and the defaults of the command line, and the same seed gives the same
    plan. Systems, workloads, faults and checkers are named by any reference: a name, a path,
    `package:Name`. What no argument is there for stands in `Options`.

    Args:
        options: Everything in one value, instead of the other arguments; only `runs` and a
            `system` that is an object go with it.
        system: A reference, a class, or an object.
        faults: References, with or without a target; a text may have several with commas.
        plan: A file that says when which fault strikes, instead of `faults`.
        nodes: How many, or their names; None: 5, or those that the system names.
        time_limit: In seconds, as `fault_interval` and `operation_limit`.
        seed: None: one that is drawn; the value says which.
        rate: Operations per second of all clients together.
        concurrency: How many clients; None: two for each node.
        backend: None: the first that the system has.
        runs: The directory in which the run directory is made.

    Returns:
        The run: `is_valid`, `verdict`, `anomalies`, `results`, `repeat`, `assert_valid()`, …

    Raises:
        ValueError: When the arguments make no sense: what was expected, and what came.
        CannotRun: When this machine or the system does not let it happen, with what would help.
        OSError: When a file cannot be read or written.
    """
    if is_loading():
        raise ValueError(
            "a file runs a test while it is being loaded as a plug-in;"
            ' put that under `if __name__ == "__main__"`'
        )
    found = _system(system)
    if options is not None:
        return run_options(options, found, runs=Path(runs))
    if found is None:
        raise ValueError("expected a system or Options, got none")
    named = (faults.split(",") if isinstance(faults, str) else faults) if faults else ()
    asked = tuple(name.strip() for name in named)
    script = Path(plan).read_text(encoding="utf-8") if plan is not None else ""
    if script and asked:
        raise ValueError("expected faults or a plan, got both")
    names = _names(found, nodes)
    options = Options(
        system=system if isinstance(system, str) else _reference_to(found),
        workload=workload,
        faults=read_script(script).names if script else asked,
        script=script,
        script_path=str(plan or ""),
        nodes=names,
        backend=Backend(backend or found.backends[0]),
        rate=rate,
        concurrency=CLIENTS_PER_NODE * len(names) if concurrency is None else concurrency,
        time_limit_s=time_limit,
        operation_limit_s=operation_limit,
        fault_interval_s=fault_interval,
        seed=random.SystemRandom().randrange(1 << 32) if seed is None else seed,
        system_options=system_options,
        workload_options=workload_options,
        checkers=tuple(checkers),
    )
    return run_options(options, found, runs=Path(runs))


def _system(given: str | System | type | None) -> System | None:
    if isinstance(given, str):
        return load(given)
    return SYSTEMS.kind.made(given, "system") if given is not None else None


def _reference_to(system: System) -> str:
    """What the command line calls it: a name of ours, or the class in its file."""
    kind = type(system)
    if SYSTEMS.own.get(system.name) == f"{kind.__module__}:{kind.__qualname__}":
        return system.name
    try:
        file = Path(inspect.getfile(kind)).resolve()
    except (OSError, TypeError):  # It was typed at a prompt.
        return system.name
    path = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{path}:{kind.__qualname__}"


def _names(system: System, nodes: int | Iterable[str] | None) -> tuple[str, ...]:
    if nodes is None:
        return default_nodes(system)
    return numbered(nodes) if isinstance(nodes, int) else tuple(nodes)


def check(
    history: str | Path | History | Iterable[Event],
    model: str | Model | type | None = None,
    *,
    keyed: bool = False,
    budget: Budget | None = None,
) -> Results:
    """
    Judge a history: is it linearizable as the model says?

    Without a model, transactions must be serializable, the reads of a bank must add up, and
    everything else is a cas-register.

        assert check("history.edn", "cas-register").verdict is Verdict.VALID

    Args:
        history: The path of a history file, a history, or its events in order. The path of a run
            directory is judged by the checkers of the run, and the model does not count.
        model: A reference (`queue`, `mymodel.py:LeaseLock`), a `Model`, or the class of a plain
            model: a frozen dataclass with a method for each operation.
        keyed: Values of a file are [key, value] pairs of many independent objects.

    Raises:
        ValueError: When there is no such model, or the file is no history.
        OSError: When the file cannot be read.
    """
    if isinstance(history, str | Path):
        path = Path(history)
        if (path / PLAN).is_file():
            return judge(path).results
        return judge_file(path, model, keyed=keyed, budget=budget).results
    found = history if isinstance(history, History) else History(history)
    workload = recorded.workload_of(found) if model is None else None
    checker: Transactions | Bank | Rows | Linearizable
    if workload is not None:
        checker = recorded.checker_of(workload, SERIALIZABLE)
    else:
        checker = Linearizable(model_at(model or DEFAULT_MODEL))
    results = compose({checker.name: checker}, found, budget or Budget())
    if not found.notes:
        return results
    notes = Result(checker="history", verdict=Verdict.VALID, why="; ".join(found.notes))
    return merge((*results.results, notes))


def model(reference: str | type, *, initial: Any = None) -> Model:
    """
    A model, to give to `Linearizable`: `model("queue")`, `model("mine.py:Lease")`, `model(Lease)`.

    Args:
        reference: A name or a reference, or the class of a plain model: a frozen dataclass with a
            method for each operation.
        initial: What each object holds at first, as histories write values; None: what the model
            begins with.

    Raises:
        ValueError: When there is no such model, or such an object cannot begin with that.
    """
    return model_at(reference, initial=initial)
