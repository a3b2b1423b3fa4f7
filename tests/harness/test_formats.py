"""Every format is told from its content, read, and every error names its place."""

from __future__ import annotations

import pytest

from dissever.harness.formats import (
    Format,
    FormatError,
    parse_history,
    to_edn,
    to_json_lines,
)
from dissever.harness.history import Event, History, Type

HISTORY = History(
    (
        Event(0, 10, 0, Type.INVOKE, "cas", [1, 2], key="x", node="n1"),
        Event(1, 20, "partition", Type.INVOKE, "start-partition", {"targets": ["n1"]}),
        Event(2, 20, "partition", Type.INFO, "start-partition", {"evidence": {"held": True}}),
        Event(
            5, 30, 0, Type.FAIL, "cas", [1, 2], key="x", node="n1", error=["BUSY", 'try "later"']
        ),
        Event(6, 40, 1, Type.INVOKE, "read", None, key="x"),
        Event(7, 50, 1, Type.OK, "read", 1.5, key="x"),
    )
)


def test_json_lines_come_back_as_they_were() -> None:
    loaded = parse_history(to_json_lines(HISTORY))

    assert loaded.history == HISTORY
    assert (loaded.format, loaded.notes) == (Format.JSON_LINES, ())


@pytest.mark.parametrize("keyed", [False, True])
def test_edn_comes_back_as_it_was(keyed: bool) -> None:
    loaded = parse_history(to_edn(HISTORY, keyed=keyed).encode(), keyed=keyed)

    assert loaded.history == HISTORY
    assert (loaded.format, loaded.notes) == (Format.EDN, ())


def test_last_line_that_is_cut_off_is_left_out_and_noted() -> None:
    data = to_json_lines(HISTORY)[:-9]

    loaded = parse_history(data)

    assert loaded.history.events == HISTORY.events[:-1]
    assert loaded.notes == ("line 6 is cut off and was left out",)


def test_fields_that_no_event_has_are_noted() -> None:
    line = b'{"index":%d,"time":0,"process":0,"type":"invoke","f":"read","zone":[1],"host":null}\n'

    loaded = parse_history(line % 0 + (line % 1).replace(b',"host":null', b""))

    assert len(loaded.history) == 2
    assert loaded.notes == ("2 fields :zone were left out", "1 fields :host were left out")


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"index":0,"time":0,"process":0,"type":"ok","f":"read"}\n{"index":1,x\n', 2, 12),
        (b'{"index":0,"time":0,"process":0,"type":"gone","f":"read"}\n', 1, 1),
        (
            b'{"index":1,"time":0,"process":0,"type":"ok","f":"r"}\n'
            b'{"index":1,"time":0,"process":0,"type":"ok","f":"r"}\n',
            2,
            1,
        ),
        (b"[{:process 0, :type :invoke, :f :read}\n  {:process 0 :type}]", 2, 3),
        (b"[{:process 0, :type :invoke, :f :read}", 1, 1),
        (b"{:process 0, :type :invoke, :f :read}\n{:process 0, :f :read}", 2, 1),
        (b"{:process 0, :type :invoke, :f :read}\n 42", 2, 2),
        (b"{:process 0, :type [:ok], :f :read}", 1, 1),
        (b"INFO  jepsen.util - 0 :invoke :read nil\nINFO hello", 2, 1),
        (b"INFO  jepsen.util - 0 :gone :read nil", 1, 23),
        (b"\xff\xfe", 1, 1),
    ],
)
def test_error_names_line_and_column(data: bytes, line: int, column: int) -> None:
    with pytest.raises(FormatError) as caught:
        parse_history(data)

    assert (caught.value.line, caught.value.column) == (line, column)


def test_knossos_vector_gets_positions_as_times() -> None:
    loaded = parse_history(b"""; a comment
        [{:process 4, :type :invoke, :f :write, :value 2}
         {:process 4, :type :ok, :f :write, :value 2, :link nil}]
    """)

    assert [(event.index, event.time) for event in loaded.history] == [(0, 0), (1, 1_000_000)]
    assert loaded.notes == (
        "1 fields :link were left out",
        "2 events have no time: each counts as 1 ms after the one before",
    )


def test_etcd_log_is_read_with_its_time_outs() -> None:
    loaded = parse_history(
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
    loaded = parse_history(b'{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 3 y"}\n')

    event = loaded.history.events[0]
    assert (event.key, event.f, event.value) == ("7", "append", "x 0 3 y")


def test_keyed_values_are_pairs() -> None:
    data = b"{:process 0, :type :invoke, :f :read, :value 3}"

    with pytest.raises(FormatError, match="expected \\[key value\\], got 3"):
        parse_history(data, keyed=True)


def test_empty_file_is_an_empty_history() -> None:
    loaded = parse_history(b"\n")

    assert (len(loaded.history), loaded.notes) == (0, ("the file holds no events",))
