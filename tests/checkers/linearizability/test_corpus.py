"""
Recorded histories with published verdicts: etcd and a key-value store from Porcupine's tests, and
cas-registers from Knossos'. They are looked for beside the checkout.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dissever.checkers import CAS_REGISTER, TEXT, Linearizable
from dissever.harness.reader import read_history
from dissever.harness.results import Budget
from tests.checkers.settled import settled

ROOT = Path(__file__).resolve().parents[3].parent / "shared" / "histories"


def _verdicts(source: str) -> dict[str, str]:
    path = ROOT / source / "verdicts.json"
    if not path.is_file():
        pytest.skip("no recorded histories in ../shared/histories")
    verdicts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return verdicts


@pytest.mark.parametrize("source", ["porcupine", "knossos"])
def test_recorded_histories_get_their_published_verdicts(source: str) -> None:
    expected = _verdicts(source)
    found = {}
    for name in expected:
        loaded = read_history(ROOT / source / name)
        model = TEXT if name.startswith("kv/") else CAS_REGISTER
        # In two of them nothing succeeded, which is published as valid.
        found[name] = settled(Linearizable(model)(loaded.history, Budget())).word

    assert found == expected


def test_every_key_of_the_recorded_stores_is_decided() -> None:
    names = [name for name in _verdicts("porcupine") if name.startswith("kv/")]
    for name in names:
        loaded = read_history(ROOT / "porcupine" / name)

        assert Linearizable(TEXT)(loaded.history, Budget()).details["unknown"] == 0
