"""Files into columns, and errors that name a place."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from dissever.native.columns import INFO, NONE, OK, TYPE_CODES
from dissever.native.load import FAIL as FAIL_EVENT
from dissever.native.load import INFO as INFO_EVENT
from dissever.native.load import LoadError, NemesisEvent, load

FORMS = [
    ("nil", None),
    ("true", True),
    ("-12", -12),
    ("+5", 5),
    ("007", 7),
    ("7N", 7),
    ("99999999999999999999", 99999999999999999999),
    ("-9223372036854775808", -9223372036854775808),
    ("1.5e3", 1500.0),
    ("2.50M", 2.5),
    ("1.", 1.0),
    ("-0.0", 0.0),
    ("1/4", 0.25),
    ("1/3", 1 / 3),
    ("1e999", math.inf),
    ("0.1e-400", 0.0),
    ("12345678901234567.5", 12345678901234567.5),
    (":a/b", "a/b"),
    ("foo", "foo"),
    ("-", "-"),
    ("-x", "-x"),
    ("+a", "+a"),
    (":", ""),
    (r'"a \"b\" \n \u00e9 \ud83d\ude00"', 'a "b" \n é 😀'),
    ('"two\nlines"', "two\nlines"),
    (r"\newline", "\n"),
    (r"\space", " "),
    (r"\a", "a"),
    (r"\é", "é"),
    (r"\u00e9", "é"),
    (r"[\a\b]", ["a", "b"]),
    (r"\,", ","),
    ("[1, 2 ; three\n 4]", [1, 2, 4]),
    ("(1 2)", [1, 2]),
    ("#{1 2}", [1, 2]),
    ("[]", []),
    ("{}", {}),
    ("[1 #_ 2 3]", [1, 3]),
    ("#_ 1 2", 2),
    ("[#_ x]", []),
    ("{:a 1 :b [nil]}", {"a": 1, "b": [None]}),
    ('{1 2, "1" 3}', {"1": 3}),
    ("{nil 1 true 2}", {"nil": 1, "true": 2}),
    ("{:a 1 :a 2}", {"a": 2}),
    ("{:a 1 #_ b}", {"a": 1}),
    ('#inst "2020"', "2020"),
    ("#a #b {:c #d [1]}", {"c": [1]}),
    ("#jepsen.history.Op{:index 0}", {"index": 0}),
    ("#:a{:b 1}", {"b": 1}),
    ("#{3 1 2}", [3, 1, 2]),
    ("[#{3 1} #{1 3}]", [[3, 1], [3, 1]]),
    ("{[1 2] 3 {:a 1} 4}", {"[1 2]": 3, "{:a 1}": 4}),
    ("^{:line 1} [1]", [1]),
    ("^:dynamic ^String x", "x"),
    ("##NaN", math.nan),
    ("[##Inf ##-Inf]", [math.inf, -math.inf]),
    (r"\formfeed", "\f"),
    (r"\backspace", "\b"),
    ("0x1F", 31),
    ("-0xff", -255),
    (r'#"a\d\"b"', r'#"a\d\"b"'),
    ("#<Object@1f a b>", "#<Object@1f a b>"),
    ("#'user/x", "#'user/x"),
    ('#object[Foo 0x1f "x"]', ["Foo", 31, "x"]),
]
"""EDN, and the value that it is."""


def _values_in(data: str) -> list[Any]:
    columns = load(data.encode()).columns
    return [columns.values[value] for value in columns.value_in]


@pytest.mark.parametrize(("form", "value"), FORMS)
def test_forms_are_values(form: str, value: Any) -> None:
    in_line = f"{{:process 0 :type :invoke :f :write :value {form}}}"
    in_vector = f"#tag [{{:value {form} :process 0, :type invoke, :f write}}]"

    assert repr(_values_in(in_line)) == repr(_values_in(in_vector)) == repr([value])


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", []),
        (b"\n \n", []),
        (
            b"INFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]\r\n\nWARN jepsen.util - :net :info :go",
            [(4, "cas", INFO, [1, 2], None)],
        ),
        (
            b"INFO\tjepsen.util - 4 :invoke :read   nil ; [\nINFO jepsen.util - 4 :ok :read 3 [4]",
            [(4, "read", OK, None, 3)],
        ),
        (
            b"INFO  jepsen.util - 4 :invoke :cas [1 2]\nINFO jepsen.util - 4 :info :cas :timed-out",
            [(4, "cas", INFO, [1, 2], None)],
        ),
        (
            b'{"process":1,"f":"\\u0066","type":"invoke","time":-3,"index":0,"unknown":[{"a":[]}]}',
            [(1, "f", INFO, None, None)],
        ),
        (b"; none\n", []),
        (b"\xef\xbb\xbf{:process 1 :type :invoke :f :read}", [(1, "read", INFO, None, None)]),
        (
            b"[[4 :invoke :write 3] [4 :ok :write 3]\n [:nemesis :info :start nil]]",
            [(4, "write", OK, 3, 3)],
        ),
        (b"[4 :invoke :read nil]\n[4 :ok :read 7 :late]", [(4, "read", OK, None, 7)]),
        (b"^{:a 1} [^:b {:process 1 :type :invoke :f :read}]", [(1, "read", INFO, None, None)]),
        (
            b'{\n "process": 1, "type": "invoke",\n "f": "read"\n}\n{"process": 1,\n'
            b'"type": "ok", "f": "read", "value": [NaN, -Infinity]}',
            [(1, "read", OK, None, [math.nan, -math.inf])],
        ),
        (
            b"[2026-01-01 10:00:00] starting {:process 7}\nINFO [x] jepsen worker 0 - jepsen.util "
            b"0 :invoke :read nil\n\tat clojure.core\n2026 INFO jepsen.util: 0\t:ok\t:read\t5\n",
            [(0, "read", OK, None, 5)],
        ),
        (
            b'0\t:invoke\t:write\t"a b"\n:nemesis\t:info\t:kill\t#{oops\n'
            b'0\t:info\t:write\t"a b"\tConnection refused (n1)\n',
            [(0, "write", INFO, "a b", None)],
        ),
        (
            b'started\n{"process": 3, "type": "invoke", "f": "read"}\nGET /\n'
            b"{:process 3, :type :ok, :f :read, :value 1}\n",
            [(3, "read", OK, None, 1)],
        ),
        (
            b'{"process":3,"type":"invoke","f":"read"}\nwarning: slow\n'
            b'{"process":3,"type":"ok","f":"read","value":1,"index":null,"time":null}\n',
            [(3, "read", OK, None, 1)],
        ),
        (b"[]", []),
    ],
)
def test_odd_files_are_read(data: bytes, rows: list[tuple[Any, ...]]) -> None:
    columns = load(data).columns
    out = [None if each == NONE else columns.values[each] for each in columns.value_out]
    names = (columns.fs[f] for f in columns.f)
    asked = (columns.values[each] for each in columns.value_in)

    found = zip(columns.process, names, columns.type, asked, out, strict=True)
    assert repr(list(found)) == repr(rows)


def test_events_of_nemeses_are_kept() -> None:
    loaded = load(b"""
        {:process 1 :type :invoke :f :read :node "n1"}
        {:process :nemesis :type :info :f :start :value {:to ["n2" 0]} :node "n2" :time 7}
        {:type :fail :f :stop :value [1] :key :k :error [:no 3] :process "other"}
    """)

    assert (loaded.events, loaded.nodes, loaded.last_time) == (3, ("n1", "n2"), 1_000_007)
    assert list(loaded.nemesis_events()) == [
        NemesisEvent(1, 7, "nemesis", INFO_EVENT, "start", {"to": ["n2", 0]}, None, "n2", None),
        NemesisEvent(2, 1_000_007, "other", FAIL_EVENT, "stop", [1], "k", None, ["no", 3]),
    ]


def test_operations_that_are_open_at_once_are_counted() -> None:
    steps = [(0, "invoke"), (1, "invoke"), (0, "ok"), (2, "invoke"), (1, "info"), (3, "invoke")]
    lines = "\n".join(f"{{:process {p} :type :{kind} :f :read}}" for p, kind in steps)

    assert load(lines.encode()).open_max == 2


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"read"}\n{"index":1,x\n', 2, 12),
        (b'{"index":0,"time":0,"process":0,"type":"gone","f":"read"}\n', 1, 40),
        (b'{"index":0,"time":0,"process":0,"type":"ok"}\n', 1, 1),
        (b'{"index":0,"time":0.5,"process":0,"type":"ok","f":"r"}\n', 1, 19),
        (b'{"index":0,"time":99999999999999999999,"process":0,"type":"ok","f":"r"}\n', 1, 19),
        (b'{"index":0,"time":0,"process":1.5,"type":"invoke","f":"r"}\n', 1, 31),
        (b'{"index":0,"time":0,"process":[1],"type":"invoke","f":"r"}\n', 1, 31),
        (b'{"process":0,"type":"gone","f":"read"}', 1, 21),
        (b'{"process":0,"type":"ok","f":"read","f":"write"}\n', 1, 41),
        (b'{"process":0,"type":"ok","f":"r","value":1,"value":2}\n', 1, 52),
        (b'{"a":1}', 1, 1),
        (b"{:process 0 :type :ok :f :r :value 1 :value 2}", 1, 45),
        (b"{:process nil :type :ok :f :r}", 1, 11),
        (b"[[0 :invoke :read nil] [0 :ok]]", 1, 24),
        (b"5", 1, 1),
        (b'{"index":0,"time":0,"process":0,"process":1,"type":"invoke","f":"r"}\n', 1, 43),
        (b'{"index":2147483647,"time":0,"process":0,"type":"invoke","f":"r"}\n', 1, 1),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"\xff"}\n', 1, 66),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"\\ud800"}\n', 1, 66),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":01}\n', 1, 65),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":1e400}\n', 1, 65),
        (b'{"index":0,"time":0,"process":0,"type":"invoke","f":"r","value":"a\tb"}\n', 1, 67),
        (b'[{"process":0,"type":"invoke","f":"r"}\n {"process":1}]', 2, 2),
        (b'[{"process":0,"type":"invoke","f":"r"}\n,\n]', 3, 1),
        (b'[\n{"process":0,"type":"invoke","f":"r"}\n', 3, 1),
        (b'[{"process":0,"type":"invoke","f":"r"}] x', 1, 41),
        (b'[{"process":0,"type":"invoke","f":"r","value":"\xff"}]', 1, 48),
        (b"[{:process 0, :type :invoke, :f :read}\n  {:process 0 :type}]", 2, 3),
        (b"[{:process 0, :type :invoke, :f :read}", 1, 1),
        (b"{:process 0, :type :invoke, :f :read}\n{:process 0, :f :read}", 2, 1),
        (b"{:process 0, :type :invoke, :f :read}\n 42", 2, 2),
        (b"{:process 0, :type :invoke, :f :read, :value 12x}", 1, 46),
        (b"{:process 0, :type :invoke, :f :read, :value 1/0}", 1, 46),
        (b'{:process 0, :type :invoke, :f :read, :value "\\q"}', 1, 47),
        (b"{:process 0, :type :invoke, :f :read, :value [1 }]", 1, 49),
        (b"{:process 0, :type :invoke, :f :read, :value \xc3}", 1, 46),
        (b"INFO  hello\nINFO  jepsen.util - 0 :gone :read nil", 2, 24),
        (b"hello\n\nworld", 1, 1),
        (b"0\t:invoked\t:read\tnil", 1, 4),
        (b"\xfe\xff\x00{", 1, 1),
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
        ([(0, "invoke", "read"), (0, "ok", "cas")], "process 0 invoked 'read', completed 'cas'"),
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


CAS = "{{:process 0 :type :invoke :f :cas :value {0}}} {{:process 0 :type :ok :f :cas :value {0}}}"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("[7 [1 2]]", 7),
        ("[7 1 2]", 7),
        ("{:key 7 :old 1 :new 2}", 7),
        ("{:key 7 :value [1 2]}", 7),
        ('{:value {:old 1 :new 2} :key "k"}', "k"),
        ("{:key [1 2] :from 1 :to 2}", "[1, 2]"),
        ("[{:a 1} [1 2]]", '{"a": 1}'),
        ("[true [1 2]]", "true"),
        ("[nil [1 2]]", None),
    ],
)
def test_keyed_swap_is_read_in_each_of_its_shapes(value: str, key: Any) -> None:
    columns = load(CAS.format(value).encode(), keyed=True).columns

    assert columns.keys[columns.key[0]] == key
    assert [columns.values[each[0]] for each in (columns.a, columns.b)] == [1, 2]
    assert columns.type[0] == OK


def test_swap_may_be_a_map() -> None:
    columns = load(CAS.format("{:new 2 :old 1}").encode()).columns

    assert [columns.values[each[0]] for each in (columns.a, columns.b)] == [1, 2]


def test_crashed_operation_may_lose_its_key() -> None:
    data = b"""{:process 0 :type :invoke :f :read :value [1 nil]}
        {:process 0 :type :info :f :read :value nil :error :timeout}
        {:process 1 :type :invoke :f :write :value [2 5]}
        {:process 1 :type :fail :f :write :value :refused}"""

    columns = load(data, keyed=True).columns

    assert [columns.keys[key] for key in columns.key] == [1, 2]


def test_keys_that_differ_differ_in_python_too() -> None:
    keys = ["1", "1.0", "true", '"1"', '"true"', "[1, 2]", '"[1, 2]"']
    lines = (
        f'{{"process":{i},"type":"invoke","f":"read","key":{key}}}\n' for i, key in enumerate(keys)
    )
    columns = load("".join(lines).encode()).columns

    assert len(set(columns.keys)) == 1 + len(keys)
    assert columns.keys[:4] == (None, 1, "1.0", "true")


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ('"a"', '"b"', "'a' and 1 more, numbered from 0"),
        ("99999999999", "5", "'99999999999', numbered from 6"),
        ('"5"', "5", "'5', numbered from 6"),
    ],
)
def test_named_processes_that_do_what_clients_do_are_clients(
    first: str, second: str, names: str
) -> None:
    line = '{"process":%s,"type":"%s","f":"look"}\n{"process":%s,"type":"%s","f":"read"}\n'
    data = line % (first, "invoke", second, "invoke") + line % (first, "ok", second, "ok")

    loaded = load(data.replace("look", "read").encode())

    assert list(loaded.columns.type) == [OK, OK]
    assert len(set(loaded.columns.process)) == 2
    assert names in loaded.notes[-1]


@pytest.mark.parametrize("name", ["nemesis", ":nemesis", "my-Nemesis-2", "recovery"])
def test_name_that_says_so_is_no_client(name: str) -> None:
    loaded = load(b'{"process":"%s","type":"info","f":"read"}' % name.encode())

    assert len(loaded.columns) == 0
    assert [event.process for event in loaded.nemesis_events()] == [name]


def test_process_without_an_operation_of_clients_is_a_nemesis() -> None:
    loaded = load(b"""{:process 0 :type :invoke :f :read} {:process "n" :type :ok :f :isolate}""")

    assert [event.process for event in loaded.nemesis_events()] == ["n"]


def test_lines_that_hold_no_event_are_counted() -> None:
    loaded = load(b"start\n0\t:invoke\t:read\tnil\n\nprose: 0 :x\n0\t:ok\t:read\t1\nend\n")

    assert loaded.notes[0] == "3 lines hold no event and were left out, first line 1"


def test_what_is_left_out_is_noted() -> None:
    loaded = load(b"""; a comment
        [{:process 4, :type :invoke, :f :write, :value 2, :link nil}
         {:process :nemesis, :type :info, :f :kill}
         {:process 4, :type :ok, :f :write, :value 2, :link nil}]
    """)

    assert loaded.notes == (
        "2 fields :link were left out",
        "3 events have no time: each counts as 1 ms after the one before",
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
    data = b"".join(_many(200))
    first, second = load(data).columns, load(data).columns

    assert all(getattr(first, name) == getattr(second, name) for name in TYPE_CODES)
    assert list(first.values) == list(second.values)


@pytest.mark.parametrize(
    "data",
    [
        b"{:process 0, :type :invoke, :f :read, :value 3}",
        b"{:process 0, :type :invoke, :f :read, :value [1 2 3]}",
        b"{:process 0, :type :invoke, :f :read}",
        b'{"process":0,"type":"invoke","f":"read","value":3}',
        b'[{"value":[1,2,3],"process":0,"type":"invoke","f":"read"}]',
    ],
)
def test_keyed_values_must_be_pairs(data: bytes) -> None:
    with pytest.raises(LoadError, match=r"expected \[key value\]"):
        load(data, keyed=True)


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
