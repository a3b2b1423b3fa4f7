"""The examples of docs/plugins.md: each is written to its file, found, and run."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dissever as public
from dissever import inventory, planning, registries
from dissever.harness.client import Invocation, NotApplied
from dissever.workloads import lacking
from dissever.workloads.method_client import MethodClient

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"

EXAMPLES = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)

LEASE = (
    ("invoke", "acquire", "a"), ("ok", "acquire", "a"),
    ("invoke", "holder", None),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are, each in the file that it names."""
    folder = tmp_path_factory.mktemp("examples")
    for name, text in EXAMPLES.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("mykv.py", "systems"),
        ("one.py", "workloads"),
        ("counter.py", "workloads"),
        ("mine.py", "checkers"),
        ("lease.py", "models"),
        ("slow.py", "faults"),
    ],
)
def test_each_example_is_found_as_what_it_is(file: str, kind: str) -> None:
    kinds = registries.EVERY_KIND
    others = [other for other in kinds if other != kind]

    assert kinds[kind].find(file)
    for other in others:
        with pytest.raises(ValueError, match="found none"):
            kinds[other].find(file)


def test_a_file_is_listed_with_all_that_is_in_it(folder: Path) -> None:
    names = ("one", "counter", "slow", "lease")
    together = "\n".join(f"from {name} import *" for name in names)
    (folder / "together.py").write_text(f"{together}\nTWICE = SLOW\n", encoding="utf-8")

    found = inventory.what_is("together.py")

    assert [each.name for each in found.workloads] == ["together.py:ONE", "together.py:COUNTER"]
    assert [each.name for each in found.faults] == ["together.py"]
    assert (found.systems, found.models, found.checkers) == ((), (), ())  # Only imported classes.
    assert [each.name for each in inventory.what_is("lease.py").models] == ["lease.py"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("kil", "got 'kil'; did you mean kill?"),
        ("gone.py", "expected a Python file, found none at gone.py"),
        ("empty.py", "empty.py: expected a system, workload, fault, checker or model, found none"),
        ("no.such:X", "no.such:X: expected an importable module, found no no"),
    ],
)
def test_what_is_nothing_is_said_in_one_line(folder: Path, reference: str, message: str) -> None:
    (folder / "empty.py").touch()

    with pytest.raises(ValueError, match=re.escape(message)):
        inventory.what_is(reference)


def test_the_workload_the_fault_and_the_checker_run(tmp_path: Path) -> None:
    arguments: Any = {
        "system": "simulated",
        "workload": "one.py",
        "faults": ["slow.py:minority", "partition"],
        "checkers": ["mine.py"],
        "time_limit": 12,
        "seed": 3,
        "runs": tmp_path,
    }

    run = public.run(**arguments)
    stale = public.run(**arguments, system_options={"bug": "stale-read"})

    assert run.is_valid, run.explanation
    assert {"mine.py", "linearizable"} <= {each.checker for each in run.results.results}
    assert run.plan.scheduled is not None
    assert "slow.py" in run.plan.scheduled
    assert stale.verdict is public.Verdict.INVALID


@pytest.mark.parametrize(("holder", "verdict"), [("a", "VALID"), ("b", "INVALID")])
def test_the_model_judges(tmp_path: Path, holder: str, verdict: str) -> None:
    lines = [
        json.dumps({"process": 0, "type": kind, "f": f, "value": value})
        for kind, f, value in (*LEASE, ("ok", "holder", holder))
    ]
    (tmp_path / "lease.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    results = public.check(tmp_path / "lease.jsonl", "lease.py:LeaseLock")

    assert results.verdict is public.Verdict[verdict]


def test_the_counter_adds_up_on_a_system_that_runs(tmp_path: Path) -> None:
    """On the simulated store, whose clients get the two methods that the workload calls."""
    values: dict[int, int] = {}

    class Counters:
        def __init__(self, store: Any) -> None:
            self._store = store

        async def add(self, key: int, number: int) -> None:
            await self._store.read(key)
            values[key] = values.get(key, 0) + number

        async def read(self, key: int) -> int:
            await self._store.read(key)
            return values.get(key, 0)

        async def close(self) -> None:
            await self._store.close()

    counter = registries.WORKLOADS.find("counter.py")
    workload = replace(
        counter, store="registers", client=lambda store: MethodClient(Counters(store))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registries.WORKLOADS.own, "counter", workload)
        run = public.run(system="simulated", workload="counter", time_limit=3, runs=tmp_path)

    assert run.is_valid, run.explanation
    assert len(run.judged.history.keys) == 3


def test_a_workload_without_a_checker_is_never_valid(tmp_path: Path) -> None:
    workload = replace(registries.WORKLOADS.find("one.py"), checkers=lambda _: {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registries.WORKLOADS.own, "unchecked", workload)
        alone = public.run(system="simulated", workload="unchecked", time_limit=2, runs=tmp_path)
        judged = public.run(
            system="simulated", workload="unchecked", checkers=["mine.py"], time_limit=2,
            runs=tmp_path,
        )  # fmt: skip

    assert alone.verdict is public.Verdict.UNKNOWN
    assert "run: the workload unchecked has no checker" in alone.results.why
    assert judged.is_valid, judged.explanation


def test_a_checker_of_a_workload_hides_none_of_ours(tmp_path: Path) -> None:
    def wrong(history: Any, budget: Any) -> Any:
        return public.Result(checker="stats", verdict=public.Verdict.INVALID, why="wrong")

    workload = replace(registries.WORKLOADS.find("one.py"), checkers=lambda _: {"stats": wrong})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registries.WORKLOADS.own, "hiding", workload)
        run = public.run(system="simulated", workload="hiding", time_limit=2, runs=tmp_path)

    assert run.verdict is public.Verdict.INVALID
    assert [each.checker for each in run.results.results].count("stats") == 2


def test_a_system_with_the_methods_of_a_workload_serves_it() -> None:
    system: Any = registries.SYSTEMS.find("mykv.py")
    counter = registries.WORKLOADS.find("counter.py")
    options = public.Options(system="mykv.py", workload="counter.py")

    assert lacking(system, counter) == ()
    assert planning.checked(options, system).workload_options == {"keys": 3}
    with pytest.raises(ValueError, match="register asks for the store registers"):
        planning.checked(public.Options(system="mykv.py", workload="register"), system)
    other = registries.SYSTEMS.find("simulated")
    options = public.Options(
        system="simulated", workload="counter.py", backend=public.Backend.SIMULATED
    )
    with pytest.raises(ValueError, match=r"counter\.py calls add, read of its clients"):
        planning.checked(options, other)


class Store:
    """Says how it was called."""

    async def compare_and_set(self, *given: Any) -> Any:
        return given

    async def quiet(self) -> None:
        pass

    async def refuses(self) -> None:
        raise NotApplied("no", 7)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("invocation", "answer"),
    [
        (Invocation("compare-and-set", [1, 2], key=5), ("ok", (5, [1, 2]))),
        (Invocation("compare_and_set", 3), ("ok", (3,))),
        (Invocation("quiet"), ("ok", None)),
        (Invocation("refuses"), ("fail", None)),
    ],
)
def test_an_operation_is_the_method_of_its_name(
    invocation: Invocation, answer: tuple[str, Any], drive: Callable[[Any], Any]
) -> None:
    done = drive(MethodClient(Store()).invoke(invocation))

    assert (done.type.value, done.value) == answer
    assert done.error == ([7, "no"] if answer[0] == "fail" else None)


@pytest.fixture
def drive() -> Callable[[Any], Any]:
    """Run a coroutine that never waits."""

    def drive(work: Any) -> Any:
        with pytest.raises(StopIteration) as ended:
            work.send(None)
        return ended.value.value

    return drive


def test_the_examples_import_only_what_is_public(folder: Path) -> None:
    nodes = (node for file in folder.glob("*.py") for node in ast.walk(ast.parse(file.read_text())))
    names = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}

    ours = {name for name in names if name.startswith("dissever")}
    assert ours == {"dissever", "dissever.generators", "dissever.faults"}
