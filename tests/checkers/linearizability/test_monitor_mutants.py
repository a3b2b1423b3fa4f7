"""
Monitors in Python broken on purpose: random histories must tell each from the sound one.

A mutant is a text that stands once in a source, and another in its place. It is caught when what it
says differs from the search, when its order or its evidence does not hold, or when it raises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from dissever.checkers import linearizability
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.certificate import flaw
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.refutation import witness_flaw
from dissever.checkers.linearizability.states import states_of
from dissever.harness.history import History
from dissever.native import Engine, Status, search

FOLDER = Path(linearizability.__file__).parent
CASES = 1_500


@dataclass(frozen=True)
class Monitor:
    """Where a monitor is, the function that judges, and what it judges."""

    file: str
    judge: str
    model: str


COUNTER = Monitor("monitors/counter.py", "judge", "counter")
SET = Monitor("monitors/grow_only.py", "judge_set", "set")
LOG = Monitor("monitors/grow_only.py", "judge_log", "log")
ELEMENTS = Monitor("monitors/elements.py", "judge", "removable-set")

MUTANTS: dict[str, tuple[Monitor, str, str]] = {
    "an add may count before it was asked": (
        COUNTER,
        "done_up.before(call.inv) + asked_down.before(call.ret)",
        "done_up.before(call.inv) + asked_down.before(call.inv)",
    ),
    "what is asked while it reads cannot count": (
        COUNTER,
        "most = asked_up.before(call.ret)",
        "most = asked_up.before(call.inv)",
    ),
    "an answer between two levels": (
        COUNTER,
        "-1 if held % amount else held // amount",
        "held // amount",
    ),
    "an answer below all": (COUNTER, "if levels and levels[0] < 0:", "if False:"),
    "reads in any order": (
        COUNTER,
        "if any(before > after for before, after in zip(latest, least[1:], strict=False)):",
        "if False:",
    ),
    "an add between two equal answers": (
        COUNTER,
        "if first > 0 and add.ret < latest[first - 1]:",
        "if False:",
    ),
    "adds past their deadline": (COUNTER, "if ready and ready[0][0] < latest[gap]:", "if False:"),
    "adds by invocation instead of deadline": (
        COUNTER,
        "heappush(ready, (add.ret, add.inv, add))",
        "heappush(ready, (add.inv, add.ret, add))",
    ),
    "adds after the last read are forgotten": (
        COUNTER,
        "rest = [*(add for _, _, add in ready), *fits[-1]]",
        "rest = fits[-1]",
    ),
    "sets that are not one a part of the other": (SET, "if not small <= large:", "if False:"),
    "sets in no order": (SET, "held = sorted(answered, key=len)", "held = list(answered)"),
    "elements after the read that holds them": (
        SET,
        "groups += [Group(news, reads[0]), Group(tuple(reads), reads[0])]",
        "groups += [Group(tuple(reads), reads[0]), Group(news, reads[0])]",
    ),
    "an element nobody read is forgotten": (
        SET,
        "if element not in used and not call.is_crashed",
        "if False",
    ),
    "the first invocation counts, not the last": (
        SET,
        "if latest is None or call.inv > latest[0].inv:",
        "if latest is None or call.inv < latest[0].inv:",
    ),
    "the last return counts, not the first": (
        SET,
        "if first is None or call.ret < first.ret:",
        "if first is None or call.ret > first.ret:",
    ),
    "what began before had ended before": (
        SET,
        "and first.ret < before[0].inv:",
        "and first.inv < before[0].inv:",
    ),
    "evidence without who added": (
        SET,
        '        for element in entries(call.value_out) if call.f == "read" else ():',
        "        for element in ():",
    ),
    "logs that grow apart": (LOG, "if whole[: len(found)] != found:", "if False:"),
    "an entry that is read twice": (
        LOG,
        "if longest is not None and is_repeating(longest.value_out):",
        "if False:",
    ),
    "reads of an empty log stand nowhere": (LOG, "if 0 in answered else []", "if False else []"),
    "an entry nobody read may be lost": (
        LOG,
        "return [*groups, history.last(set(whole))]",
        "return groups",
    ),
    "an element that is in cannot be added": (
        ELEMENTS,
        "_NEXT: Final = (1, 0, -1, 0, 1, 0, 1, -1)",
        "_NEXT: Final = (1, 0, -1, 0, -1, 0, 1, -1)",
    ),
    "an element that is out cannot be removed": (
        ELEMENTS,
        "_NEXT: Final = (1, 0, -1, 0, 1, 0, 1, -1)",
        "_NEXT: Final = (1, -1, -1, 0, 1, 0, 1, -1)",
    ),
    "an element that is out may be found": (
        ELEMENTS,
        "_NEXT: Final = (1, 0, -1, 0, 1, 0, 1, -1)",
        "_NEXT: Final = (1, 0, 0, 0, 1, 0, 1, -1)",
    ),
    "every element is in at first": (ELEMENTS, "element in model.initial)", "True)"),
    "elements are merged by their own invocations": (
        ELEMENTS,
        "latest = max(latest, mine[each].inv)",
        "latest = mine[each].inv",
    ),
    "evidence without what had not returned": (
        ELEMENTS,
        "part = [call for call in mine if call.inv < failing.ret]",
        "part = [call for call in mine if call.ret <= failing.inv or call is failing]",
    ),
}
"""Name -> monitor, what stands there, and what is wrong instead."""

SELDOM = {
    "counter": """
        0 invoke add 2
        1 invoke read
        1 ok     read 2
        2 invoke add 2
        2 ok     add 2
        3 invoke add 2
        3 ok     add 2
        1 invoke read
        1 ok     read 4
    """,
    "log": """
        0 invoke append 1
        0 ok     append 1
        1 invoke read
        1 ok     read [1, 1]
    """,
}
"""By model a history that chance hardly draws."""

Case = tuple[History, Sequence[Call], Status]


def _status(name: str, kept: Sequence[Call]) -> Status:
    table = states_of(MODELS[name], kept, 1 << 26)
    limits = {"configurations_max": 1_000_000, "bytes_max": 1 << 26}
    return search(table.problem(kept), engine=Engine.BREADTH, **limits).status


@pytest.fixture(scope="session")
def cases(
    simulated: Callable[..., History], history: Callable[[str], History]
) -> Callable[[str], list[Case]]:
    """From the name of a model to histories, with what the search says of each."""

    def draw(name: str, rng: Random) -> History:
        if name == "counter" and rng.random() < 0.7:
            name = "counter of equal adds"
        return simulated(name, rng, operations_max=14, wrong=0.3)

    @cache
    def drawn(name: str) -> list[Case]:
        rng = Random(f"mutants {name}")
        histories = [history(SELDOM[name])] if name in SELDOM else []
        histories += [draw(name, rng) for _ in range(CASES)]
        kept = [calls(each.operations, MODELS[name].reads) for each in histories]
        return [
            (each, some, _status(name, some)) for each, some in zip(histories, kept, strict=True)
        ]

    return drawn


def _broken(monitor: Monitor, sound: str, broken: str, patch: pytest.MonkeyPatch) -> Any:
    text = (FOLDER / monitor.file).read_text(encoding="utf-8")
    assert text.count(sound) == 1
    module = ModuleType("mutant")
    patch.setitem(sys.modules, "mutant", module)  # Dataclasses look for their module.
    exec(compile(text.replace(sound, broken), monitor.file, "exec"), module.__dict__)
    return getattr(module, monitor.judge)


def _mistake(monitor: Monitor, judge: Any, case: Case) -> str | None:
    """What is wrong with what a monitor says of a history; None where it is right or silent."""
    history, kept, expected = case
    model = MODELS[monitor.model]
    finding = judge(kept, model)
    if finding is None:
        return None
    is_valid = finding.order is not None
    if expected is not (Status.VALID if is_valid else Status.INVALID):
        return f"valid: {is_valid}, and the search says {expected}"
    if is_valid:
        order = [kept[i].operation.invocation.index for i in finding.order]
        return flaw(model, history.operations, order)
    return witness_flaw(model, kept, finding.part) if finding.part else None


@pytest.mark.parametrize("monitor", dict.fromkeys(each[0] for each in MUTANTS.values()), ids=str)
def test_the_sound_one_makes_no_mistake(
    monitor: Monitor, cases: Callable[[str], list[Case]], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = _broken(monitor, '"""\n\nfrom', '"""\n\nfrom', monkeypatch)

    drawn = cases(monitor.model)

    assert not any(_mistake(monitor, judge, case) for case in drawn)
    assert 0.05 < sum(case[2] is Status.INVALID for case in drawn) / len(drawn) < 0.7


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(
    name: str, cases: Callable[[str], list[Case]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor, sound, broken = MUTANTS[name]
    judge = _broken(monitor, sound, broken, monkeypatch)

    def is_caught(case: Case) -> bool:
        try:
            return _mistake(monitor, judge, case) is not None
        except (ArithmeticError, AssertionError, LookupError, StopIteration):
            return True

    assert any(is_caught(case) for case in cases(monitor.model))
