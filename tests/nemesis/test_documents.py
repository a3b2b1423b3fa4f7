"""A plan is read with limits, and what is wrong with it is said with its line, all at once."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from dissever.nemesis import FAULTS, compile_script, read_script
from dissever.nemesis.parameters import Parameter
from dissever.nemesis.plans.document import CHARS_MAX, read_document

NODES = ("n1", "n2", "n3", "n4", "n5")

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    + ["faults: *a8"]
)


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match=r"expected|twice|fit") as refused:
        compile_script(read_script(text), nodes=NODES, seed=1, time_limit_s=30.0)
    told = str(refused.value)
    assert all(line.isprintable() and len(line) < 1000 for line in told.splitlines())
    for library in ("yaml", "msgspec", "`", "tag:", "mapping values", "while "):
        assert library not in told
    return told


def test_aliases_are_refused_before_they_are_followed() -> None:
    assert refusal(BOMB).startswith("line 2: expected the value itself, got the alias *a0")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: expected a mapping with faults, got an empty file"),
        ("# nothing\n", "line 1: expected a mapping with faults, got an empty file"),
        ("7", "line 1: expected a mapping with faults, got 7"),
        ("\nfaults:\n  - {fault: kill\n    at: 1\n", "line 4: expected YAML"),
        ("faults:\n\t- fault: kill", "line 2: expected YAML"),
        ("faults: []\nfaults: []", "line 2: 'faults' is there twice"),
        ("faults:\n- fault: kill\n  at: 1\n  for: 1\n  at: 2", "line 5: 'at' is there twice"),
        ("faults: !!python/object:os.system x", "line 1: expected a text, a number"),
        ("faults:\n- at: 2001-12-14", "line 2: expected a text, a number"),
        ("faults:\n- at: !!int x", "line 2: expected a value, got 'x'"),
        ("faults: \x07", "line 1: expected YAML"),
        ("faults:\n- fault: kill\n  [a]: 1", "line 3: expected a name before the colon"),
        ("faults: [{fault: kill, at: 1, for: 1}]\n---\nb: 1", "expected YAML"),
        ("[" * 500 + "]" * 500, "line 1: expected at most 16 levels, got more"),
        ("- x\n" * 60_000, "expected at most 50,000 values, got more"),
        ("#" * (CHARS_MAX + 1), "expected at most 1,048,576 characters, got 1,048,577"),
        ("budget: -1\nfaults: [{fault: kill, at: 1, for: 1}]", "line 1: expected budget as a"),
        ("budget: true\nfaults: [{fault: kill, at: 1, for: 1}]", "line 1: expected budget as a"),
        ("faults: kill", "line 1: expected a list of faults, got 'kill'"),
        ("faults:\n- fault: kill\n  at: .nan\n  for: 1", "line 3: expected at from 0 to 86400"),
        ("faults:\n- fault: kill\n  at: 1\n  for: .inf", "line 4: expected for of more than 0"),
        ("faults:\n- fault: kill\n  at: true\n  for: 1", "line 3: expected at from 0 to 86400"),
        ("faults:\n- fault: kill\n  at: 1\n  for: 0", "line 4: expected for of more than 0"),
        ("faults:\n- fault: 7\n  at: 1\n  for: 1", "line 2: expected fault as the name of a fault"),
        ("faults:\n- fault: kill\n  at: 1\n  for: 1\n  nodes: n1", "line 5: expected nodes as a"),
        ("faults:\n- fault: kill\n  at: 1\n  for: 1\n  nodes: [1]", "line 5: expected nodes as a"),
        ("faults:\n- fault: kill\n  at: 1\n  for: 1\n  with: 3", "line 5: expected with as a map"),
        (
            "faults:\n- fault: partition\n  at: 1\n  for: 1\n  with: {grudge: {n1: [[n2]]}}",
            "line 5 (partition): expected grudge",
        ),
        ('faults: [{fault: "a\\e[2Jb", at: 1, for: 1}]', "line 1"),
        (f"faults: [{{fault: {'x' * 5000}, at: 1, for: 1}}]", "line 1"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_with_its_line(text: str, told: str) -> None:
    assert told in refusal(text)


def test_all_errors_of_all_faults_are_shown_at_once_each_with_its_own_line() -> None:
    told = refusal(
        """faults:
- fault: disk-slow
  at: 1
  until: dawn
  with:
    ms: -1
    speed: 3
- fault: kill
  nodes: [n9]
  at: 1
  for: 60
  with:
    count: 99
    seed: 1.5
"""
    )

    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "line 4 (disk-slow)",
        "line 6 (disk-slow)",
        "line 7 (disk-slow)",
        "line 9 (kill)",
        "line 10 (kill)",
        "line 13 (kill)",
        "line 14 (kill)",
    ]


def test_values_have_the_lines_of_the_file() -> None:
    root = read_document("\n# a comment\na: 1\nb:\n  - x\n\n  - c: true\n")

    assert root.plain == {"a": 1, "b": ["x", {"c": True}]}
    assert [each.line for each in root.value["b"].value] == [5, 7]
    assert root.value["b"].value[1].value["c"].line == 7


WRONG: tuple[Any, ...] = (math.nan, math.inf, -math.inf, True, False, None, "x", "", [], {}, 1e400)
PARAMETERS = [(name, each) for name, fault in FAULTS.items() for each in fault.parameters]


@pytest.mark.parametrize(
    ("name", "parameter"), PARAMETERS, ids=[f"{name}-{each.name}" for name, each in PARAMETERS]
)
def test_every_parameter_refuses_what_is_out_of_its_range(name: str, parameter: Parameter) -> None:
    numbers = (-(10**30), 10**30, -1e30, 1e30, 0.5, -1)
    refused = [value for value in (*WRONG, *numbers) if not parameter.is_valid(value)]

    assert {math.inf, -math.inf, -(10**30), 10**30} <= {
        value for value in refused if type(value) in (int, float)
    }
    assert len(refused) >= 10
    for value in refused:
        text = json.dumps(
            {"faults": [{"fault": name, "at": 1, "for": 1, "with": {parameter.name: value}}]}
        )
        for word in ("NaN", "-Infinity", "Infinity"):
            text = text.replace(word, {"N": ".nan", "-": "-.inf", "I": ".inf"}[word[0]])
        told = refusal(text)

        assert f"expected {parameter.name}" in told
        assert f"line 1 ({name})" in told
        assert "got" in told


@pytest.mark.parametrize("value", [0, -1, 6, 99, True, 1.5, "2", [1]])
def test_every_fault_refuses_a_count_that_cannot_be(value: Any) -> None:
    for name in FAULTS:
        text = json.dumps(
            {"faults": [{"fault": name, "at": 1, "for": 1, "with": {"count": value}}]}
        )

        assert "expected count as a whole number from 1 to 5, got" in refusal(text)
