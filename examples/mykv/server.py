"""
A replicated key-value service over HTTP: python server.py --help

    GET /keys/K                          {"value": V}; null when K was never written
    PUT /keys/K {"value": V}             {}
    PUT /keys/K {"value": V, "if": W}    {}; 412 when the value is not W

503 means that nothing was changed and nothing will be. 504 means that nobody knows.

Each key is a register of its own. The node that a client asks changes it in two rounds, and each
round needs a majority of the nodes. In the first, nodes promise to ignore older rounds, and show
their copies. In the second they store a new copy, made of the newest one.

Source: Rystsov, "CASPaxos: Replicated State Machines without logs" (2018).
"""

import argparse
import json
import os
import random
import threading
import time
import zlib
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWER_S = 0.3  # How long a node waits for the answer of another node.
CHANGE_S = 0.8  # How long it tries to change a key.
NOTHING = {"promised": [0, ""], "accepted": [0, ""], "value": None, "changes": {}}


class NotApplied(Exception):
    """Nothing was changed, and nothing will be."""


class Storage:
    """What this node promised and accepted: key -> record, in memory and in a log on disk."""

    def __init__(self, path):
        self.records = {}
        self.file = path.open("ab+", buffering=1 << 16)  # Few large writes are fast.
        self.file.seek(0)
        whole = 0
        for line in self.file:
            checksum, _, text = line.partition(b" ")
            if checksum != b"%08x" % zlib.crc32(text):
                break  # The node stopped while it wrote this line.
            key, self.records[key] = json.loads(text)
            whole += len(line)
        self.file.truncate(whole)
        sync_folder(path.parent)

    def get(self, key):
        return self.records.get(key, NOTHING)

    def put(self, key, record):
        text = json.dumps([key, record]).encode() + b"\n"
        try:
            self.file.write(b"%08x %s" % (zlib.crc32(text), text))
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:  # Nobody knows what the disk holds now; a new start reads it.
            print(f"the disk failed: {error}", flush=True)
            os._exit(1)
        self.records[key] = record


def sync_folder(path):
    """Make sure that the files of a folder are still in it after a power failure."""
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Node:
    """A node: it takes part in the rounds of others, and begins its own for its clients."""

    def __init__(self, name, nodes, storage):
        self.name, self.nodes, self.storage = name, nodes, storage
        self.majority = len(nodes) // 2 + 1
        self.lock = threading.Lock()
        self.changing = {}  # Key -> a lock: this node makes one change of a key at a time.
        self.silent = {}  # Node -> when it last did not answer.
        self.pause = threading.Event()  # Nobody sets it. (`time.sleep` and libfaketime disagree.)

    def promise(self, key, ballot):
        """Promise to ignore all older rounds; the answer is the copy of this node."""
        with self.lock:
            record = self.storage.get(key)
            if ballot <= record["promised"]:
                return {"newer": record["promised"]}
            self.storage.put(key, {**record, "promised": ballot})
            return record

    def accept(self, key, ballot, value, changes):
        """Store a copy, unless this node promised a newer round."""
        with self.lock:
            newer = self.storage.get(key)["promised"]
            if ballot < newer:
                return {"newer": newer}
            copy = {"value": value, "changes": changes}
            self.storage.put(key, {"promised": ballot, "accepted": ballot, **copy})
            return {}

    def change(self, key, apply):
        """Change a key once: `apply` takes the value, and returns the new value and an answer."""
        until = time.monotonic() + CHANGE_S
        lock = self.changing.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=CHANGE_S):
            raise NotApplied(f"{self.name} is busy with other changes of {key}")
        try:
            number = 0
            results = {}  # Number of the round in which we applied the change -> the answer.
            while time.monotonic() < until:
                number = max(number, self.storage.get(key)["promised"][0]) + 1
                ballot = [number, self.name]
                answers = self.ask("promise", key, ballot)
                if self.agree(answers):
                    newest = max(answers, key=lambda record: record["accepted"])
                    value, changes = newest["value"], newest["changes"]
                    if changes.get(self.name) not in results:  # Else an earlier round worked.
                        value, results[number] = apply(value)
                        changes = {**changes, self.name: number}
                    answers = self.ask("accept", key, ballot, value, changes)
                    if self.agree(answers):
                        return results[changes[self.name]]
                number = max([number, *(answer.get("newer", [0])[0] for answer in answers)])
                self.pause.wait(random.uniform(0, 0.06))  # Another node changes this key, too.
        finally:
            lock.release()
        if results:
            raise TimeoutError(f"{self.name} does not know whether {key} will change")
        raise NotApplied(f"{self.name} reaches no majority")

    def agree(self, answers):
        """Whether a majority answered, and none of them knows a newer round."""
        return len(answers) >= self.majority and not any("newer" in each for each in answers)

    def ask(self, what, *arguments):
        """
        The answers to one round: of this node, and of as many others as a majority needs.

        A node that did not answer is left alone for a second.
        """
        answers = [getattr(self, what)(*arguments)]
        now = time.monotonic()
        heard = [n for n in self.nodes if n != self.name and now - self.silent.get(n, now - 9) > 1]
        for other in random.sample(heard, min(len(heard), self.majority - 1)):
            try:
                answers.append(post(self.nodes[other], what, arguments))
            except (OSError, HTTPException):
                self.silent[other] = time.monotonic()
        return answers


def post(address, what, arguments):
    """Ask another node."""
    connection = HTTPConnection(address, timeout=ANSWER_S)
    try:
        connection.request("POST", f"/{what}", json.dumps(arguments))
        return json.load(connection.getresponse())
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    """One request, of a client or of another node."""

    node = None

    def do_GET(self):
        if self.path == "/ping":
            self.answer(200, {})
        else:
            self.change(lambda value: (value, (200, {"value": value})))

    def do_PUT(self):
        wanted = self.body()

        def apply(value):
            if "if" in wanted and wanted["if"] != value:
                return value, (412, {"error": f"the value is {value}"})
            return wanted["value"], (200, {})

        self.change(apply)

    def do_POST(self):
        round_of = {"/promise": self.node.promise, "/accept": self.node.accept}
        self.answer(200, round_of[self.path](*self.body()))

    def change(self, apply):
        try:
            self.answer(*self.node.change(self.path.removeprefix("/keys/"), apply))
        except NotApplied as error:
            self.answer(503, {"error": str(error)})
        except TimeoutError as error:
            self.answer(504, {"error": str(error)})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status, answer):
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Requests are not logged."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description="One node of a replicated key-value service.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--peers", required=True, metavar="NAME=HOST:PORT,…", help="all nodes")
    parser.add_argument("--data", required=True, metavar="FOLDER", type=Path)
    options = parser.parse_args()
    nodes = dict(peer.split("=") for peer in options.peers.split(","))
    Handler.node = Node(options.name, nodes, Storage(options.data / "log"))
    host, port = options.listen.split(":")
    Server((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
