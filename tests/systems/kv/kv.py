"""kv: a key-value store whose first node holds everything."""

from __future__ import annotations

import json
from socket import create_connection
from typing import Any

from dissever import Processes


class KvClient:
    def __init__(self, endpoint: Any) -> None:
        self._link = create_connection((endpoint.host, endpoint.port))
        self._lines = self._link.makefile("rb")

    def read(self, key: int) -> Any:
        return self._ask(f="read", key=key)

    def write(self, key: int, value: int) -> None:
        self._ask(f="write", key=key, value=value)

    def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return bool(self._ask(f="cas", key=key, old=old, value=new))

    def is_leader(self) -> bool:
        return bool(self._ask(f="leads"))

    def digest(self) -> str:
        return str(self._ask(f="digest"))

    def close(self) -> None:
        self._lines.close()
        self._link.close()

    def _ask(self, **request: Any) -> Any:
        self._link.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self._lines.readline() or b"")


class Kv(Processes):
    """A key-value store whose first node holds everything."""

    command = "{python} {here}/server.py {node} {address} 8080 {peers} {data}"
    peer = "{node}={address}:8080"
    client_ports = (8080,)
    peer_ports = (8080,)
    client = KvClient
