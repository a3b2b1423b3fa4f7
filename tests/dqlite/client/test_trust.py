"""Which errors of TLS are a matter of trust, and what they say about a request."""

import ssl

import pytest

from dqlite.client.trust import is_distrust, unreachable
from dqlite.errors import ConnectionLost, NotSent, NotTrusted
from dqlite.wire import codec, schema
from dqlite.wire.session import Session


def error(reason: str) -> ssl.SSLError:
    made = ssl.SSLError(1, f"[SSL: {reason}]")
    made.reason = reason
    return made


@pytest.mark.parametrize(
    "reason",
    [
        "CERTIFICATE_VERIFY_FAILED", "SSLV3_ALERT_CERTIFICATE_EXPIRED", "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED", "WRONG_VERSION_NUMBER",
    ],
)  # fmt: skip
def test_refusal_is_not_trusted(reason: str) -> None:
    refusal = unreachable("a:1", error(reason))

    assert isinstance(refusal, NotTrusted)
    assert refusal.message.startswith("cannot connect to a:1: ")
    assert reason in refusal.message


@pytest.mark.parametrize(
    "cause",
    [
        ConnectionRefusedError(111, "refused"), TimeoutError(), ssl.SSLEOFError(8, "EOF"),
        error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), error("TLSV1_ALERT_INTERNAL_ERROR"),
        ValueError("no address"),
    ],
)  # fmt: skip
def test_what_may_pass_is_not_sent(cause: Exception) -> None:
    refusal = unreachable("a:1", cause)

    assert isinstance(refusal, NotSent)
    assert refusal.retryable


def test_nothing_is_no_distrust() -> None:
    assert not is_distrust(None)


def test_alert_instead_of_the_first_answer_means_not_applied() -> None:
    session = Session()
    session.send(schema.Leader())

    assert isinstance(session.lost("alert", is_distrust=True), NotTrusted)


def test_alert_after_an_answer_leaves_the_request_open() -> None:
    session = Session()
    session.send(schema.Leader())
    session.receive(codec.encode(schema.LeaderNode(1, "a")))
    session.send(schema.Leader())

    assert isinstance(session.lost("alert", is_distrust=True), ConnectionLost)


def test_alert_after_a_part_of_the_first_answer_leaves_the_request_open() -> None:
    session = Session()
    session.send(schema.Leader())
    session.receive(codec.encode(schema.LeaderNode(1, "a"))[:4])

    assert isinstance(session.lost("alert", is_distrust=True), ConnectionLost)
