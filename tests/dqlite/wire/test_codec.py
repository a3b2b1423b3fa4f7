"""Frames against golden bytes seen on live servers, and against what any bytes may do."""

import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.errors import ProtocolError, Refused
from dqlite.values import Iso8601, UnixTime
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Member, Message, Role, Rows
from dqlite.wire.session import Session
from dqlite.wire.words import BLOB, TEXT

HERE = "127.0.0.1:9001"
VALUES = (
    -2, 1.5, "hello", bytes(range(1, 9)), None, True, Iso8601("2024-01-02 03:04:05+00:00"),
)  # fmt: skip
VALUES_HEX = (
    "feffffffffffffff 000000000000f83f 68656c6c6f000000 0800000000000000 0102030405060708"
    "0000000000000000 0100000000000000 323032342d30312d 30322030333a3034 3a30352b30303a30"
    "3000000000000000 00f1536500000000"
)
INSERT = "INSERT INTO t VALUES(?,?,?,?,?,?,?,?)"

REQUESTS = [
    (schema.Leader(), "0100000000000000 0000000000000000"),
    (schema.Register(0), "0100000001000000 0000000000000000"),
    (
        schema.Open("test"),
        "0400000003000000 7465737400000000 0000000000000000 766f6c6174696c65 0000000000000000",
    ),
    (
        schema.Prepare(0, INSERT),
        "0600000004000000 0000000000000000 494e534552542049 4e544f2074205641 4c554553283f2c3f"
        "2c3f2c3f2c3f2c3f 2c3f2c3f29000000",
    ),
    (
        schema.Prepare(0, "SELECT 1; SELECT 2", schema=1),
        "0400000004010000 0000000000000000 53454c4543542031 3b2053454c454354 2032000000000000",
    ),
    (
        schema.Exec(0, 0, (*VALUES, 1_700_000_000)),
        "0f00000005000000 0000000000000000 0801020304050b0a 0100000000000000" + VALUES_HEX,
    ),
    (
        schema.Exec(0, 0, (*VALUES, 1_700_000_000), schema=1),
        "0f00000005010000 0000000000000000 0800000001020304 050b0a0100000000" + VALUES_HEX,
    ),
    (
        schema.QuerySql(0, "SELECT * FROM t"),
        "0300000009000000 0000000000000000 53454c454354202a 2046524f4d207400",
    ),
    (schema.Query(0, 1), "0100000006000000 0000000001000000"),
    (schema.Finalize(0, 0), "0100000007000000 0000000000000000"),
    (schema.Interrupt(0), "010000000a000000 0000000000000000"),
    (
        schema.Add(2, "127.0.0.1:9002"),
        "030000000c000000 0200000000000000 3132372e302e302e 313a393030320000",
    ),
    (schema.Assign(2, Role.VOTER), "020000000d000000 0200000000000000 0000000000000000"),
    (schema.Remove(2), "010000000e000000 0200000000000000"),
    (schema.Dump("test"), "010000000f000000 7465737400000000"),
    (schema.Cluster(), "0100000010000000 0100000000000000"),
    (schema.Cluster(format=0), "0100000010000000 0000000000000000"),
    (schema.Transfer(2), "0100000011000000 0200000000000000"),
    (schema.Describe(), "0100000012000000 0000000000000000"),
    (schema.Weight(7), "0100000013000000 0700000000000000"),
]

RESPONSES = [
    (
        schema.LeaderNode(1, HERE),
        "0300000001000000 0100000000000000 3132372e302e302e 313a393030310000",
    ),
    (schema.LeaderNode(0, ""), "0200000001000000 0000000000000000 0000000000000000"),
    (schema.Welcome(15_000), "0100000002000000 983a000000000000"),
    (schema.Database(0), "0100000004000000 0000000000000000"),
    (schema.Statement(0, 0, 8), "0200000005000000 0000000000000000 0800000000000000"),
    (
        schema.Statement(0, 0, 0, tail_offset=9, schema=1),
        "0300000005010000 0000000000000000 0000000000000000 0900000000000000",
    ),
    (schema.Result(1, 1), "0200000006000000 0100000000000000 0100000000000000"),
    (
        Rows(tuple("ifsbnodu"), ((*VALUES, UnixTime(1_700_000_000)),)),
        "1700000007000000 0800000000000000 6900000000000000 6600000000000000 7300000000000000"
        "6200000000000000 6e00000000000000 6f00000000000000 6400000000000000 7500000000000000"
        "2143b59a00000000" + VALUES_HEX + "ffffffffffffffff",
    ),
    (Rows((), ()), "0200000007000000 0000000000000000 ffffffffffffffff"),
    (Rows(("n",), ()), "0300000007000000 0100000000000000 6e00000000000000 ffffffffffffffff"),
    (schema.Empty(), "0100000008000000 0000000000000000"),
    (
        schema.Members((Member(1, HERE, Role.VOTER),)),
        "0500000003000000 0100000000000000 0100000000000000 3132372e302e302e 313a393030310000"
        "0000000000000000",
    ),
    (schema.Metadata(0, 0), "020000000a000000 0000000000000000 0000000000000000"),
    (
        Failure(12, "no database opened"),
        "0400000000000000 0c00000000000000 6e6f206461746162 617365206f70656e 6564000000000000",
    ),
    (
        Failure(10250, "not leader"),
        "0300000000000000 0a28000000000000 6e6f74206c656164 6572000000000000",
    ),
]

PARTIAL = (
    "0800000000000000 0100000000000000 736576656e000000 0100000000000000 0700000000000000"
    "0100000000000000 696e746567657220 6f766572666c6f77 0000000000000000"
)

u64s = st.integers(0, 2**64 - 1)
u32s = st.integers(0, 2**32 - 1)
i64s = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
parameters = st.one_of(
    i64s, st.floats(allow_nan=False), texts, st.binary(), st.none(), st.booleans(),
    st.builds(Iso8601, texts),
)  # fmt: skip
values = st.one_of(parameters, st.builds(UnixTime, i64s))
schemas = st.integers(0, 1)
tuples = st.lists(parameters, max_size=40).map(tuple)
files = st.builds(schema.File, texts, st.binary())
members = st.builds(Member, u64s, texts, st.sampled_from(Role))


@st.composite
def results(draw: st.DrawFn) -> Rows:
    width = draw(st.integers(1, 35))
    columns = st.lists(texts, min_size=width, max_size=width).map(tuple)
    row = st.lists(values, min_size=width, max_size=width).map(tuple)
    return Rows(draw(columns), draw(st.lists(row, max_size=4).map(tuple)), draw(st.booleans()))


statements = st.tuples(u64s, texts, tuples, schemas)
handles = st.tuples(u32s, u32s, tuples, schemas)
nodes = st.builds(schema.LeaderNode, u64s, texts)

REQUEST_STRATEGIES: dict[type, st.SearchStrategy[Any]] = {
    schema.Leader: st.builds(schema.Leader),
    schema.Register: st.builds(schema.Register, u64s),
    schema.Heartbeat: st.builds(schema.Heartbeat, u64s),
    schema.Open: st.builds(schema.Open, texts),
    schema.Prepare: st.builds(schema.Prepare, u64s, texts, schemas),
    schema.Exec: handles.map(lambda fields: schema.Exec(*fields)),
    schema.Query: handles.map(lambda fields: schema.Query(*fields)),
    schema.Finalize: st.builds(schema.Finalize, u32s, u32s),
    schema.ExecSql: statements.map(lambda fields: schema.ExecSql(*fields)),
    schema.QuerySql: statements.map(lambda fields: schema.QuerySql(*fields)),
    schema.Interrupt: st.builds(schema.Interrupt, u64s),
    schema.Connect: st.builds(schema.Connect, u64s, texts),
    schema.Add: st.builds(schema.Add, u64s, texts),
    schema.Assign: st.builds(schema.Assign, u64s, st.sampled_from(Role)),
    schema.Remove: st.builds(schema.Remove, u64s),
    schema.Dump: st.builds(schema.Dump, texts),
    schema.Cluster: st.builds(schema.Cluster, u64s),
    schema.Transfer: st.builds(schema.Transfer, u64s),
    schema.Describe: st.builds(schema.Describe),
    schema.Weight: st.builds(schema.Weight, u64s),
}
RESPONSE_STRATEGIES: dict[type, st.SearchStrategy[Any]] = {
    Failure: st.builds(Failure, u64s, texts),
    schema.LeaderNode: nodes,
    schema.LeaderAddress: st.builds(schema.LeaderAddress, texts),
    schema.Welcome: st.builds(schema.Welcome, u64s),
    schema.Members: st.builds(schema.Members, st.lists(members, max_size=5).map(tuple)),
    schema.Addresses: st.builds(schema.Addresses, st.lists(nodes, max_size=5).map(tuple)),
    schema.Database: st.builds(schema.Database, u32s),
    schema.Statement: st.one_of(
        st.builds(schema.Statement, u32s, u32s, u64s),
        st.builds(schema.Statement, u32s, u32s, u64s, u64s, st.just(1)),
    ),
    schema.Result: st.builds(schema.Result, i64s, u64s),
    Rows: results(),
    schema.Empty: st.builds(schema.Empty),
    schema.Files: st.builds(schema.Files, st.lists(files, max_size=3).map(tuple)),
    schema.Metadata: st.builds(schema.Metadata, u64s, u64s),
}
requests = st.one_of(*REQUEST_STRATEGIES.values())
responses = st.one_of(*RESPONSE_STRATEGIES.values())


def words(text: str) -> bytes:
    return bytes.fromhex(text)


def request(frame: bytes) -> Message:
    return codec.decode_request(codec.decode_header(frame), frame[codec.HEADER_BYTES :])


def response(frame: bytes, kind: type[schema.Response] | None = None) -> Message:
    return codec.decode_response(codec.decode_header(frame), frame[codec.HEADER_BYTES :], kind)


def names(table: Iterable[tuple[object, str]]) -> list[str]:
    return [type(message).__name__ for message, _ in table]


def test_handshake_is_version_one() -> None:
    assert words("0100000000000000") == codec.HANDSHAKE


@pytest.mark.parametrize(("message", "golden"), REQUESTS, ids=names(REQUESTS))
def test_request_equals_golden_bytes(message: Message, golden: str) -> None:
    assert codec.encode(message) == words(golden)
    assert request(words(golden)) == message


@pytest.mark.parametrize(("message", "golden"), RESPONSES, ids=names(RESPONSES))
def test_response_equals_golden_bytes(message: Message, golden: str) -> None:
    assert codec.encode(message) == words(golden)
    assert response(words(golden)) == message


def test_every_message_has_golden_bytes_or_a_reason() -> None:
    shown = {type(message) for message, _ in REQUESTS + RESPONSES}
    untold = {*codec.REQUESTS, *codec.RESPONSES} - shown

    assert untold == {
        schema.ExecSql,  # as QuerySql
        schema.Files,  # content depends on the database
        schema.Heartbeat,  # no server implements it
        schema.Connect,  # between nodes
        schema.LeaderAddress,  # as LeaderNode, without its id
        schema.Addresses,  # as Members, without roles
    }


def test_there_are_the_messages_of_the_protocol() -> None:
    assert sorted({layout.code for layout in codec.REQUESTS.values()}) == list(range(20))
    assert sorted({layout.code for layout in codec.RESPONSES.values()}) == list(range(11))
    assert REQUEST_STRATEGIES.keys() == codec.REQUESTS.keys()
    assert RESPONSE_STRATEGIES.keys() == codec.RESPONSES.keys()


def test_legacy_leader_is_an_address_only() -> None:
    golden = words("0200000001000000 3132372e302e302e 313a393030310000")
    session = Session(codec.LEGACY_HANDSHAKE)
    sent = session.send(schema.Leader())

    assert sent == words("e53f4360d74d1086 0100000000000000 0000000000000000")
    assert session.receive(golden) == schema.LeaderAddress(HERE)


def test_cluster_of_format_0_is_answered_without_roles() -> None:
    session = Session()
    session.send(schema.Cluster(format=0))
    answer = schema.Addresses((schema.LeaderNode(1, HERE), schema.LeaderNode(2, "b:1")))

    assert session.receive(codec.encode(answer)) == answer


@pytest.mark.parametrize("message", [schema.Heartbeat(1), schema.Connect(1, HERE)])
def test_request_that_no_server_answers_is_not_sent(message: schema.Request) -> None:
    with pytest.raises(Refused, match="no server answers"):
        Session().send(message)


@pytest.mark.parametrize(
    ("text", "size"), [("", 8), ("hello", 8), ("hello!!", 8), ("hello!!!", 16), ("hello world", 16)]
)
def test_text_ends_with_a_nul_within_full_words(text: str, size: int) -> None:
    out = bytearray()
    TEXT.write(out, text)

    assert (len(out), TEXT.read(bytes(out), 0)) == (size, (text, size))


@pytest.mark.parametrize(("length", "size"), [(0, 8), (5, 16), (8, 16), (10, 24)])
def test_blob_fills_full_words_after_its_length(length: int, size: int) -> None:
    out = bytearray()
    BLOB.write(out, bytes(length))

    assert (len(out), BLOB.read(bytes(out), 0)) == (size, (bytes(length), size))


def test_text_may_end_at_the_very_end_of_the_bytes_and_not_after_it() -> None:
    with pytest.raises(ValueError, match="subsection not found"):
        TEXT.read(b"12345678", 0)

    assert TEXT.read(b"1234567\0", 0) == ("1234567", 8)


@pytest.mark.parametrize(("version", "body_bytes"), [(0, 96), (1, 104)])
def test_seven_parameters_take_their_words(version: int, body_bytes: int) -> None:
    """The header of the tuple, then 1 + 1 + 1 + 2 + 1 + 1 words, and 4 of a time."""
    frame = codec.encode(schema.Exec(0, 0, VALUES, schema=version))

    assert len(frame) - codec.HEADER_BYTES - 8 == body_bytes


def test_failure_after_partial_rows_is_read_from_the_end() -> None:
    assert response(words(PARTIAL)) == Failure(1, "integer overflow")


@given(results(), st.integers(0, 2**56 - 1), texts)
def test_any_partial_rows_leave_the_failure_intact(rows: Rows, code: int, message: str) -> None:
    partial = codec.encode(rows)[codec.HEADER_BYTES : -8]
    failure = codec.encode(Failure(code, message))[codec.HEADER_BYTES :]
    body = partial + failure

    assert response(struct.pack("<IBBH", len(body) // 8, 0, 0, 0) + body) == Failure(code, message)


def test_failure_after_the_header_of_no_columns_is_not_code_zero() -> None:
    body = bytes(8) + codec.encode(Failure(19, "constraint"))[codec.HEADER_BYTES :]

    assert response(words("0400000000000000") + body) == Failure(19, "constraint")


@given(requests)
def test_request_survives_the_round_trip(message: Message) -> None:
    assert request(codec.encode(message)) == message


@given(responses)
def test_response_survives_the_round_trip(message: schema.Response) -> None:
    assert response(codec.encode(message), type(message)) == message


@given(responses, st.data())
def test_truncated_response_is_a_protocol_error_and_nothing_else(
    message: schema.Response, data: st.DataObject
) -> None:
    frame = codec.encode(message)
    end = data.draw(st.integers(0, len(frame) - 1))

    with pytest.raises(ProtocolError):
        response(frame[:end], type(message))


@given(st.integers(0, 11), st.binary(min_size=8, max_size=400))
def test_arbitrary_body_is_decoded_or_a_protocol_error(code: int, body: bytes) -> None:
    body = body[: len(body) // 8 * 8]
    with suppress(ProtocolError):
        response(struct.pack("<IBBH", len(body) // 8, code, 0, 0) + body)


@pytest.mark.parametrize(
    "header",
    ["0000000000000000", "0100800008000000", "0100000008000100", "0100000008010000",
     "010000000b000000", "01000000"],
    ids=["no-words", "too-long", "extra", "schema", "type", "short"],
)  # fmt: skip
def test_wrong_header_is_a_protocol_error(header: str) -> None:
    with pytest.raises(ProtocolError):
        response(words(header) + bytes(8))


def test_bytes_after_the_fields_are_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        response(words("0200000008000000") + bytes(16))


@pytest.mark.parametrize("types", [(1,), (1, "x")], ids=["numbers", "text"])
def test_as_many_rows_as_a_result_may_have_are_read_and_no_more(
    monkeypatch: pytest.MonkeyPatch, types: tuple[Any, ...]
) -> None:
    monkeypatch.setattr("dqlite.wire.tuples.ROWS_MAX", 3)
    names = tuple(map(str, types))
    most, too_many = Rows(names, (types,) * 3), Rows(names, (types,) * 4)

    assert response(codec.encode(most)) == most
    with pytest.raises(ProtocolError, match="more than 3 rows"):
        response(codec.encode(too_many))


def test_rows_of_one_result_may_have_different_types() -> None:
    rows = Rows(("a", "b"), ((1, "x"), ("y", 2.5), (None, b"z"), (3, "w")))

    assert response(codec.encode(rows)) == rows


def test_dirty_padding_of_a_blob_is_skipped() -> None:
    clean = codec.encode(Rows(("b",), ((b"abc",),)))
    dirty = clean.replace(b"abc\0\0\0\0\0", b"abcxxxxx")

    assert response(dirty) == Rows(("b",), ((b"abc",),))


def test_boolean_seven_is_true() -> None:
    frame = codec.encode(Rows(("o",), ((True,),)))
    seven = frame[:-16] + struct.pack("<Q", 7) + frame[-8:]

    assert response(seven) == Rows(("o",), ((True,),))


@pytest.mark.parametrize(
    "message",
    [
        schema.Open("a\0b"),
        schema.QuerySql(0, "SELECT ?", ("a\0b",)),
        schema.QuerySql(0, "SELECT ?", (2**63,)),
        schema.QuerySql(0, "SELECT ?", (-(2**63) - 1,)),
        schema.QuerySql(0, "SELECT ?", (UnixTime(0),)),  # type: ignore[arg-type]  # the refusal
        schema.QuerySql(0, "SELECT ?", (object(),)),  # type: ignore[arg-type]  # the refusal
        schema.QuerySql(0, "SELECT ?", (1,) * 256),
        schema.QuerySql(0, "\ud800"),
        schema.QuerySql(0, "SELECT 1", (), schema=2),
        schema.Weight(-1),
        Rows(("a", "b"), ((1,),)),
    ],
)
def test_value_that_does_not_fit_is_refused(message: Message) -> None:
    with pytest.raises(Refused):
        codec.encode(message)


def test_frame_above_the_limit_is_refused() -> None:
    with pytest.raises(Refused):
        codec.encode(schema.QuerySql(0, "SELECT ?", (bytes(codec.FRAME_BYTES_MAX),)))
