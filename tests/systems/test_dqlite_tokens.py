"""A write whose outcome nobody knew is lost: only its token makes that an anomaly."""

import random
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

import dqlite
from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.models import CAS_REGISTER
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Verdict
from dqlite.client.searching import ConnectorOptions
from dqlite.node.options import NodeOptions

pytestmark = pytest.mark.cluster


class Line:
    """Dials nodes; once it is cut, the next answer of a node is lost, and its connection ends."""

    def __init__(self) -> None:
        self.is_cut = False

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        host, _, port = address.rpartition(":")
        node = socket.create_connection((host, int(port)), timeout_s)
        node.settimeout(None)
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._pass_on, args=(theirs, node, False), daemon=True).start()
        threading.Thread(target=self._pass_on, args=(node, theirs, True), daemon=True).start()
        return ours

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError), closing(target):
            while (data := source.recv(65536)) and not (is_answer and self.is_cut):
                target.sendall(data)


@contextmanager
def node(directory: Path, address: str) -> Iterator[None]:
    try:
        running = dqlite.Node(1, address, directory, NodeOptions(network_latency_ms=20))
    except dqlite.LibraryNotFound as missing:
        pytest.skip(missing.message)
    with running:
        yield


def verdict(path: Path, outcome: str, value: object) -> Verdict:
    """Of a write of 1, then a write of 2 with this outcome, then a read of this value."""
    lines = [
        '{"index":0,"process":0,"type":"invoke","f":"write","value":1}',
        '{"index":1,"process":0,"type":"ok","f":"write","value":1}',
        '{"index":2,"process":1,"type":"invoke","f":"write","value":2}',
        f'{{"index":3,"process":1,"type":"{outcome}","f":"write","value":2}}',
        '{"index":4,"process":2,"type":"invoke","f":"read"}',
        f'{{"index":5,"process":2,"type":"ok","f":"read","value":{value}}}',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Linearizable(CAS_REGISTER)(read_history(path).history, Budget()).verdict


def test_lost_write_of_unknown_outcome_is_an_anomaly_with_its_token_alone(tmp_path: Path) -> None:
    address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.1:9001"
    data, copy = tmp_path / "data", tmp_path / "copy"
    data.mkdir()
    with node(data, address), closing(dqlite.connect(address, "app", autocommit=True)) as first:
        first.execute("CREATE TABLE register (value INT)")
        first.execute("INSERT INTO register VALUES (1)")
    shutil.copytree(data, copy)

    line = Line()
    connector = ConnectorOptions(dial_blocking=line.dial)
    with node(data, address):
        with closing(dqlite.connect(address, "app", tokens=True, connector=connector)) as second:
            second.execute("UPDATE register SET value = 2")
            line.is_cut = True
            with pytest.raises(dqlite.Indeterminate) as lost:
                second.commit()
        assert lost.value.token is not None
        with closing(dqlite.connect(address, "app")) as asker:
            was_committed = asker.recover(lost.value.token)

    shutil.rmtree(data)
    shutil.copytree(copy, data)  # somebody restores what the disk had before
    with node(data, address), closing(dqlite.connect(address, "app")) as third:
        row = third.execute("SELECT value FROM register").fetchone()

    assert was_committed
    assert row == (1,)
    assert verdict(tmp_path / "history.jsonl", "info", row[0]) is Verdict.VALID
    assert verdict(tmp_path / "history.jsonl", "ok", row[0]) is Verdict.INVALID
