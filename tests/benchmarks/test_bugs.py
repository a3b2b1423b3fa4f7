"""The table of the store's bugs: a run that fails in several ways is shrunk until one is small."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "bugs.py"
RUN = {"run": "runs/bugs/x/seed-1", "signature": "set/lost"}


def load() -> Any:
    spec = importlib.util.spec_from_file_location("bugs_page", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = load()


def found(signature: str, faults: int, operations: int | None = 1) -> dict[str, Any]:
    size = {"faults": faults, "nodes": 3, "clients": 1, "operations": operations}
    return {"signature": signature, "after": size}


def shrunk(monkeypatch: pytest.MonkeyPatch, *ways: dict[str, Any]) -> tuple[str, list[str]]:
    """The signature that is kept, and those that were tried."""
    by_name = {way["signature"]: way for way in ways}
    tried: list[str] = []

    def one(finding: Any, signature: str, limit_s: float, jobs: int) -> Any:
        tried.append(signature)
        return by_name[signature]

    monkeypatch.setattr(PAGE, "_signatures", lambda *_: tuple(by_name))
    monkeypatch.setattr(PAGE, "_shrunk", one)
    return PAGE.STEPS["shrink"]("x", RUN, 1.0, 1)["signature"], tried


def test_failure_that_became_small_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, tried = shrunk(monkeypatch, found("set/lost", 3), found("liveness/diverged", 1))

    assert kept == "set/lost"
    assert tried == ["set/lost"]


def test_another_failure_of_the_run_is_shrunk_where_the_first_stays_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, tried = shrunk(monkeypatch, found("set/lost", 4), found("liveness/diverged", 1))

    assert kept == "liveness/diverged"
    assert tried == ["set/lost", "liveness/diverged"]


def test_the_smallest_is_kept_where_none_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, _ = shrunk(
        monkeypatch,
        found("set/lost", 5),
        {"signature": "a/b", "after": None},
        found("liveness/diverged", 4, operations=None),
    )

    assert kept == "liveness/diverged"


def test_drawn_operations_are_not_small() -> None:
    assert PAGE.is_small(found("a/b", 3, operations=10))
    assert not PAGE.is_small(found("a/b", 3, operations=11))
    assert not PAGE.is_small(found("a/b", 1, operations=None))
    assert not PAGE.is_small({"after": None})
