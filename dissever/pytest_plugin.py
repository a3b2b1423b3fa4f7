"""
The pytest plugin: fixtures that make a run, or a started cluster, in a test.

    @pytest.mark.dissever(system="mykv.py", workload="register", faults=["partition", "kill"])
    def test_linearizable(run_plan):
        run_plan().assert_valid()

pytest imports this file in every project where dissever is installed. So nothing of the harness is
imported before a test asks for one of the fixtures: `pytest_runs.py` does the work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from dissever.pytest_runs import RunPlan
    from dissever.starting import StartedCluster

RUNS: Final = "dissever.pytest_runs"

MARKER: Final = (
    "dissever(system, workload, faults, nodes, time_limit, seed, options, profile, …): what the"
    " fixtures run_plan and cluster run: the long options of `dissever test`, with underscores"
)

REPEAT: Final = "dissever_repeat"
"""The fixture that every other one of ours asks for: it is parametrized by --dissever-repeat."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options: each is laid over what the marker of a test says."""
    group = parser.getgroup("dissever", "fault injection with dissever")
    group.addoption(
        "--dissever-seed",
        metavar="SEED",
        type=_seed,
        help="The seed of every test. Without it each test has one of its own, by its node id.",
    )
    group.addoption("--dissever-time-limit", metavar="DURATION", help="Of every run: 90s, 5m.")
    group.addoption("--dissever-backend", metavar="BACKEND", help="Where nodes run.")
    group.addoption(
        "--dissever-profile",
        metavar="NAME",
        help="Take the settings of [tool.dissever.profiles.NAME] in pyproject.toml.",
    )
    group.addoption(
        "--dissever-repeat",
        metavar="N",
        type=_count,
        default=1,
        help="Run every test N times, each with a seed of its own, and say how many were valid.",
    )
    group.addoption(
        "--dissever-runs", metavar="DIR", help="Where runs are kept: runs, in the rootdir."
    )


def _seed(text: str) -> int:
    """Raises ValueError, which argparse turns into wrong usage."""
    seed = int(text)
    if not 0 <= seed < 1 << 63:
        raise ValueError
    return seed


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000:
        raise ValueError
    return count


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the options are, if there are any."""
    names = ("seed", "time-limit", "backend", "profile", "repeat", "runs")
    given = {name: config.getoption(f"--dissever-{name}") for name in names}
    if given["repeat"] == 1:
        del given["repeat"]
    said = [f"{name} {value}" for name, value in given.items() if value is not None]
    return f"dissever: {', '.join(said)}" if said else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses a fixture of ours as often as was asked for."""
    count = metafunc.config.getoption("--dissever-repeat")
    if count > 1 and REPEAT in metafunc.fixturenames:
        ids = [f"run{number}of{count}" for number in range(1, count + 1)]
        metafunc.parametrize(REPEAT, range(count), ids=ids, indirect=True)


def pytest_report_collectionfinish(items: list[pytest.Item], config: pytest.Config) -> str | None:
    """Say where the seeds of our tests come from, if there are such tests."""
    ours = sum(REPEAT in getattr(item, "fixturenames", ()) for item in items)
    if not ours:
        return None
    seed = config.getoption("--dissever-seed")
    word = "from its marker, or by its node id" if seed is None else f"{seed}"
    return f"dissever: {ours} test{'s' if ours > 1 else ''}, the seed of each: {word}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the machine lacks is a skip or an error, whenever it is found out."""
    runs = sys.modules.get(RUNS)
    if runs is None:
        return (yield)
    runs.translate(call)
    report = yield
    runs.complete(item, call, report)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Of tests that were repeated, say how many of their runs were valid."""
    if config.getoption("--dissever-repeat") > 1:
        from dissever.pytest_repeats import lines

        if found := lines(terminalreporter.stats):
            terminalreporter.section("dissever", sep="-")
            for line in found:
                terminalreporter.write_line(line)


@pytest.fixture
def dissever_repeat(request: pytest.FixtureRequest) -> int:
    """Which repetition of the test this is, from 0."""
    return int(getattr(request, "param", 0))


@pytest.fixture
def run_plan(request: pytest.FixtureRequest, dissever_repeat: int) -> Iterator[RunPlan]:
    """
    Make the run that the marker describes: `run_plan().assert_valid()`.

    Keywords are laid over the marker: `run_plan(time_limit=5)`. The value has `verdict`,
    `is_valid`, `anomalies`, `results`, `directory`, `page`, `seed`, `repeat` and `assert_valid()`.
    """
    from dissever.pytest_runs import RunPlan

    plan = RunPlan(request, dissever_repeat)
    yield plan
    plan.end()


@pytest.fixture
def cluster_factory(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    dissever_repeat: int,
) -> Iterator[Callable[..., StartedCluster]]:
    """
    Start clusters: `cluster_factory(nodes=3)`. Keywords are laid over the marker.

    They end with the test, the last one first, and every fault is healed before.
    """
    from dissever.pytest_runs import clusters

    with clusters(request, tmp_path_factory, dissever_repeat) as make:
        yield make


@pytest.fixture
def cluster(cluster_factory: Callable[..., StartedCluster]) -> StartedCluster:
    """
    The cluster that the marker describes, started: for tests that break it step by step.

    `cluster.nodes`, `cluster.client("n1")`, `with cluster.partition("n1"): …`, and so on for
    `kill`, `pause`, `latency`, and for any fault by its name: `cluster.fault("disk-slow", "n1")`.
    """
    return cluster_factory()
