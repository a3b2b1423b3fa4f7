"""docs/pytest.md and docs/configuration.md, as a reader follows them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dissever import pytest_runs
from dissever.commands.test import test as command

pytest_plugins = ("pytester",)

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> Iterator[tuple[str, str]]:
    """File name and text of the blocks of one language."""
    for kind, name, text in BLOCK.findall((DOCS / page).read_text()):
        if kind == language:
            yield name, text


def test_tests_of_the_page_about_pytest_pass(pytester: pytest.Pytester) -> None:
    assert pytest_runs.OPTIONS
    files = dict(blocks("pytest.md", "python"))
    for name, text in files.items():
        pytester.path.joinpath(name).write_text(text)
    ran = pytester.runpytest("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

    assert len(files) == 2
    ran.assert_outcomes(passed=sum(text.count("\ndef test_") for text in files.values()))


def test_keywords_of_the_marker_on_the_page_are_options() -> None:
    page = (DOCS / "pytest.md").read_text()
    table = page.partition("## The marker")[2].partition("\nPaths")[0]
    named = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    words = {word for row in named for word in re.findall(r"`(\w+)`", row)}

    assert words <= {name.replace("-", "_") for name in command.keys.names} | {"options", "profile"}


def test_commands_of_the_page_about_configuration_work(
    dissever: Callable, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((name, text),) = blocks("configuration.md", "toml")
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(text for _, text in blocks("configuration.md", "sh")).splitlines()
    statuses = [dissever(*shlex.split(line)[1:]).status for line in lines]
    nightly = dissever("test", "--profile", "nightly", "--json", "--quiet")

    assert statuses == [0] * 3
    assert nightly.status == 1
    assert [run["seed"] for run in json.loads(nightly.stdout)["runs"]] == [1, 2]
