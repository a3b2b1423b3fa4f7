"""docs/tutorial.md, carried out word for word; only the package comes from this installation."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dissever import Node, Processes

TREE = Path(__file__).parents[2]
TUTORIAL = TREE / "docs" / "tutorial.md"
EXAMPLE = TREE / "examples" / "mykv"

PIP = """
import pathlib, re, sys, sysconfig
ours, scripts = map(pathlib.Path, sys.argv[1:3])
theirs = pathlib.Path(sysconfig.get_path("scripts"))
line = f"import site; site.addsitedir({str(ours)!r})"
(pathlib.Path(sysconfig.get_path("purelib")) / "_installed.pth").write_text(line)
for name in ("dissever", "pytest"):
    text = (scripts / name).read_text()
    (theirs / name).write_text(re.sub(r"\\A#!.*", f"#!{sys.executable}", text))
    (theirs / name).chmod(0o755)
"""
"""In a reader's environment: what is installed in ours can be used as if pip had installed it."""


def _prelude() -> str:
    ours = [sysconfig.get_path("purelib"), sysconfig.get_path("scripts")]
    return f"""
python3() {{ {shlex.quote(getattr(sys, "_base_executable", sys.executable))} "$@"; }}
pip() {{ python -c {shlex.quote(PIP)} {shlex.join(ours)}; }}
"""


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_tutorial_does_what_it_says(walkthrough: ModuleType, tmp_path: Path) -> None:
    printed = walkthrough.walk(TUTORIAL, tmp_path, _prelude())

    assert "2 passed" in printed
    for path in EXAMPLE.rglob("*"):
        name = path.relative_to(EXAMPLE)
        if path.is_file() and (tmp_path / "mykv" / name).exists():
            assert (tmp_path / "mykv" / name).read_text() == path.read_text(), name


HASTY = """
import itertools, sys
from dissever.cli import main
from dissever.commands import shrink
from dissever.shrinking.shrink import Clock, Deadline
calls = itertools.count(1)
def check(clock):
    if next(calls) > 12:
        raise Deadline("enough")
Clock.check = check
main(sys.argv[1:])
"""
"""dissever, with a search of a few attempts."""


@pytest.mark.timeout(300)
def test_second_half_of_the_tutorial_does_what_it_says(
    walkthrough: ModuleType, tmp_path: Path
) -> None:
    page = TREE / "docs" / "simulated.md"
    section = page.read_text(encoding="utf-8").partition("## Find, replay, shrink, read\n")[2]
    (tmp_path / page.name).write_text(section.partition("\n## ")[0], encoding="utf-8")
    prelude = f"""
dissever() {{
    case $1 in
        doom) set -- "$@" --continuations 1 --moments 2 --jobs 1 ;;
        shrink) set -- "$@" --jobs 1 ;;
        explore) set -- "$@" --seeds 1 --time-limit 3 --jobs 1 ;;
    esac
    {shlex.quote(sys.executable)} -c {shlex.quote(HASTY)} "$@" || [ "$1 $?" = "shrink 1" ]
}}
"""
    printed = walkthrough.walk(tmp_path / page.name, tmp_path, prelude)

    assert "1 of 1 seeds tried" in printed
    assert (tmp_path / "runs/latest/doom.json").exists() or list(tmp_path.rglob("doom.json"))


@pytest.mark.cluster
def test_system_that_is_a_class_runs(walkthrough: ModuleType, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "server.py", tmp_path)
    walkthrough.walk(
        TREE / "docs" / "doors.md",
        tmp_path,
        f'dissever() {{ {shlex.quote(sys.executable)} -m dissever "$@"; }}\n',
    )

    assert json.loads((tmp_path / "runs/latest/results.json").read_text())["verdict"] == "valid"


def test_files_of_the_tutorial_are_those_of_the_example(walkthrough: ModuleType) -> None:
    found = {}
    for block in walkthrough.blocks(TUTORIAL.read_text(encoding="utf-8")):
        if block.language == "diff":
            found[block.words] = walkthrough.changed(found[block.words], block.text)
        elif block.language not in ("sh", "text"):
            found[block.words] = block.text

    assert len(found) == 7
    assert found == {name: (EXAMPLE / name).read_text(encoding="utf-8") for name in found}


def test_a_change_whose_old_lines_are_not_there_is_refused(walkthrough: ModuleType) -> None:
    changed = walkthrough.changed

    assert changed("a\nb\nc\n", "@@\n a\n-b\n+B\n@@\n c\n+d\n") == "a\nB\nc\nd\n"
    with pytest.raises(ValueError, match="found 0 times"):
        changed("a\nb\n", "@@\n a\n-c\n")
    with pytest.raises(ValueError, match="found 2 times"):
        changed("a\na\n", "@@\n-a\n")


def test_printed_lines_are_expected_in_order(walkthrough: ModuleType) -> None:
    lacking = walkthrough.lacking
    printed = "one\ntwo  three\nfour\n"

    assert lacking("one\n…\nfour\n", printed) is None
    assert lacking("two …\n", printed) is None
    assert lacking("four\none\n", printed) == "one"
    assert lacking("thr…\n", printed) == "thr…"


def test_workflow_of_the_example_uses_inputs_that_the_action_has() -> None:
    workflow, action = (
        yaml.load((TREE / name).read_text(encoding="utf-8"), yaml.BaseLoader)
        for name in ("examples/mykv/.github/workflows/dissever.yml", "action.yml")
    )
    (used,) = (
        step for step in workflow["jobs"]["consistency"]["steps"] if "dissever" in step["uses"]
    )
    profiles = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["tool"]["dissever"]

    assert used["with"].keys() <= action["inputs"].keys()
    assert all(name in used["with"]["profile"] for name in profiles["profiles"])


def test_page_of_doors_has_every_attribute_hook_and_fact_of_processes() -> None:
    page = (TREE / "docs" / "doors.md").read_text(encoding="utf-8")
    node = Node(
        name="n1",
        index=1,
        addresses={"n1": "10.0.0.1"},
        data="data",
        folder=TREE,
        here=TREE,
        python="python3",
        peer="",
        options={},
    )
    with pytest.raises(ValueError, match="out of") as refused:
        node.fill("{nothing}")
    facts = re.findall(r"\w+", str(refused.value).partition("out of ")[2].partition(", got")[0])
    attributes = set(Processes.__annotations__) - {"stores", "backends"}

    assert "peers" in facts
    assert [fact for fact in facts if f"`{{{fact}}}`" not in page] == []
    assert [name for name in attributes if f"| `{name}` |" not in page] == ["description"]
    hooks = ("prepare", "form", "not_ready", "check", "voters")
    assert [name for name in hooks if f" {name}(self" not in page.replace("`", " ")] == []
