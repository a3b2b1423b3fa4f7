"""The public API: its names, its page, and a test in three lines."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dissever
from dissever import faults, generators

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "api.md"

HISTORY = """\
{"process": 0, "type": "invoke", "f": "write", "value": 1, "time": 1}
{"process": 0, "type": "ok", "f": "write", "value": 1, "time": 2}
{"process": 1, "type": "invoke", "f": "read", "value": null, "time": 3}
{"process": 1, "type": "ok", "f": "read", "value": %s, "time": 4}
"""

NAMES = [
    "__version__", "run", "check", "Run", "NotValid", "CannotRun", "Options", "OnCrash",
    "start", "StartedCluster", "DidNotHold", "CannotStrike", "Verdict", "Results", "Result",
    "Anomaly", "Step", "Processes", "Compose", "Node", "Endpoint", "Program", "NotApplied",
    "Option", "Missing", "Backend", "System", "Deployment", "Ports", "Primaries", "Membership",
    "Members", "Role", "Upgrades", "Builds", "Snapshots", "Snapshot", "Replicas", "Digest",
    "Damaged", "Unseen", "NamesNodes", "OffersMethods", "Lacks", "Workload", "Client",
    "Invocation", "Completion", "Registers", "Elements", "History", "Event", "Operation",
    "Type", "Key", "Checker", "Budget", "RunChecker", "Remains", "Linearizable", "GrowOnlySet",
    "Model", "model", "REFUSED", "UNKNOWN", "Misfit", "Fault",
]  # fmt: skip
"""A name is added here on purpose: it is promised to users from then on."""


def page() -> str:
    """What docs/api.md must hold below its introduction: a table for each module."""
    modules: tuple[tuple[str, ModuleType], ...] = (
        ("dissever", dissever),
        ("dissever.generators", generators),
        ("dissever.faults", faults),
    )
    return "\n".join(section(name, module) for name, module in modules)


def section(name: str, module: ModuleType) -> str:
    rows = [f"| `{each}` | {summary(each, getattr(module, each))} |" for each in module.__all__]
    return "\n".join((f"## {name}", "", "| name | what it is |", "| --- | --- |", *rows, ""))


VALUES = {
    "__version__": "The version, such as `0.1.0`.",
    "Key": "The type of a key in a history.",
    "REFUSED": "What a model's method returns for an answer that cannot have been given.",
    "UNKNOWN": "What a model's method gets as the answer of an operation whose end nobody knows.",
    "Answer": "A step with the generator that goes on after it, or None: exhausted for good.",
    "NOTHING": "The generator that has no step.",
    "PENDING": "The step of a generator that has none now, and may have one later.",
    "Thread": "What plays processes: the number of a client's thread, or the name of a nemesis.",
    "Step": "What a generator gives: an invocation, a pause, a line for the log, or `PENDING`.",
}
"""What is no class and no function, so that it has no docstring."""


def summary(name: str, value: object) -> str:
    """The first sentence of its docstring."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return VALUES[name]
    text = inspect.getdoc(value) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def test_the_public_names_are_these() -> None:
    assert dissever.__all__ == NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_every_public_name_is_there() -> None:
    for module in (dissever, generators, faults):
        for name in module.__all__:
            assert getattr(module, name) is not None or name == "NOTHING"
    assert set(NAMES) <= set(dir(dissever))
    with pytest.raises(AttributeError, match="no attribute 'planning_of'"):
        _ = dissever.planning_of


def test_types_see_what_the_program_gets() -> None:
    tree = ast.parse(Path(dissever.__file__).read_text(encoding="utf-8"))
    seen = {
        (str(node.module).removeprefix("dissever."), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dissever.")
        for alias in node.names
    }

    got = {(module, name) for module, names in dissever._PLACES.items() for name in names}

    assert seen == got
    assert {name for _, name in got} == {*NAMES} - {"__version__"}


def test_every_public_class_and_function_has_a_docstring() -> None:
    bare = [
        name
        for module in (dissever, generators, faults)
        for name in module.__all__
        if inspect.isclass(value := getattr(module, name)) or inspect.isfunction(value)
        if not summary(name, value)
    ]

    assert bare == []


def test_the_page_lists_every_public_name() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text[text.index("## dissever\n") :] == page(), "run python tests/dissever/test_api.py"


def test_importing_it_imports_nothing_of_the_harness() -> None:
    code = "import sys, dissever; print([n for n in sys.modules if n.startswith('dissever.')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"


def test_three_lines_run_a_test(tmp_path: Path) -> None:
    script = (
        "from dissever import run\n\n"
        'assert run(system="simulated", workload="register", faults=["partition", "kill"],'
        " seed=7, time_limit=5).is_valid\n"
    )
    (tmp_path / "three.py").write_text(script, encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "three.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert (tmp_path / "runs" / "latest" / "results.json").is_file()


def test_options_say_the_same_as_arguments(tmp_path: Path) -> None:
    by_arguments = dissever.run(
        system="simulated", faults="kill,pause", seed=5, time_limit=6, nodes=3, runs=tmp_path
    )
    options = dissever.Options(
        system="simulated",
        workload="register",
        faults=("kill", "pause"),
        seed=5,
        time_limit_s=6,
        nodes=("n1", "n2", "n3"),
        concurrency=6,
        backend=dissever.Backend.SIMULATED,
    )
    by_options = dissever.run(options, runs=tmp_path)

    assert by_arguments.plan.options == by_options.plan.options
    assert by_arguments.repeat == by_options.repeat
    assert by_arguments.results.history_sha256 == by_options.results.history_sha256


def test_a_run_without_a_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a system or Options, got none"):
        dissever.run(runs=tmp_path)
    with pytest.raises(ValueError, match="expected a system out of"):
        dissever.run(system="simulatd", runs=tmp_path)


def test_a_class_of_a_script_is_repeated_by_its_file(tmp_path: Path) -> None:
    script = (
        "from dissever import run\n"
        "from dissever.systems.simulated import SimulatedSystem\n\n"
        "class Mine(SimulatedSystem):\n    name = 'mine'\n\n"
        "GUARD\nprint(run(system=Mine, seed=7, time_limit=2).repeat)\n"
    )
    for name, guard in (("good.py", "if __name__ == '__main__':"), ("bad.py", "if True:")):
        text = script.replace("GUARD\n", f"{guard}\n    ")
        (tmp_path / name).write_text(text, encoding="utf-8")

    printed = {
        name: subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for name in ("good.py", "bad.py")
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(sys, "path", [*sys.path])
        again = dissever.run(system="good.py:Mine", seed=7, time_limit=2)
        with pytest.raises(ValueError, match="a file runs a test while it is being loaded"):
            dissever.run(system="bad.py:Mine")

    line = f"cd {tmp_path} && dissever test good.py:Mine --workload register"
    assert printed["good.py"].startswith(line)
    assert printed["good.py"] == f"{again.repeat}\n"


@pytest.mark.parametrize(("answer", "verdict"), [("1", "VALID"), ("2", "INVALID")])
def test_a_file_and_its_events_are_judged_alike(tmp_path: Path, answer: str, verdict: str) -> None:
    file = tmp_path / "h.jsonl"
    file.write_text(HISTORY % answer, encoding="utf-8")
    write = ("write", 1)
    events = [
        dissever.Event(0, 1, 0, dissever.Type.INVOKE, *write),
        dissever.Event(1, 2, 0, dissever.Type.OK, *write),
        dissever.Event(2, 3, 1, dissever.Type.INVOKE, "read"),
        dissever.Event(3, 4, 1, dissever.Type.OK, "read", int(answer)),
    ]

    for history in (file, str(file), events, dissever.History(events)):
        found = dissever.check(history, "register")
        assert found.verdict is dissever.Verdict[verdict]


if __name__ == "__main__":
    introduction = PAGE.read_text(encoding="utf-8").partition("## dissever\n")[0]
    PAGE.write_text(introduction + page(), encoding="utf-8")
