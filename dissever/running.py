"""
One run, from options to its judged history: what `dissever test` does, for programs.

    ended = run(Options(system="dqlite", workload="register", faults=("kill",), seed=7))
    ended.assert_valid()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from dissever import planning
from dissever.configuration import here
from dissever.harness import store
from dissever.harness.client import Nemesis
from dissever.harness.history import Event
from dissever.harness.plan import Options, Plan
from dissever.harness.results import Anomaly, Results, Verdict
from dissever.harness.runner import CannotRun, Observer, SeesWaits, Test, execute
from dissever.harness.system import Deployment, System
from dissever.harness.waiting import Wait
from dissever.judging import Judged, judge, try_to_publish
from dissever.nemesis import Environment, make_nemeses
from dissever.reports import judged_html, summary
from dissever.systems import load
from dissever.workloads import WORKLOADS

__all__ = ["RUNS", "NotValid", "Observe", "Run", "carry_out", "possible", "run", "with_plan_file"]

RUNS: Final = Path("runs")
"""Where runs are kept, in the current directory."""

Observe: TypeAlias = Callable[[Plan], AbstractContextManager[Observer]]
"""Watches a run of this plan while it lasts."""


class _Unobserved:
    """An observer that shows nothing."""

    def phase(self, name: str) -> None:
        pass

    def event(self, event: Event) -> None:
        pass


UNOBSERVED: Final[Observer] = _Unobserved()


class NotValid(AssertionError):
    """A run is invalid or unknown; the message explains it."""


@dataclass(frozen=True, slots=True)
class Run:
    """
    A run that has ended, and how it was judged.

    `interruption` says why it ended early, and is empty otherwise. `page` is None when the results
    and the page could not be written, and `unwritten` says why.
    """

    directory: Path
    plan: Plan
    interruption: str
    judged: Judged
    page: Path | None
    unwritten: str = ""

    @property
    def results(self) -> Results:
        """What every checker says."""
        return self.judged.results

    @property
    def verdict(self) -> Verdict:
        """Valid, unknown or invalid: the greatest of all checkers."""
        return self.results.verdict

    @property
    def is_valid(self) -> bool:
        """Whether every checker is content. Unknown is not valid."""
        return self.verdict is Verdict.VALID

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What no correct system can have answered, of all checkers."""
        return tuple(each for result in self.results.results for each in result.anomalies)

    @property
    def seed(self) -> int:
        """The seed that the plan was drawn from."""
        return self.plan.options.seed

    @property
    def repeat(self) -> str:
        """The command line that repeats the run."""
        return self.judged.subject.repeat()

    @property
    def explanation(self) -> str:
        """The verdict and the first anomaly in words, the report's path, and how to repeat it."""
        judged = self.judged
        text = summary(
            judged.subject.seen_from(here()),
            judged.history,
            judged.results,
            self.page,
            judged.figures,
            run=self.directory,
        )
        return "\n".join(filter(None, (text.plain.rstrip(), self.unwritten)))

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        judged = self.judged
        return judged_html(
            judged.subject, judged.history, judged.results, judged.figures, self.page
        )

    def assert_valid(self) -> None:
        """
        Do nothing if the verdict is valid.

        Raises:
            NotValid: When it is invalid or unknown, with the explanation.
        """
        __tracebackhide__ = True
        if not self.is_valid:
            raise NotValid(self.explanation)


def run(
    options: Options,
    system: System | None = None,
    *,
    runs: Path = RUNS,
    observe: Observe = lambda _: nullcontext(UNOBSERVED),
    keeps_data: bool = False,
) -> Run:
    """
    Run a workload under faults, judge its history, and write everything to a new run directory.

    Args:
        system: None: the one that the options name.
        runs: The directory in which the run directory is made.
        observe: Watches the run; its observer hears each phase and each event as it happens.
        keeps_data: Whether the nodes' data stay whatever the verdict, not only if it is invalid.

    Raises:
        ValueError: When the options make no sense; nothing was written then.
        CannotRun: When this machine or the system does not let it happen. The message says what
            would help, and where the logs are.
        OSError: When the run directory cannot be written.
    """
    system = system or load(options.system)
    options = possible(options, system)
    started = datetime.now(UTC)
    directory = store.create_run(runs, options, started)
    with store.being_made(directory):
        plan = planning.make_plan(with_plan_file(options, directory), system, started)
        with observe(plan) as observer:
            interruption, judged = carry_out(plan, system, directory, observer)
            observer.phase("writing the report")
            page, unwritten = try_to_publish(directory, judged)
        if judged.results.verdict is not Verdict.INVALID and not keeps_data:
            store.drop_node_data(directory)
    return Run(directory, plan, interruption, judged, page, unwritten)


def possible(options: Options, system: System) -> Options:
    """
    The options with every default filled in, once it is known that they fit and can be run here.

    Raises:
        ValueError: When they make no sense.
        CannotRun: When this machine does not let it happen.
    """
    options = planning.checked(options, system)
    if (missing := planning.missing(options, system)) is not None:
        raise CannotRun(f"{options.system} cannot run here: {missing}")
    return options


def carry_out(
    plan: Plan, system: System, directory: Path, observer: Observer = UNOBSERVED
) -> tuple[str, Judged]:
    """
    Write a plan to an empty run directory, carry it out there, and judge what came of it.

    Returns:
        Why the run ended early, or nothing, and how it was judged. No results are written.

    Raises:
        CannotRun, OSError: As `run`.
    """
    store.write_plan(directory, plan)
    try:
        outcome = execute(_test(plan, system), directory, observer)
    except (CannotRun, OSError) as error:
        reason = str(error).removeprefix("[Errno 0] ") or type(error).__name__
        raise CannotRun(f"{reason} (logs are in {directory})") from error
    if not (directory / store.HISTORY).exists():
        raise CannotRun(f"{outcome.interruption} (logs are in {directory})")
    observer.phase("judging")

    def progress(what: str) -> None:
        if isinstance(observer, SeesWaits):
            observer.waits(Wait(what))

    return outcome.interruption, judge(directory, progress=progress)


def with_plan_file(options: Options, directory: Path) -> Options:
    """A plan that came from no file is written to one, so that the run can be repeated."""
    if not options.script or options.script_path:
        return options
    path = directory.absolute() / store.PLAN_TEXT
    path.write_text(options.script, encoding="utf-8")
    return msgspec.structs.replace(options, script_path=str(path))


def _test(plan: Plan, system: System) -> Test:
    """What carries a plan out."""
    options, workload = plan.options, WORKLOADS[plan.options.workload]

    def nemeses(deployment: Deployment) -> Mapping[str, Nemesis]:
        budget = planning.budget(options, system)
        environment = Environment.of(deployment, seed=options.seed, budget=budget)
        return make_nemeses(options.faults, environment)

    return Test(
        plan=plan,
        system=system,
        generator=planning.generator(options, system),
        store=workload.store,
        client=workload.client,
        places=planning.places(options),
        nemeses=nemeses,
    )
