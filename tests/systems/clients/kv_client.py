"""
A client of the protocol of programs, for the store of `kv_server.py`, with mistakes to choose.

Usage: kv_client.py [MISTAKE]
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

MISTAKE = sys.argv[1] if len(sys.argv) > 1 else ""

Answer = tuple[str, Any]


class Connection:
    """One connection, made when it is needed; each request and each answer is a line."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.where = host, int(port)
        self.made: socket.socket | None = None

    def ask(self, words: str) -> str:
        for attempt in range(3):
            try:
                if self.made is None:
                    self.made = socket.create_connection(self.where)
                self.made.sendall(f"{words}\n".encode())
                answer = b""
                while not answer.endswith(b"\n"):
                    data = self.made.recv(4096)
                    if not data:
                        raise ConnectionResetError("the node hung up")
                    answer += data
                return answer.decode().strip()
            except OSError:
                if self.made is not None:
                    self.made.close()
                self.made = None
                if MISTAKE != "retries" or attempt == 2:
                    raise
        raise AssertionError


def apply(connection: Connection, f: str, key: Any, value: Any, cache: dict[Any, Any]) -> Answer:
    if f == "read" and key is None:
        return "ok", json.loads(connection.ask("ALL"))
    if f == "read":
        if MISTAKE == "caches" and key in cache:
            return "ok", cache[key]
        text = connection.ask(f"GET {key}")
        if MISTAKE == "texts":
            return "ok", text
        return "ok", None if text == "nothing" else int(text)
    if f == "write":
        connection.ask(f"SET {key} {value}")
        cache[key] = value
        return "ok", value
    if f == "cas":
        words = f"CAS {key} {value[0]} {value[1]}"
        if MISTAKE == "never-compares":
            words = f"SET {key} {value[1]}"
        return ("ok", value) if connection.ask(words) == "done" else ("fail", "another value")
    if f == "txn":
        return transaction(connection, value)
    if f == "add":
        connection.ask(f"ADD {value}")
        return "ok", value
    if MISTAKE == "dies":
        raise KeyError(f)
    return "fail", f"unknown request {f}"


def transaction(connection: Connection, operations: Any) -> Answer:
    if MISTAKE != "no-transaction":
        connection.ask("BEGIN")
    done = []
    for f, key, value in operations:
        if f == "r":
            text = connection.ask(f"GET l{key}")
            value = [] if text == "nothing" else [int(each) for each in text.split(",")]
            value = text if MISTAKE == "texts" else value
        elif MISTAKE != "forgets":
            connection.ask(f"PUSH l{key} {value}")
        done.append([f, key, value])
    if MISTAKE != "no-transaction":
        connection.ask("COMMIT")
    return "ok", done[:-1] if MISTAKE == "drops" else done


def main() -> None:
    connection, cache = Connection("127.0.0.1:1"), {}
    for line in sys.stdin:
        request = json.loads(line)
        number, f = request["id"], request["f"]
        if f == "open":
            if MISTAKE == "other-address":
                request["value"]["address"] = sys.argv[2]
            connection = Connection(request["value"]["address"])
            say({"id": 0, "type": "ok"})
            continue
        try:
            outcome, value = apply(connection, f, request.get("key"), request["value"], cache)
            answer = {"id": number, "type": outcome, "value": value}
            if outcome == "fail":
                answer["error"] = value
        except OSError as error:
            outcome = {"always-fail": "fail", "always-ok": "ok"}.get(MISTAKE, "info")
            if isinstance(error, ConnectionRefusedError) and outcome == "info":
                outcome = "fail"
            answer = {"id": number, "type": outcome, "error": str(error)}
        if MISTAKE == "wrong-id":
            answer["id"] = 7
        if MISTAKE == "logs":
            print(f"handled {f}")
        if MISTAKE == "silent":
            continue
        say(answer)
        if MISTAKE == "twice":
            say(answer)
    while MISTAKE == "stays":
        time.sleep(1)


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
