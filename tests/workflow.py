"""
Just enough of GitHub Actions to execute the steps of a composite action here.

Steps with `run` are executed with bash as a runner does; those with `uses` are kept in a list.
Expressions have names with dots, texts in quotes, `==`, `!=`, `&&`, `||`, `always()` and `format`.
Source: GitHub Docs, "Metadata syntax", "Evaluate expressions", "Workflow commands".
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
TOKEN = re.compile(r"\s*(==|!=|&&|\|\||[(),]|'(?:[^']|'')*'|[\w.-]+)")


def load(path: Path) -> dict[str, Any]:
    """A YAML file of GitHub's."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Any]:
    """YAML in which every value is a text, so that `on` is a key and no boolean."""
    loaded = yaml.load(text, yaml.BaseLoader)
    assert isinstance(loaded, dict)
    return loaded


def steps_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps of a workflow or of a composite action."""
    yield from document.get("runs", {}).get("steps", ())
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", ())


def expressions(value: Any) -> Iterator[str]:
    """What stands inside of `${{ }}`, and in `if`, anywhere in a document."""
    if isinstance(value, str):
        yield from EXPRESSION.findall(value)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from (each,) if key == "if" and isinstance(each, str) else expressions(each)


@dataclass
class Ran:
    """What became of an action."""

    failed: list[str] = field(default_factory=list)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


def run_action(
    path: Path,
    folder: Path,
    environment: Mapping[str, str],
    replaced: Mapping[str, str] | None = None,
    **inputs: str,
) -> Ran:
    """
    Execute the steps of a composite action in a folder, as a job would.

    Args:
        inputs: As in `with`, an underscore for each dash.
        replaced: Texts of the scripts that are put in place of others, such as paths of /proc.
    """
    action = load(path)
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() <= action["inputs"].keys()
    names = {
        **{f"inputs.{name}": each.get("default", "") for name, each in action["inputs"].items()},
        **{f"inputs.{name}": value for name, value in given.items()},
        "github.action_path": str(path.parent),
        "github.job": "job",
        "strategy.job-index": "0",
        "runner.os": "Linux",
    }
    ran = Ran()
    for number, step in enumerate(action["runs"]["steps"]):
        condition = step.get("if", "")
        if ran.failed and "always()" not in condition:
            continue
        if condition and not evaluate(condition, names):
            continue
        if "uses" in step:
            given = {name: filled(value, names) for name, value in step.get("with", {}).items()}
            ran.used.append((step["uses"], given))
            continue
        assert step["shell"] == "bash"
        script, output, summary = (folder / f"{number}.{end}" for end in ("sh", "output", "md"))
        text = step["run"]
        for old, new in (replaced or {}).items():
            text = text.replace(old, new)
        script.write_text(text, encoding="utf-8")
        output.touch()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")},
                **environment,
                "GITHUB_ACTIONS": "true",
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_TEMP": str(folder),
                **{name: filled(value, names) for name, value in step.get("env", {}).items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        ran.log += done.stdout
        if summary.exists():
            ran.summary += summary.read_text(encoding="utf-8")
        if done.returncode:
            ran.failed.append(f"{step.get('name', number)}: {done.returncode}")
        for line in output.read_text(encoding="utf-8").splitlines():
            name, value = line.split("=", 1)
            names[f"steps.{step['id']}.outputs.{name}"] = value
    ran.outputs = {
        name: filled(each["value"], names) for name, each in action.get("outputs", {}).items()
    }
    return ran


def filled(text: str, names: Mapping[str, str]) -> str:
    """A text with its expressions replaced by their values; a name that there is not is empty."""
    return EXPRESSION.sub(lambda found: str(evaluate(found[1], names)), text)


def evaluate(expression: str, names: Mapping[str, str]) -> str | bool:
    """The value of an expression."""
    tokens = [found[1] for found in TOKEN.finditer(expression)]
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression)
    return _Reader(tokens, names).either()


class _Reader:
    """Reads tokens from the left: || binds weakest, then &&, then == and !=."""

    def __init__(self, tokens: list[str], names: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._names = names

    def either(self) -> str | bool:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> str | bool:
        value = self.compared()
        while self._take("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> str | bool:
        value = self.single()
        if self._take("=="):
            return value == self.single()
        if self._take("!="):
            return value != self.single()
        return value

    def single(self) -> str | bool:
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if not self._take("("):
            return self._names.get(token, "")
        arguments: list[str | bool] = []
        while not self._take(")"):
            arguments.append(self.either())
            self._take(",")
        if token == "always":
            return True
        assert token == "format"
        return str(arguments[0]).format(*arguments[1:])

    def _take(self, token: str) -> bool:
        is_next = self._tokens[:1] == [token]
        if is_next:
            self._tokens.pop(0)
        return is_next
