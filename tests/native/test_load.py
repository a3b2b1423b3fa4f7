"""Files into columns: as the reader of histories reads them, and with errors that name a place."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.harness.columns import columns_of, history_of
from dissever.harness.formats import parse_history, to_edn, to_json_lines
from dissever.harness.history import Event, History, Type
from dissever.native.columns import NONE, TYPE_CODES, Columns
from dissever.native.load import LoadError, load

HISTORIES = Path(__file__).resolve().parents[2].parent / "shared" / "histories"

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
        value = rng.choice([before.value, rng.choice(VALUES)])
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


def _decoded(columns: Columns) -> dict[str, list[Any]]:
    """Columns with values for ids: ids may differ where columns do not."""
    decoded: dict[str, list[Any]] = {name: list(getattr(columns, name)) for name in TYPE_CODES}
    for name in ("value_in", "value_out", "a", "b"):
        decoded[name] = [None if each == NONE else columns.values[each] for each in decoded[name]]
    decoded["key"] = [columns.keys[each] for each in decoded["key"]]
    decoded["f"] = [columns.fs[each] for each in decoded["f"]]
    return decoded


def _is_same_as_read(data: bytes, *, keyed: bool = False) -> None:
    loaded = load(data, keyed=keyed)
    read = parse_history(data, keyed=keyed)

    assert _decoded(loaded.columns) == _decoded(columns_of(read.history))
    assert history_of(loaded.columns, loaded.details()).operations == read.history.operations
    assert loaded.format == read.format
    assert set(read.notes) <= set(loaded.notes)


def _published() -> list[Path]:
    folders = (HISTORIES.rglob(pattern) for pattern in ("*.log", "*.txt", "*.edn"))
    return sorted(chain.from_iterable(folders))


def test_published_histories_are_as_they_are_read() -> None:
    paths = _published()
    if not paths:
        pytest.skip("no recorded histories beside the project")

    for path in paths:
        _is_same_as_read(path.read_bytes())


@pytest.mark.parametrize("seed", range(20))
def test_json_lines_are_as_they_are_read(seed: int) -> None:
    _is_same_as_read(to_json_lines(_random_history(Random(seed), 100)))


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_edn_is_as_it_is_read(seed: int, keyed: bool) -> None:
    _is_same_as_read(to_edn(_random_history(Random(seed), 100), keyed=keyed).encode(), keyed=keyed)


@pytest.mark.parametrize(
    "form",
    [
        *["nil", "true", "-12", "+5", "007", "7N", "99999999999999999999", "-9223372036854775808"],
        *["1.5e3", "2.50M", "1.", "-0.0", "1/4", "1/3", "1e999", "0.1e-400", "12345678901234567.5"],
        *[":a/b", "foo", "-", "-x", "+a", ":", r'"a \"b\" \n \u00e9 \ud83d\ude00"', '"two\nlines"'],
        *[r"\newline", r"\space", r"\a", r"\é", r"\u00e9", r"[\a\b]", r"\,"],
        *["[1, 2 ; three\n 4]", "(1 2)", "#{1 2}", "[]", "{}", "[1 #_ 2 3]", "#_ 1 2", "[#_ x]"],
        *["{:a 1 :b [nil]}", '{1 2, "1" 3}', "{nil 1 true 2}", "{:a 1 :a 2}", "{:a 1 #_ b}"],
        *['#inst "2020"', "#a #b {:c #d [1]}", "#jepsen.history.Op{:index 0}"],
    ],
)
def test_forms_are_as_they_are_read(form: str) -> None:
    _is_same_as_read(f"{{:process 0 :type :invoke :f :write :value {form}}}".encode())
    _is_same_as_read(f"#tag [{{:value {form} :process 0, :type invoke, :f write}}]".encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n \n",
        b"INFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]\r\n\nWARN jepsen.util - :nemesis :info :go",
        b"INFO\tjepsen.util - 4 :invoke :read   nil ; [\nINFO jepsen.util - 4 :ok :read 3 [4]",
        b"INFO  jepsen.util - 4 :invoke :cas [1 2]\nINFO  jepsen.util - 4 :info :cas :timed-out",
        b'{"process":1,"f":"\\u0066","type":"invoke","time":-3,"index":0,"unknown":[{"a":[]}]}',
        b"; none\n",
        b"[]",
    ],
)
def test_odd_files_are_as_they_are_read(data: bytes) -> None:
    loaded = load(data)

    assert history_of(loaded.columns, loaded.details()).operations == (
        parse_history(data).history.operations
    )


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"read"}\n{"index":1,x\n', 2, 12),
        (b'{"index":0,"time":0,"process":0,"type":"gone","f":"read"}\n', 1, 40),
        (b'{"index":0,"time":0,"process":0,"type":"ok"}\n', 1, 1),
        (b'{"index":0,"time":0.5,"process":0,"type":"ok","f":"r"}\n', 1, 19),
        (b'{"index":0,"time":99999999999999999999,"process":0,"type":"ok","f":"r"}\n', 1, 19),
        (b'{"index":0,"time":0,"process":4294967296,"type":"invoke","f":"r"}\n', 1, 1),
        (b'{"index":0,"time":0,"process":0,"process":1,"type":"invoke","f":"r"}\n', 1, 43),
        (b'{"index":2147483647,"time":0,"process":0,"type":"invoke","f":"r"}\n', 1, 1),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"\xff"}\n', 1, 66),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"\\ud800"}\n', 1, 66),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":01}\n', 1, 65),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":1e400}\n', 1, 65),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"a\tb"}\n', 1, 67),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","key":1.5}\n', 1, 63),
        (b"[{:process 0, :type :invoke, :f :read}\n  {:process 0 :type}]", 2, 3),
        (b"[{:process 0, :type :invoke, :f :read}", 1, 1),
        (b"{:process 0, :type :invoke, :f :read}\n{:process 0, :f :read}", 2, 1),
        (b"{:process 0, :type :invoke, :f :read}\n 42", 2, 2),
        (b"{:process 0, :type :invoke, :f :read, :value {[1] 2}}", 1, 47),
        (b"{:process 0, :type :invoke, :f :read, :value 12x}", 1, 46),
        (b"{:process 0, :type :invoke, :f :read, :value 1/0}", 1, 46),
        (b'{:process 0, :type :invoke, :f :read, :value "\\q"}', 1, 47),
        (b"{:process 0, :type :invoke, :f :read, :value [1 }]", 1, 49),
        (b"{:process 0, :type :invoke, :f :read, :value \xc3}", 1, 46),
        (b"INFO  jepsen.util - 0 :invoke :read nil\nINFO hello", 2, 1),
        (b"INFO  jepsen.util - 0 :gone :read nil", 1, 24),
        (b"INFO  jepsen.util - 0 :invoke :read [1\n", 1, 37),
        (b"\xff\xfe", 1, 1),
    ],
)
def test_error_names_line_and_column(data: bytes, line: int, column: int) -> None:
    with pytest.raises(LoadError) as caught:
        load(data)

    assert (caught.value.line, caught.value.column, caught.value.index) == (line, column, None)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(0, "invoke", "read"), (0, "invoke", "read")], "process 0 already has an open operation"),
        ([(0, "invoke", "read"), (1, "ok", "read")], "process 1 completes what it never invoked"),
        ([(0, "invoke", "read"), (0, "ok", "cas")], "process 0 completes another operation"),
        (
            [(0, "invoke", "read"), (0, "info", "read"), (0, "invoke", "read")],
            "process 0 goes on after an info",
        ),
    ],
)
def test_history_that_no_run_can_have_names_its_event(
    events: list[tuple[int, str, str]], message: str
) -> None:
    lines = "\n".join(f" {{:process {p} :type :{kind} :f :{f}}}" for p, kind, f in events)

    with pytest.raises(LoadError, match=message) as caught:
        load(lines.encode())

    assert (caught.value.line, caught.value.column) == (len(events), 2)
    assert caught.value.index == len(events) - 1


@pytest.mark.parametrize("cut", range(1, 58))
def test_last_line_that_is_cut_off_is_left_out_and_noted(cut: int) -> None:
    line = b'{"index":%d,"time":0,"process":%d,"type":"invoke","f":"\xc3\xa9"}'
    data = line % (0, 0) + b"\n" + (line % (1, 1))[:-cut]

    loaded = load(data)

    assert len(loaded.columns) == 1
    assert loaded.notes == (("line 2 is cut off and was left out",) if cut < 57 else ())


def test_what_is_left_out_is_noted() -> None:
    loaded = load(b"""; a comment
        [{:process 4, :type :invoke, :f :write, :value 2, :link nil}
         {:process :nemesis, :type :info, :f :kill}
         {:process 4, :type :ok, :f :write, :value 2, :link nil}]
    """)

    assert loaded.notes == (
        "2 fields :link were left out",
        "3 events have no time: each counts as 1 ms after the one before",
        "1 events of nemeses were left out",
    )


def test_values_that_differ_in_type_differ() -> None:
    forms = ["1", "1.0", '"1"', "true", "[1]", "[1.0]", "nil", "false", "{}", "[]", '""']
    data = "\n".join(
        f"{{:process {i} :type :invoke :f :write :value {form}}}"
        for i, form in enumerate([*forms, *forms])
    )
    ids = list(load(data.encode()).columns.value_in)

    assert len(set(ids)) == len(forms)
    assert ids[: len(forms)] == ids[len(forms) :]


def test_floats_are_rounded_as_python_rounds_them() -> None:
    rng = Random(1)
    floats = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(3000)]
    texts = [repr(each) for each in floats if math.isfinite(each)]
    texts += [
        f"{rng.randrange(10**25)}.{rng.randrange(10**9)}e{rng.randrange(-340, 280)}" for _ in texts
    ]
    values = ",".join(texts)

    loaded = load(
        f'{{"index":0,"time":0,"process":0,"type":"invoke","f":"w","value":[{values}]}}'.encode()
    )

    assert loaded.columns.values[loaded.columns.value_in[0]] == [float(text) for text in texts]


def test_ids_do_not_depend_on_the_seed_of_the_hash() -> None:
    data = to_json_lines(_random_history(Random(7), 200))
    first, second = load(data).columns, load(data).columns

    assert all(getattr(first, name) == getattr(second, name) for name in TYPE_CODES)
    assert list(first.values) == list(second.values)


def test_keyed_values_must_be_pairs() -> None:
    with pytest.raises(LoadError, match=r"expected \[key value\]"):
        load(b"{:process 0, :type :invoke, :f :read, :value 3}", keyed=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 101 + "]" * 101, "at most 100 levels"),
        ("#a " * 200 + "1", "at most 100 levels"),
        ("#_ " * 200 + "1", "at most 100 levels"),
        ("1" * 4001, "at most 4000 digits"),
        ('"' + "a" * (2**24 + 1) + '"', "at most 16777216 bytes"),
        (" ".join(["[", *["1"] * (2**24 + 1), "]"]), "at most 16777216 items"),
    ],
)
def test_limits_are_errors(value: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        load(f"{{:process 0 :type :invoke :f :write :value {value}}}".encode())


def test_names_have_a_limit() -> None:
    lines = (f"{{:process {i} :type :invoke :f :f{i}}}" for i in range(65_536))

    with pytest.raises(LoadError, match="at most 65535 names") as caught:
        load("\n".join(lines).encode())

    assert caught.value.line == 65_536


def _many(operations: int) -> Iterator[bytes]:
    """Each process in turn writes a value of its own; every tenth does not hear back."""
    template = b'{"index":%d,"time":%d,"process":%d,"type":"%s","f":"write","value":%d,"key":%d}\n'
    index = 0
    for i in range(operations):
        kinds = (b"invoke", b"info" if i % 10 == 0 else b"ok")
        for kind in kinds:
            yield template % (index, index * 1000, i, kind, i, i % 1000)
            index += 1


def test_many_operations_are_all_there() -> None:
    count = 300_000

    loaded = load(b"".join(_many(count)))

    assert len(loaded.columns) == count
    assert len(loaded.columns.keys) == 1 + 1000
    assert len(loaded.columns.values) == 1 + count
    assert loaded.columns.ret.tolist().count(NONE) == count // 10
