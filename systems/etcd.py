"""
etcd: a key-value store replicated by Raft; the program of Debian's etcd-server.

Clients speak the JSON form of its version 3 API. A read is linearizable, as by default.
Source: etcd 3.4, `etcdserver/etcdserverpb/rpc.proto`, `etcdserver/api/v3rpc/rpctypes/error.go`.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from http.client import HTTPConnection
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.forward import Endpoint
from dissever.harness.options import Option
from dissever.systems.processes import Processes
from dissever.systems.templates import Node

CLIENT_PORT, PEER_PORT = 2379, 2380

_REFUSED: Final = frozenset({3, 5, 7, 8, 9, 11, 12, 16})
"""Codes of gRPC that refuse. With any other, such as 14, the request may have taken effect."""

OPTIONS: Final = {
    "heartbeat-ms": Option("ms from one heartbeat to the next (100)", 100, least=10, most=5000),
    "snapshot-count": Option("requests between snapshots (500)", 500, least=10, most=1_000_000),
}
"""Elections take 10 heartbeats. Snapshots come often, so that nodes which lag are sent one."""


class EtcdError(Exception):
    """etcd answered with an error; whether the request took effect is unknown."""


class EtcdClient:
    """
    Registers, a set and lists: a key for each. Between `begin` and `commit`, what is read is kept
    with its revision, and what is written is kept back. The commit is one request, which etcd
    refuses if a revision is another by then.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection = HTTPConnection(endpoint.host, endpoint.port)
        self._held: dict[int, Any] | None = None
        self._revisions: dict[int, str] = {}
        self._changed: set[int] = set()

    def begin(self) -> None:
        self._held, self._revisions, self._changed = {}, {}, set()

    def read_list(self, key: int) -> list[int]:
        return list(self._hold(key) or ())

    def append(self, key: int, value: int) -> None:
        self._change(key, [*(self._hold(key) or ()), value])

    def commit(self) -> None:
        compare = [
            {**_cell(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
            for key, revision in self._revisions.items()
        ]
        held, self._held = self._held or {}, None
        puts = [
            {"request_put": {**_cell(key), "value": _text(json.dumps(held[key]))}}
            for key in self._changed
        ]
        ask = self._ask if puts else self._read
        if not ask("kv/txn", compare=compare, success=puts).get("succeeded"):
            raise NotApplied("what was read has been changed", "conflict")

    def rollback(self) -> None:
        self._held = None

    def _hold(self, key: int) -> Any:
        """What the transaction has in a key; None if nobody has written there."""
        assert self._held is not None
        if key not in self._held:
            pairs = self._read("kv/range", **_cell(key)).get("kvs", [])
            self._revisions[key] = pairs[0]["mod_revision"] if pairs else "0"
            self._held[key] = json.loads(b64decode(pairs[0]["value"])) if pairs else None
        return self._held[key]

    def _change(self, key: int, value: Any) -> None:
        assert self._held is not None
        self._held[key] = value
        self._changed.add(key)

    def read(self, key: int) -> int | None:
        if self._held is not None:
            return self._hold(key)  # type: ignore[no-any-return]
        pairs = self._read("kv/range", key=_text(f"register/{key}")).get("kvs", [])
        return int(b64decode(pairs[0]["value"])) if pairs else None

    def write(self, key: int, value: int) -> None:
        if self._held is not None:
            self._change(key, value)
        else:
            self._ask("kv/put", key=_text(f"register/{key}"), value=_text(value))

    def compare_and_set(self, key: int, old: int, new: int) -> bool:
        name = {"key": _text(f"register/{key}")}
        is_old = {**name, "target": "VALUE", "result": "EQUAL", "value": _text(old)}
        put = {"request_put": {**name, "value": _text(new)}}
        return bool(self._ask("kv/txn", compare=[is_old], success=[put]).get("succeeded"))

    def add(self, element: int) -> None:
        self._ask("kv/put", key=_text(f"element/{element}"), value=_text(element))

    def elements(self) -> list[int]:
        first, end = _text("element/"), _text("element0")  # "0" comes after "/".
        held = self._read("kv/range", key=first, range_end=end)
        return [int(b64decode(pair["value"])) for pair in held.get("kvs", [])]

    def ping(self) -> None:
        self._read("maintenance/status")

    def tick(self) -> None:
        self._ask("kv/put", key=_text("tick"))

    def is_leader(self) -> bool:
        said = self._read("maintenance/status")
        return bool(said.get("leader") == said["header"]["member_id"])

    def digest(self) -> str:
        """Of every key as this node holds it, with its versions."""
        held = self._read("kv/range", key="AA==", range_end="AA==", serializable=True)
        return hashlib.sha256(json.dumps(held.get("kvs")).encode()).hexdigest()

    def members(self) -> list[str]:
        return list(self._ids())

    def add_member(self, node: str) -> None:
        self._ask("cluster/member/add", peerURLs=[self._url(node)])

    def remove_member(self, node: str) -> None:
        self._ask("cluster/member/remove", ID=self._ids()[node])

    def transfer(self, node: str) -> None:
        self._ask("maintenance/transfer-leadership", targetID=self._ids()[node])

    def close(self) -> None:
        self._connection.close()

    def _ids(self) -> dict[str, str]:
        """Node -> the number of the member that listens there, for each member."""
        listed = self._read("cluster/member/list")["members"]
        ids = {member["peerURLs"][0]: member["ID"] for member in listed}
        nodes = self._endpoint.nodes
        return {node: ids[url] for node in nodes if (url := self._url(node)) in ids}

    def _url(self, node: str) -> str:
        return f"http://{self._endpoint.cluster_address(node)}:{PEER_PORT}"

    def _read(self, path: str, **body: Any) -> dict[str, Any]:
        try:
            return self._ask(path, **body)
        except EtcdError as error:  # A read changes nothing.
            raise NotApplied(str(error)) from error

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        self._connection.request("POST", f"/v3/{path}", json.dumps(body))
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status == 200:
            return answer
        code, said = answer.get("code"), str(answer.get("message") or answer)
        raise NotApplied(said, code) if code in _REFUSED else EtcdError(f"code {code}: {said}")


class Etcd(Processes):
    """A key-value store replicated by Raft: this machine's etcd."""

    peer = f"{{node}}=http://{{address}}:{PEER_PORT}"
    client_ports = (CLIENT_PORT,)
    peer_ports = (PEER_PORT,)
    client = EtcdClient
    version = "etcd --version"
    takes_time_from_libc = False  # Go asks the kernel itself.
    maps_files = True  # bbolt does.
    install = "apt-get install etcd-server"
    options = OPTIONS

    def command(self, node: Node) -> str:
        clients, peers = (f"http://{{address}}:{port}" for port in (CLIENT_PORT, PEER_PORT))
        return (
            "etcd --name {node} --data-dir {data} --logger zap --initial-cluster {peers}"
            f" --initial-cluster-state {'existing' if node.joins else 'new'}"
            f" --listen-client-urls {clients} --advertise-client-urls {clients}"
            f" --listen-peer-urls {peers} --initial-advertise-peer-urls {peers}"
            " --heartbeat-interval {heartbeat-ms} --snapshot-count {snapshot-count}"
            f" --election-timeout {10 * node.options['heartbeat-ms']}"
        )


def _cell(key: int) -> dict[str, str]:
    """What names a key of transactions in a request."""
    return {"key": _text(f"cell/{key}")}


def _text(value: object) -> str:
    return b64encode(str(value).encode()).decode()
