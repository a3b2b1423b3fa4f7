"""A model of one's own is one new file: the checker judges it, and uses what its family says."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.checkers import Linearizable, Model
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict

LAMPS = '''
"""A lamp: `toggle` switches it, `look` -> whether it is on."""

from dissever.checkers.linearizability.family import Family, Finding, Monitor, Parts
from dissever.checkers.linearizability.model import REFUSED, Misfit, Model


def _lamp(state, f, value_in, value_out):
    if f == "toggle":
        return not state
    if f == "look":
        return state if value_out == (bool, state) else REFUSED
    raise Misfit(f"a lamp has no {f!r}")


def _judge(calls, model):
    """A lamp that nobody toggles stays as it was."""
    if any(call.f != "look" for call in calls):
        return None
    wrong = [call for call in calls if call.value_out != (bool, model.initial)]
    if wrong:
        reason = "no operation ever toggled it"
        return Finding(None, "ghost", "untouched", reason, tuple(wrong[:1]), tuple(wrong[:1]))
    return Finding(tuple(range(len(calls))))


LAMPS = Family(
    monitor=Monitor("untouched", _judge, "no operation toggles it"),
    parts=Parts(
        needs=lambda call: ("light",), helps=lambda call: ("light",) if call.f == "toggle" else ()
    ),
)


def lamp(family=LAMPS):
    return Model("lamp", False, _lamp, reads=frozenset({"look"}), noun="lamp", family=family)


MODELS = (lamp(),)
'''

TOGGLED = "0 invoke toggle\n0 ok toggle\n1 invoke look\n1 ok look "
UNTOUCHED = "0 invoke look\n0 ok look False\n1 invoke look\n1 ok look "

Notation = Callable[[str], History]


@pytest.fixture
def lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The model of the file, which stands in a package that dissever knows nothing of."""
    package = tmp_path / "household"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lamps.py").write_text(LAMPS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (model,) = importlib.import_module("household.lamps").MODELS
    assert isinstance(model, Model)
    return model


@pytest.mark.parametrize(("answer", "verdict"), [(True, Verdict.VALID), (False, Verdict.INVALID)])
def test_new_model_is_searched(
    lamp: Model, history: Notation, answer: bool, verdict: Verdict
) -> None:
    result = Linearizable(lamp)(history(f"{TOGGLED}{answer}"), Budget())

    assert result.verdict is verdict
    assert list(result.details["engines"]) == ["depth"]
    assert all(each.confirmation.startswith("confirmed") for each in result.anomalies)


@pytest.mark.parametrize(("answer", "verdict"), [(False, Verdict.VALID), (True, Verdict.INVALID)])
def test_what_its_family_knows_is_used(
    lamp: Model, history: Notation, answer: bool, verdict: Verdict
) -> None:
    result = Linearizable(lamp)(history(f"{UNTOUCHED}{answer}"), Budget())

    assert result.verdict is verdict
    assert result.details["engines"] == {"untouched": 1}
    assert [each.name for each in result.anomalies] == ["ghost"] * (verdict is Verdict.INVALID)


def test_what_it_does_not_know_is_malformed(lamp: Model, history: Notation) -> None:
    result = Linearizable(lamp)(history("0 invoke smash\n0 ok smash"), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "a lamp has no 'smash'" in result.why
