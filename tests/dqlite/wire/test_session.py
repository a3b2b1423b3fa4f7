"""The conversation of one connection, fed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlite.errors import ConnectionLost, NotSent, ProtocolError, Refused, TimedOut
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Rows
from dqlite.wire.session import Session, State

SELECT = schema.QuerySql(0, "SELECT n FROM t")
PARTS = (
    Rows(("n",), ((1,), (2,)), is_last=False),
    Rows(("n",), ((3,),), is_last=False),
    Rows(("n",), ((4,),)),
)


def test_handshake_goes_out_with_the_first_request_only() -> None:
    session = Session()
    first = session.send(schema.Leader())
    session.receive(codec.encode(schema.LeaderNode(0, "")))
    second = session.send(schema.Leader())

    assert first == codec.HANDSHAKE + second


@given(st.integers(1, 200))
def test_answer_arrives_whole_however_it_is_cut(size: int) -> None:
    session = Session()
    session.send(SELECT)
    stream = b"".join(map(codec.encode, PARTS))
    answers = [session.receive(stream[i : i + size]) for i in range(0, len(stream), size)]

    assert answers[:-1] == [None] * (len(answers) - 1)
    assert answers[-1] == Rows(("n",), ((1,), (2,), (3,), (4,)))
    assert session.state is State.IDLE


def test_failure_may_end_a_result_and_leaves_nothing_behind() -> None:
    session = Session()
    session.send(SELECT)
    session.receive(codec.encode(PARTS[0]))
    failed = session.receive(codec.encode(Failure(1, "integer overflow")))
    session.send(SELECT)

    assert failed == Failure(1, "integer overflow")
    assert session.receive(codec.encode(PARTS[2])) == PARTS[2]


def test_second_request_in_flight_is_refused_and_harms_nothing() -> None:
    session = Session()
    session.send(SELECT)
    with pytest.raises(Refused):
        session.send(SELECT)

    assert session.receive(codec.encode(PARTS[2])) == PARTS[2]


def test_request_that_does_not_fit_sends_nothing() -> None:
    session = Session()
    with pytest.raises(Refused):
        session.send(schema.Weight(-1))

    assert session.state is State.IDLE
    assert session.send(schema.Leader()).startswith(codec.HANDSHAKE)


def test_loss_between_requests_is_not_sent() -> None:
    session = Session()

    assert isinstance(session.lost("reset"), NotSent)
    with pytest.raises(NotSent):
        session.send(SELECT)


def test_loss_after_the_first_byte_is_indeterminate() -> None:
    waiting, expiring, streaming = Session(), Session(), Session()
    waiting.send(SELECT)
    expiring.send(SELECT)
    streaming.send(SELECT)
    streaming.receive(codec.encode(PARTS[0]))

    assert type(waiting.lost("reset")) is ConnectionLost
    assert type(expiring.lost("late", timed_out=True)) is TimedOut
    assert type(streaming.lost("reset")) is ConnectionLost


@pytest.mark.parametrize(
    "data",
    [
        codec.encode(schema.Empty()),
        codec.encode(PARTS[2]) + bytes(1),
        codec.encode(PARTS[2]) * 2,
        codec.encode(PARTS[0]) + codec.encode(Rows(("other",), ())),
        codec.encode(PARTS[0]) + codec.encode(schema.Empty()),
        b"HTTP/1.1",
    ],
    ids=["type", "byte-after", "answer-after", "columns", "type-in-result", "garbage"],
)
def test_wrong_answer_is_a_protocol_error_and_closes(data: bytes) -> None:
    session = Session()
    session.send(SELECT)
    with pytest.raises(ProtocolError):
        session.receive(data)

    assert session.state is State.CLOSED


def test_bytes_without_a_request_are_a_protocol_error() -> None:
    session = Session()
    with pytest.raises(ProtocolError):
        session.receive(codec.encode(schema.Empty()))

    assert session.state is State.CLOSED


def test_session_can_be_closed_in_every_state_and_again() -> None:
    session = Session()
    session.send(SELECT)
    session.close()
    session.close()

    assert session.state is State.CLOSED
    assert session.receive(codec.encode(PARTS[2])) is None
