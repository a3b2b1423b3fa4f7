"""
A key-value server for tests: the first node holds everything, the others pass requests on.

`server.py NAME HOST PORT PEERS DATA`; PEERS is `n1=10.0.0.1:80,…`. A request is a line of JSON, and
so is its answer. What is written is on the disk before it is acknowledged.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from pathlib import Path
from socket import create_connection
from typing import Any

NAME, HOST, PORT, PEERS, DATA = sys.argv[1:]
HOLDER = PEERS.split(",")[0].split("=")[1].split(":")
FILE = Path(DATA, "map.json")
IS_HOLDER = PEERS.split(",")[0].split("=")[0] == NAME

held: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
lock = threading.Lock()


def answer(f: str, key: Any = None, value: Any = None, old: Any = None) -> Any:
    if f == "leads":
        return IS_HOLDER
    if f == "digest":
        return "all that the first node holds"
    with lock:
        if f == "read":
            return held.get(str(key))
        if f == "cas" and held.get(str(key)) != old:
            return False
        held[str(key)] = value
        FILE.write_text(json.dumps(held))
        return True


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            if IS_HOLDER or request["f"] in ("leads", "digest"):
                said = json.dumps(answer(**request)).encode() + b"\n"
            else:
                with create_connection((HOLDER[0], int(HOLDER[1])), timeout=2) as link:
                    link.sendall(line)
                    said = link.makefile("rb").readline()
            self.wfile.write(said)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100


Server((HOST, int(PORT)), Handler).serve_forever()
