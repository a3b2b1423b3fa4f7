"""
A simulator that speaks the frames of frames.h, in Python: nodes that share one state, and no raft.

The lowest node that runs leads. A key of a request may make it misbehave: `--crash-at N` ends it as
a library that crashes would, at the N-th request; `--garbage` and `--quit` break the conversation
there instead. `--SIGINT` and `--SIGTERM` send that signal to the harness, and answer nothing from
then on; `--SIGINT-twice` sends another one.
"""

import heapq
import os
import signal
import struct
import sys
import time
import zlib
from itertools import count
from random import Random

LATENCY_NS = (500_000, 3_000_000)


def text(word):
    return struct.pack("<H", len(word)) + word.encode()


class Fake:
    def __init__(self, how, at):
        self.how, self.at = how, at
        self.now, self.order, self.heap, self.said = 0, count(), [], []
        self.requests = 0
        self.running, self.paused, self.incarnation = {}, set(), {}
        self.connections, self.arrival = {}, {}
        self.registers, self.elements = {}, []
        self.cuts, self.impaired, self.counts = set(), {}, {}
        self.rules, self.clocks, self.failed = {}, {}, {}
        self.digest = 0

    def speak(self):
        source, out = sys.stdin.buffer, sys.stdout.buffer
        while head := source.read(4):
            body = source.read(struct.unpack("<I", head)[0])
            self.answer(body[0], body[1:])
            for frame in self.said:
                out.write(struct.pack("<I", len(frame)) + frame)
            self.said.clear()
            out.flush()
            if body[0] == 4:
                return

    def say(self, kind, fields=b""):
        self.said.append(bytes([kind]) + fields)

    def later(self, delay_ns, step):
        heapq.heappush(self.heap, (self.now + delay_ns, next(self.order), step))

    def latency(self):
        return self.rng.randint(*LATENCY_NS)

    def leader(self):
        able = [node for node in range(self.servers) if self.running.get(node)]
        return min((node for node in able if node not in self.paused), default=0xFF)

    def answer(self, kind, fields):
        handle = getattr(self, f"on_{kind}", None)
        if handle is None:
            self.say(101, text(f"no frame {kind}"))
        elif handle(fields) is None:
            self.say(100)

    def on_1(self, fields):
        seed, self.servers, options = struct.unpack_from("<QBH", fields)
        self.rng = Random(seed)
        for node in range(self.servers):
            self.running[node], self.incarnation[node] = False, 0
        if b"election_ms\x03\x00bad" in fields:
            self.say(101, text("expected a number for election_ms, got bad"))
        else:
            self.say(102, text(f"fake with {options} options"))
        return True

    def on_2(self, fields):
        (until,) = struct.unpack("<Q", fields)
        while self.heap and self.heap[0][0] <= until and not self.said:
            self.now, _, step = heapq.heappop(self.heap)
            step()
        if not self.said:
            self.now = max(self.now, until)
        self.say(103, struct.pack("<QB", self.now, not self.heap))
        return True

    def on_3(self, fields):
        self.rng = Random(struct.unpack("<Q", fields)[0])

    def on_4(self, fields):
        self.say(104, struct.pack("<H", 1) + text("hash") + text(f"{self.digest:016x}"))
        return True

    # Clients.

    def on_10(self, fields):
        number, node = struct.unpack("<IB", fields)
        self.connections[number] = node
        self.arrival[number] = self.now

        def arrive():
            if self.running[node]:
                self.say(120, struct.pack("<QI", self.now, number))
            else:
                self.connections.pop(number, None)
                self.say(122, struct.pack("<QIB", self.now, number, 1))

        self.in_order(number, arrive)

    def on_11(self, fields):
        number, size = struct.unpack_from("<II", fields)
        if number in self.connections:
            self.in_order(number, lambda: self.request(number, fields[8 : 8 + size]))

    def on_12(self, fields):
        self.connections.pop(struct.unpack("<I", fields)[0], None)

    def in_order(self, number, step):
        self.arrival[number] = max(self.arrival[number] + 1, self.now + self.latency())
        self.later(self.arrival[number] - self.now, step)

    def request(self, number, data):
        node = self.connections.get(number)
        if node is None or not self.running[node]:
            return
        if node in self.paused:
            self.later(10_000_000, lambda: self.request(number, data))
            return
        self.requests += 1
        if self.how and self.requests == self.at:
            self.misbehave(node)
        self.digest = zlib.crc32(repr((self.digest, self.now, data)).encode())
        _, identity, function = struct.unpack_from("<IIB", data)
        if node != self.leader():
            answer = struct.pack("<BHB", 1, 10, self.leader()) + text("not leader")
        else:
            answer = b"\0" + self.applied(function, data[9:])
        answer = struct.pack("<I", identity) + answer
        framed = struct.pack("<I", len(answer)) + answer

        def arrive():
            if number in self.connections:
                blob = struct.pack("<I", len(framed)) + framed
                self.say(121, struct.pack("<QI", self.now, number) + blob)

        self.in_order(number, arrive)

    def applied(self, function, data):
        if function in (4, 6):
            return struct.pack("<I", len(self.elements)) + struct.pack(
                f"<{len(self.elements)}q", *self.elements
            )
        if function == 3:
            self.elements.append(struct.unpack("<q", data)[0])
            return b""
        key, *values = struct.unpack(f"<I{(len(data) - 4) // 8}q", data)
        held = self.registers.get(key)
        if function in (0, 5):
            return struct.pack("<Bq", held is not None, held or 0)
        if function == 1:
            self.registers[key] = values[0]
            return b""
        is_done = held == values[0]
        if is_done:
            self.registers[key] = values[1]
        return bytes([is_done])

    def misbehave(self, node):
        if self.how == "crash":
            fields = struct.pack("<QBIiB", self.now, node, self.incarnation[node], -6, 0)
            frame = bytes([123]) + fields
            os.write(1, struct.pack("<I", len(frame)) + frame)
            print("raft.c:12: fake: Assertion `fine' failed", file=sys.stderr, flush=True)
            os._exit(1)
        if self.how == "garbage":
            os.write(1, b"\xff\xff\xff\xff what is this")
        if self.how == "quit":
            os._exit(7)
        if self.how.startswith("SIG"):
            name, _, twice = self.how.partition("-")
            os.kill(os.getppid(), signal.Signals[name])
            if twice:
                time.sleep(0.2)
                os.kill(os.getppid(), signal.Signals[name])
        sys.stdin.read()  # It never answers.

    # Processes.

    def on_20(self, fields):
        self.running[fields[0]] = True
        self.incarnation[fields[0]] += 1

    def on_21(self, fields):
        node = fields[0]

        def end():
            if self.end(node):
                exit_ = struct.pack("<QBIiB", self.now, node, self.incarnation[node], 0, 1)
                self.say(123, exit_)

        self.later(5_000_000, end)

    def on_22(self, fields):
        self.end(fields[0])
        line = b'{"time":%d,"kind":"note","node":null,"text":"killed"}' % self.now
        self.say(127, struct.pack("<QI", self.now, len(line)) + line)
        self.say(105, struct.pack("<II", 2 * fields[1], 1))
        return True

    def end(self, node):
        was, self.running[node] = self.running[node], False
        self.paused.discard(node)
        for number in [each for each, to in self.connections.items() if to == node]:
            del self.connections[number]
            reset = struct.pack("<I", number) + b"\2"
            self.later(self.latency(), lambda reset=reset: self.reset(reset))
        return was

    def reset(self, fields):
        self.say(122, struct.pack("<Q", self.now) + fields)

    def on_23(self, fields):
        self.paused.add(fields[0])

    def on_24(self, fields):
        self.paused.discard(fields[0])

    def on_25(self, fields):
        node, leader = fields[0], self.leader()
        running = self.running[node] * (1 + (node in self.paused))
        role = (3 if node == leader else 1) if running else 0
        known = leader if running else 0xFF
        head = struct.pack("<BIBBQB", running, self.incarnation[node], role, known, 1, known)
        members = b"".join(struct.pack("<BB", each, 1) for each in range(self.servers))
        state = (sorted(self.registers.items()), sorted(self.elements))
        indices = struct.pack("<7Q", 1, 1, 1, 1, 1, 0, 0)
        digest = struct.pack("<Q", zlib.crc32(repr(state).encode()) if running else 0)
        self.say(106, head + indices + bytes([self.servers]) + members + digest)
        return True

    # The network.

    def on_30(self, fields):
        self.cuts = set(self.pairs(fields))

    def on_31(self, fields):
        rules = struct.iter_unpack("<BB10d", fields[2:])
        self.impaired = {(each[0], each[1]): each[2:] for each in rules}

    def on_32(self, fields):
        self.say(
            108 - 1,
            struct.pack("<H", len(self.counts))
            + b"".join(
                struct.pack("<BB7Q", *link, sent, 0, 0, 0, 0, 0, cut)
                for link, (sent, cut) in sorted(self.counts.items())
            ),
        )
        return True

    def on_33(self, fields, counted=1):
        link = fields[0], fields[1]
        sent_ns = self.now
        sent, cut = self.counts.get(link, (0, 0))
        is_cut = link in self.cuts
        self.counts[link] = sent + counted, cut + is_cut

        def arrive():
            self.say(125, struct.pack("<QBBQ", self.now, *link, sent_ns))

        if not is_cut:
            self.later(self.latency(), arrive)

    def on_34(self, fields):
        self.on_33(fields, counted=0)

    @staticmethod
    def pairs(fields):
        return list(struct.iter_unpack("<BB", fields[2:]))

    # Disks, clocks, memory, members.

    def on_40(self, fields):
        (size,) = struct.unpack_from("<H", fields, 1)
        name, is_on = fields[3 : 3 + size].decode(), fields[3 + size]
        rules = self.rules.setdefault(fields[0], {})
        rules.pop(name, None)
        if is_on:
            rules[name] = 3

    def on_41(self, fields):
        rules = self.rules.get(fields[0], {})
        named = b"".join(text(name) + struct.pack("<Q", hits) for name, hits in rules.items())
        self.say(108, struct.pack("<H", len(rules)) + named)
        return True

    def on_42(self, fields):
        node, offset_s, rate = struct.unpack("<Bdd", fields)
        self.clocks[node] = offset_s, rate, self.now

    def on_43(self, fields):
        offset_s, rate, since = self.clocks.get(fields[0], (0.0, 1.0, 0))
        self.say(109, struct.pack("<d", offset_s + (rate - 1) * (self.now - since) / 1e9))
        return True

    def on_44(self, fields):
        node, number = struct.unpack("<BQ", fields)
        self.failed[node] = self.failed.get(node, 0) + (number > 0)

    def on_45(self, fields):
        self.say(110, struct.pack("<Q", self.failed.get(fields[0], 0)))
        return True

    def on_46(self, fields):
        if self.running[fields[0]]:
            self.say(101, text("it runs"))
            return True
        return None

    def on_50(self, fields):
        number, node, what, member, _ = struct.unpack("<IBBBB", fields)
        status = 0 if node == self.leader() else 10

        def changed():
            why = "" if status == 0 else f"not leader, asked for {what} of {member}"
            self.say(124, struct.pack("<QII", self.now, number, status) + text(why))

        self.later(self.latency(), changed)


if __name__ == "__main__":
    how, at = (sys.argv[1].removeprefix("--"), int(sys.argv[2])) if sys.argv[1:] else ("", 0)
    Fake(how, at).speak()
