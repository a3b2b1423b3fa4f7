"""The operations of a page: the same from objects as from columns, and packed without a loss."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.json import encode

from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.reader import read_history
from dissever.reports.drawn import OUTCOMES, Drawn, drawn
from dissever.reports.labels import answered, asked, error_text
from dissever.reports.lanes import assign_lanes
from dissever.reports.packing import packed
from dissever.reports.payload import weigh
from tests.reports.unpacked import unpacked

VALUES = (
    *(None, 0, 1, 7, 999_999_999, 1_000_000_000, 10**30, -1, -40),
    *(
        "",
        "7",
        "07",
        "٣",
        "→ 5",
        "→",
        "</script>",
        "a b",
        "\u2028",
        "é",
        True,
        1.5,
        [1, 2],
        {"a": 1},
    ),
)


def random_history(seed: int, *, count: int = 400, workers: int = 7) -> History:
    """Operations of every kind and end, on a few keys, with values of every kind."""
    rng = Random(seed)
    events: list[dict[str, Any]] = []
    for worker in range(workers):
        process, now = worker, rng.randrange(50_000)
        for _ in range(count // workers):
            f = rng.choice(("read", "write", "cas", "txn"))
            value = None if f == "read" else rng.choice(VALUES)
            if f == "txn":
                value = [["r", 1, None], ["append", 2, rng.randrange(9)]]
            shared = {"process": process, "f": f, "key": rng.choice((None, 1, 2, "k"))}
            shared["node"] = rng.choice((None, "n1", "n2"))
            events.append({**shared, "time": now, "type": Type.INVOKE, "value": value})
            now += rng.choice((0, 700, 3_000, 90_000_000, 5_000_000_000))
            kind = rng.choice((Type.OK, Type.OK, Type.FAIL, Type.INFO, None))
            if kind is None:
                process += workers
                continue
            answer = value if kind is not Type.OK or f in ("write", "cas") else rng.choice(VALUES)
            if f == "txn" and kind is Type.OK:
                answer = [["r", 1, [4, 5]], value[1]]
            error = None if kind is Type.OK else rng.choice((None, ["timeout", "1 s"], "cut"))
            events.append({**shared, "time": now, "type": kind, "value": answer, "error": error})
            if kind is Type.INFO:
                process += workers
            now += rng.randrange(5_000)
    events.sort(key=lambda event: event["time"])
    return History(Event(index=3 * i, **event) for i, event in enumerate(events))


def from_file(history: History) -> History:
    """The same history, read from the lines that it would be written as."""
    return read_history(b"\n".join(encode(event) for event in history)).history


def words(operations: Drawn, lanes: Any = None) -> list[dict[str, Any]]:
    """Each operation as the script understands it: a row of what stands in the page."""
    lanes = lanes or assign_lanes(operations, workers=7)
    data = unpacked(packed({}, operations, lanes.of))["operations"]
    columns, tables = data["columns"], data["tables"]
    for name in ("f", "key", "node", "error"):
        columns[name] = [tables[name][number] for number in columns[name]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def expected(operation: Operation, end_us: int) -> dict[str, Any]:
    """The same row, from the words of the reports."""
    invocation, completion = operation.invocation, operation.completion
    start_us = invocation.time // 1000
    return {
        "index": invocation.index,
        "done": completion.index - invocation.index if completion else 0,
        "start": start_us,
        "took": (completion.time // 1000 if completion else end_us) - start_us,
        "type": OUTCOMES.index(operation.type),
        "process": invocation.process,
        "f": invocation.f,
        "key": invocation.key,
        "node": invocation.node or "",
        "error": error_text(completion.error if completion else None),
        "asked": asked(operation),
        "answered": answered(operation),
    }


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("is_read", [False, True], ids=["of events", "of a file"])
def test_page_holds_every_operation_in_its_words(seed: int, is_read: bool) -> None:
    history = random_history(seed)
    history = from_file(history) if is_read else history
    rows = words(drawn(history))

    wanted = [expected(each, history.duration_ns // 1000) for each in history.operations]
    assert [{name: row[name] for name in wanted[0]} for row in rows] == wanted


def test_empty_history_is_packed() -> None:
    assert words(drawn(History())) == []
    assert words(drawn(from_file(History()))) == []


def test_operations_of_a_file_are_drawn_without_an_object_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = from_file(random_history(1))
    usual = len(history.columns) - len(history.details.completions)  # type: ignore[union-attr]
    made: list[int] = []
    operation = History.operation
    monkeypatch.setattr(
        History, "operation", lambda self, at: [made.append(at), operation(self, at)][1]
    )
    drawn(history)

    assert usual > 50
    assert len(made) <= len(history.columns) - usual + len(history.details.invocations)  # type: ignore[union-attr]


def test_thinned_operations_keep_their_words_and_say_for_how_many_they_stand() -> None:
    operations = drawn(random_history(3))
    lanes = assign_lanes(operations, workers=7)
    weights = weigh(operations, frozenset({operations.index[5]}), 60)
    thinned = operations.weighed(weights)
    kept = [place for place, weight in enumerate(weights) if weight]
    some = type(lanes)([lanes.of[place] for place in kept], lanes.count, lanes.rule)
    whole, rows = words(operations, lanes), words(thinned, some)

    assert 40 < len(rows) < 100
    assert [row.pop("weight") for row in rows] == [weights[place] for place in kept]
    assert rows == [whole[place] for place in kept]
    assert len(thinned.tables.text) < len(operations.tables.text)


def test_no_bytes_of_a_system_can_end_the_element() -> None:
    history = History(
        (Event(0, 0, 0, Type.INVOKE, "</script>", "</script><!--", "</script>", "<b>"),)
    )
    operations = drawn(history)

    assert "<" not in packed({"kinds": ["</script>"]}, operations, [0])
    assert words(operations)[0]["asked"] == "</script><!--"
