"""`client-test`: a correct client passes, and each mistake is called by its name."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dissever.commands import client_test
from dissever.systems.clients import conformance

CLIENTS = Path(__file__).parent.parent / "systems" / "clients"
CLIENT = f"{shlex.quote(sys.executable)} -I -S {CLIENTS}/kv_client.py"
QUICK = ("--limit", "0.6")

CLASS = """
import json
import socket

from dissever import NotApplied


class Kv:
    def __init__(self, endpoint):
        self._socket = socket.create_connection((endpoint.host, endpoint.port))
        self._file = self._socket.makefile("r")

    def _ask(self, words):
        self._socket.sendall(f"{words}\\n".encode())
        return self._file.readline().strip() or self._lost()

    def close(self):
        self._file.close()
        self._socket.close()

    def _lost(self):
        raise ConnectionError("the node hung up")

    def read(self, key):
        text = self._ask(f"GET {key}")
        return None if text == "nothing" else int(text)

    def write(self, key, value):
        self._ask(f"SET {key} {value}")

    def compare_and_set(self, key, old, new):
        return self._ask(f"CAS {key} {old} {new}") == "done"


class Careless(Kv):
    not_applied = (OSError,)


class Steps(Kv):
    def begin(self):
        self._ask("BEGIN")

    def read_list(self, key):
        text = self._ask(f"GET l{key}")
        return [] if text == "nothing" else [int(each) for each in text.split(",")]

    def append(self, key, value):
        self._ask(f"PUSH l{key} {value}")

    def commit(self):
        self._ask("COMMIT")

    def rollback(self):
        self._ask("ROLLBACK")


class Keeping(Steps):
    def rollback(self):
        self._ask("COMMIT")


class Guessing(Steps):
    def commit(self):
        try:
            super().commit()
        except OSError:
            self._file.close()
            raise NotApplied("it was not there") from None


class Whole(Steps):
    begin = None

    def transaction(self, operations):
        self._ask("BEGIN")
        done = [[f, key, self._do(f, key, value)] for f, key, value in operations]
        self._ask("COMMIT")
        return done

    def _do(self, f, key, value):
        return self.read_list(key) if f == "r" else self.append(key, value) or value


class ReadsOnly(Whole):
    def transaction(self, operations):
        return [each for each in super().transaction(operations) if each[0] == "r"]


class Remembering(Kv):
    seen = {}

    def read(self, key):
        return self.seen[key] if self.seen.get(key) else super().read(key)

    def write(self, key, value):
        super().write(key, value)
        self.seen = {**self.seen, key: value}
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    sys.path.insert(0, str(CLIENTS))
    try:
        from kv_server import serving
    finally:
        sys.path.remove(str(CLIENTS))
    with serving() as where:
        yield where


@pytest.mark.parametrize("workload", ["register", "set"])
def test_correct_program_passes(dissever: Callable[..., Any], address: str, workload: str) -> None:
    ran = dissever("client-test", CLIENT, "--address", address, "-w", workload, *QUICK)

    assert ran.status == 0, ran.text
    assert "✓ exits when its stdin ends" in ran.text
    assert "checks passed, 0 failed" in ran.text


MISTAKES = {
    "twice": ("opens", 'got after it also b\'{"id": 1,'),
    "wrong-id": ("opens", 'expected {"id":1,"type":"ok", "fail" or "info",…} on one line (read of'),
    "logs": ("opens", "got no JSON: 'handled read'"),
    "silent": ("opens", "got no answer within 0.6 s"),
    "texts": ("opens", "expected a whole number or null as the value of read"),
    "other-address 127.0.0.1:9": ("opens", 'got fail: "[Errno 111] Connection refused"'),
    "dies": ("survives_unknown_requests", 'with status 1; its last words: "KeyError: '),
    "caches": (
        "asks_the_node",
        "got ok though no byte came from any node: the client made it up, kept",
    ),
    "retries": ("admits_a_lost_answer", "ok: it sent the operation again, or took"),
    "always-ok": ("admits_refusal", "got ok though no byte came from any node"),
    "always-fail": ("admits_a_lost_answer", "is there: fail was a lie"),
    "stays": ("exits", "got it runs on after"),
    "never-compares": ("compares_before_it_sets", "expected fail for a cas that expects"),
}
"""What a client does wrong -> the check that finds it, and what is said of it."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_called_by_its_name(
    dissever: Callable[..., Any], address: str, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the check that finds it is made, after the first three: each takes its time."""
    check, words = MISTAKES[mistake]
    script = (*conformance.BASIC, getattr(conformance, check))
    monkeypatch.setattr(client_test, "checks", lambda *_, **__: script)
    monkeypatch.setattr(conformance, "EXIT_S", 0.3)
    ran = dissever("client-test", f"{CLIENT} {mistake}", "--address", address, *QUICK)

    assert ran.status == 1
    assert "✗" in ran.text
    assert words in ran.text


def test_program_that_talks_to_another_node_is_found(
    dissever: Callable[..., Any], address: str
) -> None:
    """All its answers are right, but no fault would ever meet it."""
    ran = dissever("client-test", f"{CLIENT} other-address {address}", "--address", address, *QUICK)

    assert ran.status == 1
    assert "or did not use the addresses that it was given" in ran.text


def test_class_is_tested_as_a_program_is(
    dissever: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    file = tmp_path / "kv.py"
    file.write_text(CLASS)
    good = dissever("client-test", f"{file}:Kv", "--address", address, *QUICK)
    bad = dissever("client-test", f"{file}:Careless", "--address", address, *QUICK)

    stale = dissever("client-test", f"{file}:Remembering", "--address", address, *QUICK)

    assert good.status == 0, good.text
    assert bad.status == stale.status == 1
    assert "it reads from a copy of its own, or a stale one" in stale.text
    assert "is there: fail was a lie" in bad.text


TRANSACTIONS = {
    "program": ("not tried: it takes transactions as a whole", 0),
    "program forgets": ("after txn [[", 1),
    "Steps": ("✓ leaves nothing of a transaction that is rolled back ✓ says info", 0),
    "Keeping": ("which was rolled back got it is there", 1),
    "Guessing": ("is there: fail was a lie", 1),
    "Whole": ("not tried: it takes transactions as a whole", 0),
    "ReadsOnly": ("transaction: expected 1 micro-operations, got []", 1),
    "Kv": ("expected a client for append, got one for register", 64),
}
"""A client with transactions over lists -> what is said of it, and the exit status."""


@pytest.mark.parametrize("client", TRANSACTIONS)
def test_transactions_are_tried(
    dissever: Callable[..., Any],
    address: str,
    tmp_path: Path,
    client: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, status = TRANSACTIONS[client]
    script = (*conformance.BASIC, *conformance.checks("append", of_program=False)[4:7])
    monkeypatch.setattr(client_test, "checks", lambda *_, **__: script)
    file = tmp_path / "kv.py"
    file.write_text(CLASS)
    is_program = client.startswith("program")
    named = client.replace("program", CLIENT) if is_program else f"{file}:{client}"
    ran = dissever("client-test", named, "--address", address, "-w", "append", *QUICK)

    assert words in ran.text
    assert ran.status == status


def test_findings_as_json(dissever: Callable[..., Any], address: str) -> None:
    ran = dissever("client-test", f"{CLIENT} twice", "--address", address, "--json", *QUICK)
    found = json.loads(ran.stdout)

    assert ran.status == 1
    assert not found["passed"]
    assert [each["is_passed"] for each in found["checks"]] == [True, False]
    assert set(found["checks"][1]) == {"check", "is_passed", "expected", "came"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 64, "expected either --address HOST:PORT or --system SYSTEM"),
        (("./x", "-a", "127.0.0.1:1", "-s", "dqlite"), 64, "expected either --address"),
        (("-a", "127.0.0.1:1"), 64, "expected a CLIENT"),
        (("./x", "-a", "here"), 64, "expected HOST:PORT, such as 127.0.0.1:2379, got 'here'"),
        (("./x", "-a", "127.0.0.1:1"), 3, "No such file or directory"),
        (("cat", "-a", "127.0.0.1:1"), 3, "nothing serves at 127.0.0.1:1: Connection refused"),
        (("-s", "simulated"), 64, "expected a CLIENT, since simulated names none of its own"),
    ],
)
def test_wrong_usage_and_what_is_not_there(
    dissever: Callable[..., Any], arguments: tuple[str, ...], status: int, words: str
) -> None:
    ran = dissever("client-test", *arguments)

    assert ran.status == status
    assert words in ran.text
