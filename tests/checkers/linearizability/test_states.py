"""States that are made up while the search runs: no table could hold them."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from dissever.checkers import Linearizable, Model
from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.model import Misfit
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.states import LazyTable, States, states_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine, LazyProblem, Status, search

ENGINES = [engine for engine in Engine if engine is not Engine.WGL]


def _one_at_a_time(asked: list[tuple[str, object, object]]) -> History:
    events: list[Event] = []
    for f, value, answer in asked:
        events.append(Event(len(events), len(events), 0, Type.INVOKE, f, value))
        events.append(Event(len(events), len(events), 0, Type.OK, f, answer))
    return History(tuple(events))


def _adds(n: int) -> list[tuple[str, object, object]]:
    asked: list[tuple[str, object, object]] = []
    for i in range(n):
        asked += [("add", i, i), ("read", None, list(range(i + 1)))]
    return asked


def _values(n: int) -> list[tuple[str, object, object]]:
    puts: list[tuple[str, object, object]] = [("enqueue", i, i) for i in range(n)]
    return puts + [("dequeue", None, i) for i in range(n)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [60, 300])
def test_set_with_many_elements_is_searched(engine: Engine, n: int) -> None:
    # An element added twice is none of the monitor's business.
    asked = [*_adds(n), ("add", 0, 0)]

    right = Linearizable(MODELS["set"], engine=engine)(_one_at_a_time(asked), Budget())
    asked[-2] = ("read", None, list(range(n - 1)))
    wrong = Linearizable(MODELS["set"], engine=engine)(_one_at_a_time(asked), Budget())

    assert (right.verdict, wrong.verdict) == (Verdict.VALID, Verdict.INVALID)
    assert right.details["configurations"] <= 4 * n


@pytest.mark.parametrize("engine", ENGINES)
def test_queue_with_many_values_is_searched(engine: Engine) -> None:
    asked = _values(50)

    right = Linearizable(MODELS["queue"], engine=engine)(_one_at_a_time(asked), Budget())
    asked[60], asked[61] = asked[61], asked[60]
    wrong = Linearizable(MODELS["queue"], engine=engine)(_one_at_a_time(asked), Budget())

    assert (right.verdict, wrong.verdict) == (Verdict.VALID, Verdict.INVALID)


def test_states_as_they_come_and_a_whole_table_agree() -> None:
    rng, model = Random("lazy"), MODELS["semaphore"]
    invalid = 0
    for _ in range(2_000):
        history = _random_semaphore(rng)
        kept = calls(history.operations, model.reads)
        table = states_of(model, kept, 1 << 20)
        lazy = LazyProblem(
            *(table.problem(kept).inv, table.problem(kept).ret, table.problem(kept).transition),
            pure=bytes(len(table.transitions)),
            step=partial(_step, table),
        )
        found = {
            search(each, configurations_max=100_000, bytes_max=1 << 24, engine=engine).status
            for each in (lazy, table.problem(kept))
            for engine in Engine
        }

        assert not isinstance(table, LazyTable)
        assert len(found) == 1, history
        invalid += found == {Status.INVALID}
    assert 0.05 < invalid / 2_000 < 0.6


def _step(table: States, state: int, transition: int) -> int:
    return table.after(state, list(table.transitions)[transition])


def _random_semaphore(rng: Random) -> History:
    events: list[Event] = []
    pending: list[int] = []
    process, left = 0, rng.randrange(1, 9)
    asked = {}
    while left or pending:
        if left and (not pending or rng.random() < 0.5):
            asked[process] = rng.choice(("acquire", "acquire", "release")), rng.choice((1, 1, 2))
            events.append(Event(len(events), len(events), process, Type.INVOKE, *asked[process]))
            pending.append(process)
            process, left = process + 1, left - 1
            continue
        who = pending.pop(rng.randrange(len(pending)))
        kind = Type.INFO if rng.random() < 0.2 else Type.OK
        events.append(Event(len(events), len(events), who, kind, *asked[who]))
    return History(tuple(events))


def test_what_a_step_raises_ends_the_search() -> None:
    def step(state: int, transition: int) -> int:
        raise KeyError(transition)

    for engine in Engine:
        with pytest.raises(KeyError):
            search(
                LazyProblem([0], [1], [0], bytes(1), step),
                configurations_max=10,
                bytes_max=1 << 20,
                engine=engine,
            )


def test_misfit_in_a_later_state_is_malformed() -> None:
    def step(state: object, f: str, value_in: object, value_out: object) -> int:
        assert isinstance(state, int)
        if state > 2:
            raise Misfit("not more than two")
        return state + 1

    model = Model("counts to two", 0, step, reads=frozenset(), is_endless=True)

    result = Linearizable(model)(_one_at_a_time([("go", 1, 1)] * 5), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert result.why == "1 object of 1: malformed: not more than two"
