"""
A correct store of registers, lists and a set, in memory; one request and one answer are a line.

BEGIN waits until no other connection has a transaction open. One that is open when its connection
ends is rolled back.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.before: dict[str, str] | None = None
        try:
            for line in self.rfile:
                self.wfile.write(f"{self.answer(*line.decode().split())}\n".encode())
        except OSError:
            pass  # The client is gone.
        finally:
            self.end(self.before)

    def answer(self, word: str, *words: str) -> str:
        if word == "BEGIN":
            self.server.transaction.acquire()
            self.before = dict(self.server.values)
        elif word in ("COMMIT", "ROLLBACK"):
            self.end(self.before if word == "ROLLBACK" else None)
        else:
            with self.server.lock:
                return self.server.apply(word, *words)
        return "done"

    def end(self, values: dict[str, str] | None) -> None:
        if self.before is not None:
            self.before = None
            if values is not None:
                self.server.values = values
            self.server.transaction.release()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.transaction = threading.Lock()
        self.values: dict[str, str] = {}
        self.elements: list[str] = []

    def apply(self, word: str, *words: str) -> str:
        if word == "GET":
            return self.values.get(words[0], "nothing")
        if word == "SET":
            self.values[words[0]] = words[1]
        elif word == "CAS":
            if self.values.get(words[0]) != words[1]:
                return "no"
            self.values[words[0]] = words[2]
        elif word == "PUSH":
            held = self.values.get(words[0])
            self.values[words[0]] = words[1] if held is None else f"{held},{words[1]}"
        elif word == "ADD":
            self.elements.append(words[0])
        else:
            return f"[{','.join(self.elements)}]"
        return "done"


@contextmanager
def serving() -> Iterator[str]:
    """Where it serves, while it lasts: `127.0.0.1:4711`."""
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
