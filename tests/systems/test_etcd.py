"""etcd: what its answers mean, and a run of the real one."""

from __future__ import annotations

import json
import shutil
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.client import NotApplied
from dissever.harness.cluster import Clocks, trial
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.system import Upgrades
from dissever.running import run
from dissever.systems.etcd import Etcd, EtcdClient, EtcdError

NODES = {"n1": "10.77.0.1", "n2": "10.77.0.2", "n3": "10.77.0.3"}


class Scripted(HTTPServer):
    """Answers with what it is given, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.answer = 200, {}  # type: tuple[int, dict[str, Any]]
        self.asked: list[tuple[str, dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, json.loads(body)))
        said = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def etcd() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(etcd: Scripted) -> Iterator[EtcdClient]:
    endpoint: Any = SimpleNamespace(
        host="127.0.0.1", port=etcd.server_port, nodes=NODES, cluster_address=NODES.__getitem__
    )
    made = EtcdClient(endpoint)
    yield made
    made.close()


def as_bytes(text: object) -> str:
    return b64encode(str(text).encode()).decode()


def test_a_register_is_a_key(etcd: Scripted, client: EtcdClient) -> None:
    etcd.answer = {"kvs": [{"key": as_bytes("register/3"), "value": as_bytes(5)}]}

    assert client.read(3) == 5
    assert etcd.asked == [("/v3/kv/range", {"key": as_bytes("register/3")})]
    etcd.answer = {"header": {}}
    assert client.read(4) is None


def test_a_set_is_a_key_for_each_element(etcd: Scripted, client: EtcdClient) -> None:
    etcd.answer = {"kvs": [{"value": as_bytes(each)} for each in (3, 12)]}

    assert client.elements() == [3, 12]
    client.add(7)
    assert etcd.asked[0][1] == {"key": as_bytes("element/"), "range_end": as_bytes("element0")}
    assert etcd.asked[1][1] == {"key": as_bytes("element/7"), "value": as_bytes(7)}


@pytest.mark.parametrize(("answer", "is_set"), [({"succeeded": True}, True), ({}, False)])
def test_compare_and_set_is_a_transaction(
    etcd: Scripted, client: EtcdClient, answer: dict[str, Any], is_set: bool
) -> None:
    etcd.answer = answer

    assert client.compare_and_set(3, 4, 5) is is_set
    path, body = etcd.asked[0]
    assert path == "/v3/kv/txn"
    assert body["compare"][0]["value"] == as_bytes(4)
    assert body["success"][0]["request_put"]["value"] == as_bytes(5)


def test_a_transaction_is_one_request_that_compares_what_was_read(
    etcd: Scripted, client: EtcdClient
) -> None:
    etcd.answer = {"kvs": [{"value": as_bytes([1, 2]), "mod_revision": "17"}]}
    client.begin()

    assert client.read_list(3) == [1, 2]
    client.append(3, 7)
    assert client.read_list(3) == [1, 2, 7]
    assert [path for path, _ in etcd.asked] == ["/v3/kv/range"], "what is known is not asked again"
    etcd.answer = {"succeeded": True}
    client.commit()
    path, body = etcd.asked[1]
    assert path == "/v3/kv/txn"
    assert body["compare"] == [
        {"key": as_bytes("cell/3"), "target": "MOD", "result": "EQUAL", "mod_revision": "17"}
    ]
    assert body["success"] == [
        {"request_put": {"key": as_bytes("cell/3"), "value": as_bytes([1, 2, 7])}}
    ]


def test_a_transaction_whose_reads_are_old_is_not_applied(
    etcd: Scripted, client: EtcdClient
) -> None:
    client.begin()
    assert client.read(3) is None
    client.write(3, 7)
    assert client.read(3) == 7
    with pytest.raises(NotApplied, match="has been changed"):
        client.commit()

    assert etcd.asked[1][1]["compare"][0]["mod_revision"] == "0"
    client.write(3, 8)
    assert etcd.asked[2][0] == "/v3/kv/put", "after a commit, a write is one of a register"


def test_a_transaction_that_only_reads_has_no_effect(etcd: Scripted, client: EtcdClient) -> None:
    client.begin()
    client.read_list(3)
    etcd.status, etcd.answer = 503, {"code": 14, "message": "etcdserver: request timed out"}
    with pytest.raises(NotApplied, match="timed out"):
        client.commit()
    client.begin()
    etcd.status, etcd.answer = 200, {}
    client.append(3, 1)
    etcd.status, etcd.answer = 503, {"code": 14, "message": "etcdserver: request timed out"}
    with pytest.raises(EtcdError, match="timed out"):
        client.commit()


@pytest.mark.parametrize(
    ("status", "code", "message", "means"),
    [
        (429, 8, "etcdserver: too many requests", NotApplied),
        (400, 9, "etcdserver: not leader", NotApplied),
        (400, 3, "etcdserver: request is too large", NotApplied),
        (503, 14, "etcdserver: request timed out", EtcdError),
        (503, 14, "etcdserver: leader changed", EtcdError),
        (500, 2, "context canceled", EtcdError),
        (504, 4, "context deadline exceeded", EtcdError),
        (500, 13, "internal", EtcdError),
    ],
)
def test_only_a_code_that_refuses_means_not_applied(
    etcd: Scripted,
    client: EtcdClient,
    status: int,
    code: int,
    message: str,
    means: type[Exception],
) -> None:
    etcd.status, etcd.answer = status, {"code": code, "message": message, "error": message}

    with pytest.raises(means, match=message) as caught:
        client.write(1, 2)
    assert isinstance(caught.value, NotApplied) is (means is NotApplied)


def test_a_read_that_is_answered_with_an_error_changed_nothing(
    etcd: Scripted, client: EtcdClient
) -> None:
    etcd.status, etcd.answer = 503, {"code": 14, "message": "etcdserver: request timed out"}

    with pytest.raises(NotApplied, match="timed out"):
        client.read(1)


def test_members_are_known_by_where_they_listen(etcd: Scripted, client: EtcdClient) -> None:
    urls = [f"http://{address}:2380" for address in NODES.values()]
    listed = [{"ID": str(70 + i), "peerURLs": [url]} for i, url in enumerate(urls[:2])]
    etcd.answer = {"members": listed}  # The second may not have started, and has no name then.

    assert client.members() == ["n1", "n2"]
    client.transfer("n2")
    assert etcd.asked[-1] == ("/v3/maintenance/transfer-leadership", {"targetID": "71"})
    client.add_member("n3")
    assert etcd.asked[-1] == ("/v3/cluster/member/add", {"peerURLs": [urls[2]]})


def test_faults_of_clocks_do_not_reach_it() -> None:
    options = Options(system="etcd", workload="register", nodes=tuple(NODES))

    assert set(Etcd().lacks(options)) == {Upgrades, Clocks}


@pytest.mark.cluster
def test_etcd_keeps_its_promises(tmp_path: Path) -> None:
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed; apt-get install etcd-server")
    if (missing := trial.probe()) is not None:
        pytest.skip(f"{missing.reason}; {missing.remedy}")
    options = Options(
        system="etcd",
        workload="register",
        faults=("transfer", "power-failure", "replace-member"),
        nodes=tuple(NODES),
        time_limit_s=10,
        fault_interval_s=3,
        rate=100,
        seed=1,
    )
    ended = run(options, runs=tmp_path)
    results = {result.checker: result for result in ended.judged.results.results}

    assert results["linearizable"].verdict is Verdict.VALID
    assert ended.interruption == ""
    assert ended.plan.versions["etcd"].startswith("3.")
