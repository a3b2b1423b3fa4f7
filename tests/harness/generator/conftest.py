"""Generators played without a run; times in ns, every operation takes 10 by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from dissever.harness.generator.simulate import Complete, context, perfect, simulate
from dissever.harness.history import Type

Taken: TypeAlias = "list[tuple[int, int | str, str]]"
Simulate: TypeAlias = "Callable[..., Taken]"


@pytest.fixture
def invoked() -> Simulate:
    """The invocations of a generator: time, process, f."""

    def invoked(
        source: Any, *threads: Any, complete: Complete = perfect, limit: int = 200
    ) -> Taken:
        concurrency, *nemeses = threads or (2,)
        events = simulate(source, context(concurrency, *nemeses), complete, limit=limit)
        return [(e.time, e.process, e.f) for e in events if e.type is Type.INVOKE]

    return invoked


@pytest.fixture
def taken() -> Simulate:
    """All events of a generator: time, process, type and f in one text."""

    def taken(source: Any, *threads: Any, complete: Complete = perfect, limit: int = 200) -> Taken:
        concurrency, *nemeses = threads or (2,)
        events = simulate(source, context(concurrency, *nemeses), complete, limit=limit)
        return [(e.time, e.process, f"{e.type} {e.f}") for e in events]

    return taken
