"""For each anomaly the smallest history that shows it, and its nearest innocent twin."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, REGISTER, SET, TEXT, Linearizable, Model
from dissever.checkers.linearizability.model import REFUSED, After
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict, Wrong
from dissever.native import Engine

Notation = Callable[[str], History]

GUILTY = {
    "stale-read": (
        """
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        0 ok     write 2
        1 invoke read
        1 ok     read  1
    """,
        (0, 1, 2, 3, 4, 5),
    ),
    "lost-write": (
        """
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        0 ok     write 2
        1 invoke read
        1 ok     read  1
        1 invoke read
        1 ok     read  1
    """,
        (0, 1, 2, 3, 4, 5),
    ),
    "phantom": (
        """
        0 invoke write 1
        0 ok     write 1
        1 invoke read
        1 ok     read  7
    """,
        (2, 3),
    ),
    "aborted-read": (
        """
        0 invoke write 1
        0 fail   write 1
        1 invoke read
        1 ok     read  1
    """,
        (0, 1, 2, 3),
    ),
    "future-read": (
        """
        1 invoke read
        1 ok     read  1
        0 invoke write 1
        0 ok     write 1
    """,
        (0, 1, 2, 3),
    ),
    "lost-update": (
        """
        0 invoke write 1
        0 ok     write 1
        1 invoke cas   [1, 2]
        2 invoke cas   [1, 3]
        1 ok     cas   [1, 2]
        2 ok     cas   [1, 3]
    """,
        (0, 1, 2, 3, 4, 5),
    ),
    "nonlinearizable": (
        """
        0 invoke write 1
        1 invoke write 2
        2 invoke read
        2 ok     read  1
        2 invoke read
        2 ok     read  2
        2 invoke read
        2 ok     read  1
    """,
        (6, 7),
    ),
}

INNOCENT = {
    "stale-read": """
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        1 invoke read
        0 ok     write 2
        1 ok     read  1
    """,
    "lost-write": """
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        0 info   write 2
        1 invoke read
        1 ok     read  1
        1 invoke read
        1 ok     read  1
    """,
    "phantom": """
        0 invoke write 1
        0 ok     write 1
        2 invoke write 7
        1 invoke read
        1 ok     read  7
    """,
    "aborted-read": """
        0 invoke write 1
        0 info   write 1
        1 invoke read
        1 ok     read  1
    """,
    "future-read": """
        1 invoke read
        0 invoke write 1
        1 ok     read  1
        0 ok     write 1
    """,
    "lost-update": """
        0 invoke write 1
        0 ok     write 1
        1 invoke cas   [1, 2]
        2 invoke cas   [2, 3]
        1 ok     cas   [1, 2]
        2 ok     cas   [2, 3]
    """,
    "nonlinearizable": """
        0 invoke write 1
        1 invoke write 2
        3 invoke write 1
        2 invoke read
        2 ok     read  1
        2 invoke read
        2 ok     read  2
        2 invoke read
        2 ok     read  1
    """,
}


@pytest.mark.parametrize("name", GUILTY)
def test_smallest_history_shows_the_anomaly(history: Notation, name: str) -> None:
    text, indices = GUILTY[name]

    result = Linearizable(CAS_REGISTER)(history(text), Budget())

    assert result.verdict is Verdict.INVALID
    assert [(each.name, each.indices) for each in result.anomalies] == [(name, indices)]
    assert set(indices) <= set(result.anomalies[0].context)
    assert result.details["invalid_keys"]["-"]["confirmed"]


def test_old_answers_while_others_go_on_are_stale_and_nothing_is_lost(history: Notation) -> None:
    """A deposed leader may answer many reads with the past; nobody need have read each value."""
    result = Linearizable(CAS_REGISTER)(
        history("""
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        0 ok     write 2
        0 invoke write 3
        0 ok     write 3
        1 invoke read
        1 ok     read  1
        1 invoke read
        1 ok     read  1
        2 invoke read
        2 ok     read  3
    """),
        Budget(),
    )

    assert [each.name for each in result.anomalies] == ["stale-read"]


def test_acknowledged_swap_of_an_older_value_proves_that_a_write_is_lost(
    history: Notation,
) -> None:
    result = Linearizable(CAS_REGISTER)(
        history("""
        0 invoke write 1
        0 ok     write 1
        0 invoke write 2
        0 ok     write 2
        1 invoke read
        1 ok     read  1
        1 invoke cas   [1, 3]
        1 ok     cas   [1, 3]
    """),
        Budget(),
    )

    assert [each.name for each in result.anomalies] == ["lost-write"]


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("name", INNOCENT)
def test_nearest_twin_is_innocent(history: Notation, name: str, engine: Engine) -> None:
    checker = Linearizable(CAS_REGISTER, engine=engine)

    assert checker(history(INNOCENT[name]), Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("model", "text", "verdict"),
    [
        (REGISTER, "0 invoke read\n0 ok read None", Verdict.VALID),
        (REGISTER, "0 invoke read\n0 ok read 0", Verdict.INVALID),
        (REGISTER, "0 invoke write 1\n0 ok write 1\n0 invoke read\n0 ok read 1.0", Verdict.INVALID),
        (
            REGISTER,
            "0 invoke write 1\n0 ok write 1\n0 invoke read\n0 ok read True",
            Verdict.INVALID,
        ),
        (MUTEX, "0 invoke acquire\n0 ok acquire\n1 invoke acquire\n1 ok acquire", Verdict.INVALID),
        (
            MUTEX,
            """
        0 invoke acquire
        0 ok     acquire
        0 invoke release
        1 invoke acquire
        1 ok     acquire
     """,
            Verdict.VALID,
        ),
        (SET, "0 invoke add 1\n0 ok add 1\n0 invoke read\n0 ok read []", Verdict.INVALID),
        (SET, "0 invoke add 1\n1 invoke read\n1 ok read []\n0 ok add 1", Verdict.VALID),
        (TEXT, "0 invoke append 'a'\n0 ok append 'a'\n0 invoke get\n0 ok get 'a'", Verdict.VALID),
        (TEXT, "0 invoke append 'a'\n0 ok append 'a'\n0 invoke get\n0 ok get ''", Verdict.INVALID),
    ],
)
def test_models_accept_and_refuse(
    history: Notation, model: Model, text: str, verdict: Verdict
) -> None:
    assert Linearizable(model)(history(text), Budget()).verdict is verdict


def test_events_of_one_time_are_concurrent(history: Notation) -> None:
    text = """
        @0 0 invoke write 1
        @1 0 ok     write 1
        @{} 1 invoke read
        @3 1 ok     read  None
    """

    assert Linearizable(REGISTER)(history(text.format(1)), Budget()).verdict is Verdict.VALID
    assert Linearizable(REGISTER)(history(text.format(2)), Budget()).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("reads", "verdict"),
    [
        (("None", "None"), Verdict.VALID),
        (("None", "1"), Verdict.VALID),
        (("1", "None"), Verdict.INVALID),
    ],
)
def test_crashed_write_may_happen_late_or_never(
    history: Notation, reads: tuple[str, str], verdict: Verdict
) -> None:
    text = f"""
        0 invoke write 1
        0 info   write 1
        1 invoke read
        1 ok     read  {reads[0]}
        1 invoke read
        1 ok     read  {reads[1]}
    """

    assert Linearizable(REGISTER)(history(text), Budget()).verdict is verdict


def test_keys_are_independent_and_each_is_reported(history: Notation) -> None:
    result = Linearizable(REGISTER)(
        history("""
        0 invoke x/write 1
        0 ok     x/write 1
        0 invoke y/read
        0 ok     y/read  1
        0 invoke z/read
        0 ok     z/read  None
    """),
        Budget(),
    )

    assert result.verdict is Verdict.INVALID
    assert [(each.key, each.name) for each in result.anomalies] == [("y", "phantom")]
    assert (result.details["valid"], result.details["invalid"]) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "0 invoke read\n0 invoke read",
        "0 ok read 1",
        "0 invoke cas 5\n0 ok cas 5",
        "0 invoke dance\n0 ok dance",
    ],
)
def test_malformed_history_is_unknown(history: Notation, text: str) -> None:
    result = Linearizable(CAS_REGISTER)(history(text), Budget())

    assert result.verdict is Verdict.UNKNOWN
    assert "malformed: event" in result.why


def test_empty_history_is_unknown(history: Notation) -> None:
    assert Linearizable(REGISTER)(history(""), Budget()).verdict is Verdict.UNKNOWN


def test_needless_reads_are_dropped_from_the_context(history: Notation) -> None:
    reads = "2 invoke read\n2 ok read 1\n" * 20
    result = Linearizable(REGISTER)(
        history(f"""
        0 invoke write 1
        0 ok     write 1
        {reads}
        0 invoke write 2
        0 ok     write 2
        1 invoke read
        1 ok     read  1
        1 invoke read
        1 ok     read  2
    """),
        Budget(),
    )

    assert result.anomalies[0].context == (0, 1, 42, 43, 44, 45)


def test_steps_are_plain_sentences(history: Notation) -> None:
    result = Linearizable(REGISTER)(history(GUILTY["stale-read"][0]), Budget())

    assert [step.text for step in result.anomalies[0].steps] == [
        "process 0 asked to write 1 at 0.000 s; that was acknowledged at 0.001 s",
        "process 0 asked to write 2 at 0.002 s; that was acknowledged at 0.003 s",
        "process 1 asked to read at 0.004 s; the answer at 0.005 s was 1, but process 0's write of "
        "2, acknowledged at 0.003 s, had overwritten that value",
    ]


def test_wrong_answer_is_a_fact_with_what_contradicts_it(history: Notation) -> None:
    (anomaly,) = Linearizable(REGISTER)(history(GUILTY["stale-read"][0]), Budget()).anomalies

    assert (anomaly.wrong, anomaly.wrong_count) == ((Wrong(answer=4, value="1", against=2),), 1)


def test_possible_states_include_crashed_writes(history: Notation) -> None:
    result = Linearizable(REGISTER)(
        history("""
        0 invoke write 1
        0 ok     write 1
        1 invoke write 2
        1 info   write 2
        2 invoke read
        2 ok     read 9
    """),
        Budget(),
    )

    assert result.details["invalid_keys"]["-"]["states"] == ["1", "2"]


@pytest.mark.parametrize("engine", [Engine.SCHEDULE, Engine.DEPTH])
def test_hundreds_of_open_operations_are_decided(history: Notation, engine: Engine) -> None:
    writes = "\n".join(f"{i} invoke write {i}" for i in range(1, 301))
    done = "\n".join(f"{i} ok write {i}" for i in range(1, 301))
    text = f"{writes}\n0 invoke read\n0 ok read 150\n{done}\n0 invoke read\n0 ok read 300"

    assert Linearizable(REGISTER, engine=engine)(history(text), Budget()).verdict is Verdict.VALID


def _hard(key: str, *, last: int = 0) -> str:
    """
    Forty open writes, one of them seen, and then the value of before: all subsets are tried.

    Args:
        last: What one more write sets: 0 is set twice then, so that blocks do not apply.
    """
    opened = "\n".join(f"{i} invoke {key}/write {i}" for i in range(40))
    return f"""
        90 invoke {key}/write 100
        90 ok     {key}/write 100
        {opened}
        91 invoke {key}/write {last}
        90 invoke {key}/read
        90 ok     {key}/read 5
        90 invoke {key}/read
        90 ok     {key}/read 100
    """ + "\n".join(f"{i} ok {key}/write {i}" for i in range(40))


def test_key_past_the_budget_leaves_the_others_decided(history: Notation) -> None:
    easy = "\n90 invoke y/write 1\n90 ok y/write 1\n90 invoke y/read\n90 ok y/read 1"
    easy += "\n90 invoke z/read\n90 ok z/read None"
    budget = Budget(configurations=30_000)

    result = Linearizable(REGISTER)(history(_hard("x") + easy), budget)

    assert result.verdict is Verdict.UNKNOWN
    assert "budget: no more configurations" in result.why
    assert (result.details["valid"], list(result.details["unknown_keys"])) == (2, ["x"])
    assert result.details["configurations"] <= budget.configurations


def test_memory_is_bounded(history: Notation) -> None:
    budget = Budget(memory_bytes=1 << 20)

    result = Linearizable(REGISTER)(history(_hard("x")), budget)

    assert result.verdict is Verdict.UNKNOWN
    assert "budget: no more memory" in result.why
    assert result.details["peak_bytes"] <= budget.memory_bytes


def test_values_set_once_need_no_budget(history: Notation) -> None:
    result = Linearizable(REGISTER)(history(_hard("x", last=41)), Budget(configurations=100))

    assert result.verdict is Verdict.INVALID
    assert [each.name for each in result.anomalies] == ["nonlinearizable"]
    assert result.details["configurations"] <= 100


def test_too_many_states_are_unknown(history: Notation) -> None:
    adds = "\n".join(f"{i} invoke add {i}\n{i} ok add {i}" for i in range(100))
    text = f"{adds}\n99 invoke read\n99 ok read {list(range(100))}"

    result = Linearizable(SET, engine=Engine.DEPTH)(history(text), Budget(memory_bytes=100_000))

    assert result.verdict is Verdict.UNKNOWN
    assert "states" in result.why


def test_value_nobody_wrote_is_invalid_even_past_the_budget(history: Notation) -> None:
    text = _hard("x") + "\n90 invoke x/read\n90 ok x/read 777"

    result = Linearizable(REGISTER)(history(text), Budget(configurations=10))

    assert [each.name for each in result.anomalies] == ["phantom"]


def test_what_was_judged_before_an_interruption_stays(history: Notation) -> None:
    def step(state: Hashable, f: str, value_in: Hashable, value_out: Hashable) -> After:
        if value_in == "ctrl-c":
            raise KeyboardInterrupt
        return state if value_in == value_out else REFUSED

    told = Linearizable(Model("echo", None, step))(
        history("""
        0 invoke a/say 1
        0 ok     a/say 1
        0 invoke b/say "ctrl-c"
        0 ok     b/say "ctrl-c"
        0 invoke c/say 1
        0 ok     c/say 2
    """),
        Budget(),
    )

    assert (told.verdict, told.details["valid"]) == (Verdict.UNKNOWN, 1)
    assert told.details["unknown_keys"] == {
        "b": "interrupted: stopped while it was judged",
        "c": "interrupted: stopped before it was judged",
    }


@pytest.mark.parametrize("model", [REGISTER, MUTEX])
def test_every_key_that_is_invalid_has_its_anomaly(history: Notation, model: Model) -> None:
    text = {
        REGISTER: "0 invoke {k}/read\n0 ok {k}/read 1",
        MUTEX: "0 invoke {k}/acquire\n0 ok {k}/acquire\n1 invoke {k}/acquire\n1 ok {k}/acquire",
    }[model]

    both = history("\n".join(text.format(k=key) for key in "ab"))

    found = Linearizable(model)(both, Budget())

    assert [anomaly.key for anomaly in found.anomalies] == ["a", "b"]
