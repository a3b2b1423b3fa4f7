"""Every format is recognised by its content and read whole, and every error names its place."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from dissever.harness.history import Event, History, MalformedHistory, Type
from dissever.harness.reader import Format, FormatError, read_history
from dissever.native.columns import NONE, TYPE_CODES, Columns

HISTORIES = Path(__file__).resolve().parents[2].parent / "shared" / "histories"

HISTORY = History(
    (
        Event(0, 10, 0, Type.INVOKE, "cas", [1, 2], key="x", node="n1"),
        Event(1, 20, "partition", Type.INVOKE, "start-partition", {"targets": ["n1"]}),
        Event(2, 20, "partition", Type.INFO, "start-partition", {"evidence": {"held": True}}),
        Event(
            3, 30, 0, Type.FAIL, "cas", [1, 2], key="x", node="n1", error=["BUSY", 'try "later"']
        ),
        Event(4, 40, 1, Type.INVOKE, "read", None, key="x"),
        Event(5, 50, 1, Type.OK, "read", 1.5, key="x"),
        Event(6, 60, "clock", Type.INFO, "bump", -0.5, key=7, node="n2", error=["no", {"b": 1}]),
    )
)

VALUES = [
    None,
    True,
    False,
    0,
    -7,
    2**62,
    2**63,
    -(2**63),
    10**40,
    0.0,
    0.1,
    -2.5e-7,
    1e300,
    5e-324,
    123456789.123456789,
    "",
    "plain",
    'a "b" \\ / \n\t\x7f é 😀 \u2028',
    [],
    [[], [1, [2, "x"]], None],
    {},
    {"b": 1, "a": {"c": [True, 1.5]}},
    [1, 2],
    ["r", 3, None],
]


def _random_history(rng: Random, operations: int) -> History:
    """Operations that overlap, of clients and of a nemesis, with every kind of value."""
    events: list[Event] = []
    open_events: dict[int, Event] = {}
    processes, time, fresh = list(range(4)), 0, 4
    while len(events) < 2 * operations:
        time += rng.randrange(3)
        slot = rng.randrange(5)
        if slot == 4:
            fault = Event(len(events), time, "kill", Type.INFO, "kill", {"at": [rng.random()]})
            events.append(fault)
            continue
        before = open_events.pop(slot, None)
        if before is None:
            f = rng.choice(["read", "write", "cas"])
            value = rng.choice(VALUES)
            key = rng.choice([None, 3, -(2**63), "k é"])
            node = rng.choice(["n1", "n2", None])
            asked = Event(
                len(events), time, processes[slot], Type.INVOKE, f, value, key=key, node=node
            )
            open_events[slot] = asked
            events.append(asked)
            continue
        kind = rng.choice([Type.OK, Type.OK, Type.FAIL, Type.INFO])
        is_echo = kind is Type.OK and before.f != "read"
        value = before.value if is_echo else rng.choice([before.value, rng.choice(VALUES)])
        error = None if kind is Type.OK else rng.choice([None, "late", ["BUSY", 'try "later"']])
        node = rng.choice([before.node, "n3"])
        events.append(
            Event(
                len(events), time, processes[slot], kind, before.f, value, before.key, node, error
            )
        )
        if kind is Type.INFO:
            processes[slot], fresh = fresh, fresh + 1
    return History(tuple(events))


def _to_json_lines(history: History) -> bytes:
    """One event a line, as the journal writes it."""
    return msgspec.json.Encoder().encode_lines(history.events)


def _to_json_array(history: History, indent: int | None, *, keyed: bool = False) -> bytes:
    events = msgspec.json.decode(msgspec.json.encode(history.events))
    for event in events:
        if keyed and isinstance(event["process"], int):
            event["value"] = [event.pop("key", None), event.get("value")]
    return json.dumps(events, indent=indent, ensure_ascii=False).encode()


def _to_edn(history: History, *, keyed: bool = False) -> bytes:
    """One map a line, as Jepsen writes it; keyed values are [key value]."""
    return "".join(_edn_map(event, keyed=keyed) + "\n" for event in history).encode()


def _edn_map(event: Event, *, keyed: bool) -> str:
    is_pair = keyed and event.is_client
    process = event.process if isinstance(event.process, int) else f":{event.process}"
    fields = {
        "index": event.index,
        "time": event.time,
        "value": [event.key, event.value] if is_pair else event.value,
        **({} if event.key is None or is_pair else {"key": event.key}),
        **({} if event.node is None else {"node": event.node}),
        **({} if event.error is None else {"error": event.error}),
    }
    pairs = [f":{name} {_edn(value)}" for name, value in fields.items()]
    names = f":process {process}, :type :{event.type}, :f :{event.f}"
    return "{" + ", ".join([names, *pairs]) + "}"


def _edn(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        pairs = (f":{key} {_edn(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return "[" + " ".join(map(_edn, value)) + "]" if isinstance(value, list) else repr(value)


def _decoded(columns: Columns) -> dict[str, list[Any]]:
    """Columns with values for ids: ids may differ where columns do not."""
    decoded: dict[str, list[Any]] = {name: list(getattr(columns, name)) for name in TYPE_CODES}
    for name in ("value_in", "value_out", "a", "b"):
        decoded[name] = [None if each == NONE else columns.values[each] for each in decoded[name]]
    decoded["key"] = [columns.keys[each] for each in decoded["key"]]
    decoded["f"] = [columns.fs[each] for each in decoded["f"]]
    return decoded


def _is_read_as(data: bytes, history: History, *, keyed: bool = False) -> None:
    """Whether all that a history answers is what one made of its events answers."""
    loaded = read_history(data, keyed=keyed).history

    assert len(loaded) == len(history)
    assert loaded.duration_ns == history.duration_ns
    assert loaded.keys == history.keys
    assert loaded.faults == history.faults
    assert loaded.operation(len(loaded.columns) - 1) == history.operations[-1]
    assert loaded.operations == history.operations
    assert loaded.events == history.events
    assert _decoded(loaded.columns) == _decoded(history.columns)
    assert loaded.chosen([0]) == history.chosen([0])
    parts, expected = loaded.by_key(), history.by_key()
    assert list(parts) == list(expected)
    for key, part in parts.items():
        assert part == expected[key]
        assert part.faults == ()
        assert part.keys == (key,)
        assert _decoded(part.columns) == _decoded(expected[key].columns)


@pytest.mark.parametrize("seed", range(20))
def test_json_lines_come_back_as_they_were(seed: int) -> None:
    history = _random_history(Random(seed), 100)

    _is_read_as(_to_json_lines(history), history)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("seed", range(5))
def test_a_json_array_comes_back_as_it_was(seed: int, indent: int | None, keyed: bool) -> None:
    history = _random_history(Random(seed), 100)

    _is_read_as(_to_json_array(history, indent, keyed=keyed), history, keyed=keyed)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_edn_comes_back_as_it_was(seed: int, keyed: bool) -> None:
    history = _random_history(Random(seed), 100)

    _is_read_as(_to_edn(history, keyed=keyed), history, keyed=keyed)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (_to_json_lines(HISTORY), Format.JSON_LINES),
        (_to_json_array(HISTORY, 1), Format.JSON_ARRAY),
        (_to_edn(HISTORY), Format.EDN),
    ],
)
def test_format_is_what_the_content_says(data: bytes, form: Format) -> None:
    loaded = read_history(data)

    assert loaded.history == HISTORY
    assert (loaded.format, loaded.notes, loaded.nodes) == (form, (), ("n1", "n2"))
    assert loaded.open_max == 1


def test_a_file_and_a_pipe_are_read_as_their_bytes(tmp_path: Path) -> None:
    data = _to_json_lines(HISTORY)
    file, pipe, empty = (tmp_path / name for name in ("file", "pipe", "empty"))
    file.write_bytes(data)
    empty.touch()
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()

    assert read_history(pipe).history == HISTORY
    writer.join()
    assert read_history(file).history == HISTORY
    assert len(read_history(empty).history) == 0


def test_fault_of_a_file_keeps_its_evidence_as_it_was_written() -> None:
    value = {"zeta": [1.50, -0.0, 10**30], "alpha": {"text": "é\u2028"}}
    line = {"index": 0, "time": 5, "process": "kill", "type": "info", "f": "kill", "value": value}

    (fault,) = read_history(json.dumps(line).encode()).history.faults

    assert json.dumps(fault.invocation.value) == json.dumps(value)


@pytest.mark.parametrize("value", ["[1 2]", "[1 2 3]", ":x"])
@pytest.mark.parametrize("order", [":process :nemesis, {}", "{}, :process :nemesis"])
def test_values_of_nemeses_are_never_pairs_of_key_and_value(value: str, order: str) -> None:
    fields = order.replace("{}", f":type :info, :f :kill, :value {value}")

    whole = read_history(f"{{{fields}}}".encode()).history
    keyed = read_history(f"{{{fields}}}".encode(), keyed=True).history

    assert keyed == whole


@pytest.mark.parametrize("value", ["[1, 2]", "[1, 2, 3]", '"x"'])
@pytest.mark.parametrize("order", ['"process": "net", {}', '{}, "process": "net"'])
def test_values_of_nemeses_in_json_are_never_pairs(value: str, order: str) -> None:
    fields = order.replace("{}", f'"type": "info", "f": "kill", "value": {value}')

    (event,) = read_history(f"[{{{fields}}}]".encode(), keyed=True).history

    assert event.value == json.loads(value)


PUBLISHED = {
    "porcupine/jepsen": (17_046, "cf70cbdc792143fe"),
    "porcupine/kv": (9_148, "31f3d221c369dfe5"),
    "knossos/cas-register": (22_081, "5944a0745f358ded"),
    "elle-cli": (2_544, "336bdd9167325fc4"),
}
"""How many events, and the start of the SHA-256 of their sorted JSON lines."""


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_histories_are_read_as_ever(folder: str) -> None:
    if not (HISTORIES / folder).is_dir():
        pytest.skip("no recorded histories next to the project")
    encoder = msgspec.json.Encoder(order="sorted")
    digest, count = hashlib.sha256(), 0
    for path in sorted((HISTORIES / folder).iterdir()):
        if path.name in ("verdicts.json", "list-append-gh-30.edn"):
            continue
        for event in read_history(path).history:
            digest.update(encoder.encode(event) + b"\n")
            count += 1

    assert (count, digest.hexdigest()[:16]) == PUBLISHED[folder]


def test_published_history_without_names_of_operations_is_one_of_transactions() -> None:
    path = HISTORIES / "elle-cli" / "list-append-gh-30.edn"
    if not path.is_file():
        pytest.skip("no recorded histories next to the project")

    assert {event.f for event in read_history(path).history} == {"txn"}


def test_last_line_that_is_cut_off_is_left_out_and_noted() -> None:
    data = _to_json_lines(HISTORY)[:-9]

    loaded = read_history(data)

    assert loaded.history.events == HISTORY.events[:-1]
    assert loaded.notes == ("line 7 is cut off and was left out",)


def test_fields_that_no_event_has_are_noted() -> None:
    line = b'{"index":%d,"time":0,"process":%d,"type":"invoke","f":"read","zone":[1],"host":null}\n'

    loaded = read_history(line % (0, 0) + (line % (1, 1)).replace(b',"host":null', b""))

    assert len(loaded.history) == 2
    assert loaded.notes == ("2 fields :zone were left out", "1 fields :host were left out")


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"read"}\n{"index":1,x\n', 2, 12),
        (b'[{"index":0,"process":0,"type":"invoke","f":"read"},\n {"index":0}]', 2, 2),
        (b"[{:process 0, :type :invoke, :f :read}", 1, 1),
        (b"INFO  jepsen.util - 0 :gone :read nil", 1, 24),
        (b"\xff\xfe", 1, 1),
    ],
)
def test_error_names_line_and_column(data: bytes, line: int, column: int) -> None:
    with pytest.raises(FormatError) as caught:
        read_history(data)

    assert (caught.value.line, caught.value.column) == (line, column)


def test_knossos_vector_gets_positions_as_times() -> None:
    loaded = read_history(b"""; a comment
        [{:process 4, :type :invoke, :f :write, :value 2}
         {:process 4, :type :ok, :f :write, :value 2, :link nil}]
    """)

    assert [(event.index, event.time) for event in loaded.history] == [(0, 0), (1, 1_000_000)]
    assert loaded.notes == (
        "1 fields :link were left out",
        "2 events have no time: each counts as 1 ms after the one before",
    )


def test_etcd_log_is_read_with_its_time_outs() -> None:
    loaded = read_history(
        b"INFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]\n"
        b"INFO  jepsen.util - 4   :info   :cas    :timed-out\n"
        b"INFO  jepsen.util - :nemesis   :info   :start    nil\n"
    )

    assert [(e.process, e.type, e.value, e.error) for e in loaded.history] == [
        (4, Type.INVOKE, [1, 2], None),
        (4, Type.INFO, None, "timed-out"),
        ("nemesis", Type.INFO, None, None),
    ]


def test_key_value_text_has_keys_beside_values() -> None:
    loaded = read_history(b'{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 3 y"}\n')

    event = loaded.history.events[0]
    assert (event.key, event.f, event.value) == ("7", "append", "x 0 3 y")


@pytest.mark.parametrize(
    ("steps", "index"),
    [
        ([(0, "invoke", "read"), (0, "invoke", "read")], 1),
        ([(0, "invoke", "read"), (1, "ok", "read")], 1),
        ([(0, "invoke", "read"), (0, "ok", "cas")], 1),
    ],
)
def test_what_no_run_can_have_is_refused_in_the_words_of_live_histories(
    steps: list[tuple[int, str, str]], index: int
) -> None:
    live = History(
        Event(at, at, process, Type(kind), f) for at, (process, kind, f) in enumerate(steps)
    )
    with pytest.raises(MalformedHistory) as expected:
        _ = live.operations

    with pytest.raises(MalformedHistory) as caught:
        read_history(_to_edn(live))

    assert (str(caught.value), caught.value.index) == (str(expected.value), index)


def test_empty_file_is_an_empty_history() -> None:
    loaded = read_history(b"\n")

    assert (len(loaded.history), loaded.notes) == (0, ("the file holds no events",))
