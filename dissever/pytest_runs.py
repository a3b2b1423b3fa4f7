"""
What the fixtures of the pytest plugin do, loaded once a test asks for one of them.

The settings of a test are words of `dissever test`, so a test, a command line and a configuration
mean the same by the same name, and are refused with the same line.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import pytest
from click.core import ParameterSource

from dissever import planning
from dissever.commands.asked import Asked, asked
from dissever.commands.test import test as command
from dissever.configuration import near, word
from dissever.harness.history import Event
from dissever.harness.options import unknown
from dissever.harness.plan import Plan
from dissever.harness.results import Anomaly, Result, Results, Verdict
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.harness.values import shorten
from dissever.nemesis import FAULTS, Heals
from dissever.pytest_repeats import RUNS
from dissever.running import NotValid, Run, run
from dissever.starting import CannotStrike, StartedCluster, check_machine, start

__all__ = ["PlanRun", "RunPlan", "clusters", "complete", "translate"]

log = logging.getLogger("dissever")

OPTIONS: Final = "options"
"""The key of the options of the system and of the workload."""

_OF_SERIES: Final = ("seeds", "test-count", "until-failure", "quiet")
"""Options of `dissever test` that a test has no use for: pytest makes several runs."""

_EXPLAINS_NO_CRASH: Final = (Heals.CLIENTS, Heals.RESUME, Heals.LINKS, Heals.START)
"""Faults that heal like this end no process but those that they say."""

_REPETITION: Final = re.compile(r"(?<=\[)run\d+of\d+-?|-run\d+of\d+(?=[\]-])")
"""What --dissever-repeat adds to the id of a test."""

PREFIX: Final = "dissever-"
"""Of the properties of a test, which JUnit files of the family xunit1 show."""

_RUNS: Final = pytest.StashKey[list[list[Any]]]()
"""Of a test: its name, the seed and the verdict of each of its runs."""

_LINES: Final = pytest.StashKey[list[str]]()
"""Of a test: what its report says of dissever when it fails."""


class WrongUsage(Exception):
    """A test asks for what there is not: what was expected, what came."""


def translate(call: pytest.CallInfo[Any]) -> None:
    """Make a skip of a fault that cannot strike here, whenever that is found out."""
    if call.excinfo is not None and isinstance(call.excinfo.value, CannotStrike):
        why = str(call.excinfo.value)
        skipped = pytest.CallInfo.from_call(lambda: pytest.skip(why), "call")
        call.excinfo = skipped.excinfo


def complete(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Make an error, not a failure, of what is no answer of the system; add what helps."""
    setattr(report, RUNS, item.stash.get(_RUNS, []))
    if not report.failed:
        return
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, CannotRun | WrongUsage):
        report.longrepr = str(error)
        if report.when == "call":
            report.when = "setup"  # pytest calls it an error then, and so does JUnit.
    if lines := item.stash.get(_LINES, []):
        report.sections.append(("dissever", "\n".join(dict.fromkeys(lines))))


class _Test:
    """A test that uses a fixture of ours: what it asks for."""

    def __init__(self, request: pytest.FixtureRequest, repeat: int) -> None:
        self.item: pytest.Item = request.node
        self.config = request.config
        self._repeat = repeat
        self._marked = _marked(self.item)

    def asked(self, overrides: Mapping[str, Any]) -> Asked:
        """
        What the marker, the keywords of a call and the options of pytest ask for together.

        Raises:
            WrongUsage: With what was expected, and what came.
            CannotStrike: When a fault can never strike on the backend.
        """
        settings = _merged(self._marked, _checked(overrides, "run_plan"))
        for name in ("time-limit", "backend", "profile", "runs"):
            given = self.config.getoption(f"--dissever-{name}")
            if given is not None:
                settings[name] = given
        seed = settings.pop("seed", None)
        words = _words(settings, self._directories())
        try:
            context = command.make_context("dissever test", words, obj=self.config.rootpath)
            found = asked(context)
        except click.UsageError as error:
            if isinstance(error.__cause__, planning.Unfit):
                raise CannotStrike(str(error.__cause__)) from error
            raise WrongUsage(error.format_message()) from error
        runs = found.runs
        if context.get_parameter_source("runs") is ParameterSource.DEFAULT:
            runs = Path(near(self.config.rootpath / runs))
        seed = self._seed(seed, context.params["seed"])
        return replace(found, options=found.with_seed(seed), seeds=(seed,), runs=runs)

    def _seed(self, marked: Any, configured: int | None) -> int:
        """
        From the command line, the marker, the configuration, or else the node id.

        Each repetition has the next one.
        """
        if marked is not None and (type(marked) is not int or marked < 0):
            raise WrongUsage(f"expected seed as a whole number, got {marked!r}")
        for given in (self.config.getoption("--dissever-seed"), marked, configured):
            if given is not None:
                return int(given) + self._repeat
        own = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        return own + self._repeat

    @property
    def name(self) -> str:
        """The node id, without what says which repetition it is."""
        return _REPETITION.sub("", self.item.nodeid).replace("[]", "")

    def repeat(self, seed: int) -> str:
        """The line that repeats the test with pytest."""
        file, colons, test = self.name.partition("::")
        place = os.path.relpath(self.config.rootpath / file, self.config.invocation_params.dir)
        words = ["pytest", f"{place}{colons}{test}", "--dissever-seed", str(seed)]
        for name in ("time-limit", "backend", "profile", "runs"):
            given = self.config.getoption(f"--dissever-{name}")
            if given is not None:
                words += [f"--dissever-{name}", str(given)]
        return shlex.join(words)

    def note(self, line: str) -> None:
        """Have a line in the report of the test when it fails."""
        self.item.stash.setdefault(_LINES, []).append(line)

    def _directories(self) -> tuple[Path, ...]:
        """What a path in a marker may be relative to: the rootdir, or the folder of the test."""
        return (self.config.rootpath, self.item.path.parent)


def _marked(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say together, the closest one last."""
    settings: dict[str, Any] = {}
    for mark in reversed([*item.iter_markers("dissever")]):
        if mark.args:
            what = "keywords in @pytest.mark.dissever, such as system=…"
            raise WrongUsage(f"expected {what}, got {mark.args[0]!r}")
        settings = _merged(settings, _checked(mark.kwargs, "@pytest.mark.dissever"))
    return settings


def _checked(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings by their long names. Raises WrongUsage for one that there is not."""
    names = tuple(name for name in command.keys.names if name not in _OF_SERIES)
    known = (*names, "profile", OPTIONS)
    settings = {name.replace("_", "-"): value for name, value in given.items()}
    for name in settings:
        if name not in known:
            shown = tuple(each.replace("-", "_") for each in known)
            what = unknown("setting", name.replace("-", "_"), shown)
            raise WrongUsage(f"{where}: {what}")
    if not isinstance(settings.get(OPTIONS, {}), Mapping):
        raise WrongUsage(f"{where}: expected options as a dict, got {settings[OPTIONS]!r}")
    return settings


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    if "faults" in above or "plan" in above:  # They exclude each other.
        merged.pop("plan" if "faults" in above else "faults", None)
    if OPTIONS in below and OPTIONS in above:
        merged[OPTIONS] = {**below[OPTIONS], **above[OPTIONS]}
    return merged


def _words(settings: Mapping[str, Any], directories: tuple[Path, ...]) -> list[str]:
    """The words of a command line. Raises WrongUsage for a value that no option has."""
    words = []
    options = settings.get(OPTIONS, {})
    given = {name: value for name, value in settings.items() if name not in (OPTIONS, "system")}
    own = {name.replace("_", "-"): value for name, value in options.items()}
    if "system" in settings:
        words.append(_placed(str(settings["system"]), directories))
    for name, value in {**given, **own}.items():
        if value is None or value is False or (name == "faults" and not value):
            continue
        try:
            text = word(value)
        except ValueError as error:
            raise WrongUsage(f"{name}: {error}") from error
        if isinstance(text, bool):
            words.append(f"--{name}")
        else:
            placed = ",".join(_placed(each, directories) for each in text.split(","))
            words.append(f"--{name}={placed}")
    return words


def _placed(reference: str, directories: tuple[Path, ...]) -> str:
    """`mykv.py:MyKv` as it is from the current directory, if a file in one of these is meant."""
    file, colon, name = reference.partition(":")
    if not file or ("/" not in file and "." not in file):
        return reference
    for directory in directories:
        if (directory / file).is_file():
            return f"{near(directory / file)}{colon}{name}"
    return reference


@contextmanager
def _in_setup() -> Iterator[None]:
    """What is wrong before a test begins is an error of one line, without a traceback."""
    try:
        yield
    except CannotStrike as error:
        pytest.skip(str(error))
    except (CannotRun, WrongUsage) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _fail(why: str) -> NoReturn:
    pytest.fail(why, pytrace=False)


class RunPlan:
    """The value of the fixture `run_plan`: makes a run when it is called."""

    def __init__(self, request: pytest.FixtureRequest, repeat: int) -> None:
        """Look whether the run of the marker can happen here, before the test begins."""
        with _in_setup():
            self._test = _Test(request, repeat)
            wanted = self._test.asked({})
            check_machine(wanted.options, wanted.system)
        self._subtests = _subtests(request)
        self._made: list[PlanRun] = []

    def __call__(self, **settings: Any) -> PlanRun:
        """
        Make a run, judge it, and write its directory.

        Args:
            settings: Laid over those of the marker.

        Raises:
            CannotRun: When this machine or the system does not let it happen: an error, no failure.
            WrongUsage: When the settings make no sense.
        """
        __tracebackhide__ = True
        wanted = self._test.asked(settings)
        if settings:
            check_machine(wanted.options, wanted.system)
        ended = run(
            wanted.options,
            wanted.system,
            runs=wanted.runs,
            observe=lambda plan: nullcontext(_Logged(plan)),
            keeps_data=wanted.keeps_data,
        )
        if ended.interruption == INTERRUPTED:
            raise KeyboardInterrupt
        made = PlanRun(ended, self._test.repeat(ended.seed), self._subtests)
        item = self._test.item
        item.stash.setdefault(_RUNS, []).append([self._test.name, made.seed, ended.verdict.word])
        if not _refuses_properties(item.config):
            item.user_properties += [
                (f"{PREFIX}seed", made.seed),
                (f"{PREFIX}run", str(made.directory)),
                (f"{PREFIX}repeat", made.repeat),
                (f"{PREFIX}pytest", made.pytest),
                (f"{PREFIX}verdict", ended.verdict.word),
            ]
        self._made.append(made)
        return made

    def end(self) -> None:
        """Fail, in the teardown, for a run whose verdict nobody asked for, unless it is valid."""
        for made in self._made:
            if not (made.was_asked or made.run.is_valid):
                _fail(f"the test did not ask for the verdict of its run:\n{made.explanation}")


def _refuses_properties(config: pytest.Config) -> bool:
    """Whether a JUnit file is written whose schema has no properties of test cases."""
    return bool(config.getoption("xmlpath", None)) and config.getini("junit_family") == "xunit2"


def _subtests(request: pytest.FixtureRequest) -> Any:
    """The fixture `subtests`, which pytest has since 9.0, or pytest-subtests; None without."""
    try:
        return request.getfixturevalue("subtests")
    except pytest.FixtureLookupError:
        return None


class _Logged:
    """An observer that logs the phases of a run."""

    def __init__(self, plan: Plan) -> None:
        log.info("%s", plan.command)

    def phase(self, name: str) -> None:
        log.info("%s", name)

    def event(self, event: Event) -> None:
        pass


class PlanRun:
    """A run that has ended, in a test."""

    def __init__(self, run: Run, pytest_line: str, subtests: Any) -> None:
        """
        `pytest_line` repeats the test; `subtests` is None where pytest has none.
        """
        self.run = run
        self.pytest = pytest_line
        self.was_asked = False
        self._subtests = subtests

    @property
    def verdict(self) -> Verdict:
        """Valid, unknown or invalid: the greatest of all checkers."""
        self.was_asked = True
        return self.run.verdict

    @property
    def is_valid(self) -> bool:
        """Whether every checker is content. Unknown is not valid."""
        return self.verdict is Verdict.VALID

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What no correct system can have answered, of all checkers."""
        self.was_asked = True
        return self.run.anomalies

    @property
    def interruption(self) -> str:
        """Why the run ended early; empty otherwise."""
        return self.run.interruption

    @property
    def results(self) -> Results:
        """What every checker says."""
        self.was_asked = True
        return self.run.results

    @property
    def plan(self) -> Plan:
        """What was run."""
        return self.run.plan

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.run.directory

    @property
    def page(self) -> Path | None:
        """The report as HTML; None when it could not be written."""
        return self.run.page

    @property
    def seed(self) -> int:
        """What the plan was drawn from."""
        return self.run.seed

    @property
    def repeat(self) -> str:
        """The command line that repeats the run."""
        return self.run.repeat

    @property
    def explanation(self) -> str:
        """The first anomaly in words, the report's path, and the lines that repeat it."""
        verdict, _, text = self.run.explanation.partition("\n")
        names = ", ".join(dict.fromkeys(anomaly.name for anomaly in self.run.anomalies))
        first = f"{verdict}{': ' if names else ''}{names} (seed {self.seed})"
        return f"{first}\n{text}\n  pytest  {self.pytest}"

    def assert_valid(self) -> None:
        """
        Pass if every checker is content. Each checker is a subtest, where pytest has subtests.

        Raises:
            NotValid: When the run is invalid or unknown, with the explanation.
        """
        __tracebackhide__ = True
        self.was_asked = True
        for result in self.run.results.results:
            self._judge(result)
        if not self.run.is_valid:
            raise NotValid(self.explanation)

    def _judge(self, result: Result) -> None:
        if self._subtests is None:
            return
        with self._subtests.test(msg=result.checker):
            if result.verdict is not Verdict.VALID:
                _fail(f"{result.verdict.word}: {shorten(result.why, 2000)}\n  page  {self.page}")


@contextmanager
def clusters(
    request: pytest.FixtureRequest, temporary: pytest.TempPathFactory, repeat: int
) -> Iterator[Callable[..., StartedCluster]]:
    """
    What the fixture `cluster_factory` gives: a function that starts a cluster.

    In the teardown, a node that ended by itself is an error, unless a fault can explain it.
    """
    with _in_setup():
        test = _Test(request, repeat)
    started: list[StartedCluster] = []
    with ExitStack() as stack:

        def make(**settings: Any) -> StartedCluster:
            wanted = test.asked(settings)
            directory = temporary.mktemp("dissever")
            test.note(
                f"nodes' logs  {directory}/nodes\nrepeat       {test.repeat(wanted.seeds[0])}"
            )
            cluster = stack.enter_context(start(wanted.options, directory, wanted.system))
            started.append(cluster)
            return cluster

        yield make
        crashes = [line for cluster in started for line in _crashes(cluster)]
    if crashes:
        _fail("\n".join(crashes))


def _crashes(cluster: StartedCluster) -> Iterator[str]:
    """The nodes that ended by themselves, where no fault can be why."""
    struck = {FAULTS.find(strike.fault).heals for strike in cluster.strikes}
    if struck <= {*_EXPLAINS_NO_CRASH}:
        for end in cluster.crashes:
            yield (
                f"{end.node} ended by itself, with status {end.exit_status};"
                f" its logs are in {cluster.directory}/nodes/{end.node}"
            )
