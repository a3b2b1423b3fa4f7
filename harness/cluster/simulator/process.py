"""
A simulator: a program that runs all servers of a run, and speaks frames over its stdin and stdout.

The two take turns. What the harness says is written when an answer is needed, so that many short
frames cost one system call. The simulator's own death, and silence for a long real time, are
failures of the harness: `SimulatorLost`. A signal for the harness is heard while it waits: if no
answer comes soon, the simulator is killed (`ClusterInterrupted`). Nothing else here depends on
real time.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, get_args

from dissever.harness.cluster import ClusterInterrupted, ClusterLost
from dissever.harness.cluster.simulator import answers, frames
from dissever.harness.cluster.simulator.answers import A, Answer, Done, Event, Now, Refused
from dissever.harness.cluster.simulator.frames import SIZE_MAX, Kind

SILENCE_S: Final = 120.0
"""A simulator that says nothing for this real time is stuck. It is a last resort."""

GRACE_S: Final = 1.0
"""
How long an answer may still take once a signal has come for the harness. A simulator that is not
stuck answers sooner, and the run that was interrupted ends in order.
"""

END_S: Final = 5.0
"""How long a simulator may take to end once its stdin is closed."""

_EVENTS: Final = frozenset(get_args(Event))
_SIZE: Final = struct.Struct("<I")
_READ_BYTES: Final = 1 << 16
_UNSENT_BYTES: Final = 1 << 15
"""More than this is written at once, whether an answer is needed or not."""


class SimulatorLost(ClusterLost):
    """The simulator has ended, is stuck, or does not speak as it should."""


class SimulatorProcess:
    """
    One run's simulator. Use `close` in the end.

    `heard` are the events that it said and nobody has taken, in order.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        wake_up: int | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        """
        Start it; its stderr goes to the log. It is not interrupted by a terminal's Ctrl-C.

        Args:
            wake_up: A file that becomes readable when a signal has come for this process.
            silence_s: It is stuck when it says nothing for this real time.

        Raises:
            OSError: When the program cannot be executed.
        """
        self.heard: list[Event] = []
        self._silence_s = silence_s
        self._unsent = bytearray()
        self._expected = 0
        self._input = b""
        self._at = 0
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                start_new_session=True,
            )
        self._stdin, self._stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        self._reading, self._both = select.poll(), select.poll()
        self._reading.register(self._stdout, select.POLLIN)
        self._both.register(self._stdout, select.POLLIN)
        self._both.register(self._stdin, select.POLLOUT)
        self._wake_up = wake_up
        if wake_up is not None:
            self._reading.register(wake_up, select.POLLIN)
            self._both.register(wake_up, select.POLLIN)

    @property
    def exit_status(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def send(self, frame: bytes) -> None:
        """Say something that is answered by OK; a refusal comes with the next answer."""
        self._say(frame)
        if len(self._unsent) > _UNSENT_BYTES:
            self._settle()

    def ask(self, frame: bytes, kind: type[A]) -> A:
        """
        Say something, and wait for the answer.

        Raises:
            SimulatorLost: When no such answer comes.
            ClusterInterrupted: When a signal comes before it.
        """
        self._settle()
        self._say(frame)
        answer = self._answer()
        if isinstance(answer, kind):
            return answer
        raise self._lost(f"it answered {_words(answer)} to {Kind(frame[4]).name}")

    def advance(self, until_ns: int) -> Now:
        """
        Let time pass until something is said, or until that time; `heard` has what was said.

        Raises:
            SimulatorLost: When it ends meanwhile; `heard` has what it said before.
            ClusterInterrupted: When a signal comes, and no answer soon after it.
        """
        self._say(frames.advance(until_ns))
        while True:
            answer = self._answer()
            if type(answer) is Now:
                return answer
            self._check(answer)

    def close(self) -> None:
        """End it, and wait until it has. Idempotent."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _say(self, frame: bytes) -> None:
        self._unsent += frame
        self._expected += 1

    def _settle(self) -> None:
        """Have everything answered that was said."""
        while self._expected:
            self._check(self._answer())

    def _check(self, answer: Answer) -> None:
        if type(answer) is not Done:
            raise self._lost(f"it answered {_words(answer)} where OK was expected")

    def _answer(self) -> Answer:
        """The next answer; events before it are heard."""
        while True:
            said: Any = self._frame()
            if type(said) in _EVENTS:
                self.heard.append(said)
            elif not self._expected:
                raise self._lost(f"it said {_words(said)}, and nothing was asked")
            else:
                self._expected -= 1
                answer: Answer = said
                return answer

    def _frame(self) -> Answer | Event:
        """The next frame, as soon as all of it is there."""
        there = len(self._input) - self._at
        if there < 4:
            self._await(4)
            there = len(self._input)
        (size,) = _SIZE.unpack_from(self._input, self._at)
        if not 1 <= size <= SIZE_MAX:
            raise self._lost(f"it sent a frame of {size:,} bytes, and {SIZE_MAX:,} are allowed")
        if there < 4 + size:
            self._await(4 + size)
        begin, self._at = self._at + 4, self._at + 4 + size
        try:
            return answers.decoded(self._input[begin : self._at])
        except answers.BadFrame as error:
            raise self._lost(f"it sent what is no frame: {error}") from error

    def _await(self, count: int) -> None:
        """Read until so many bytes are there, and write what is not sent meanwhile."""
        self._input = self._input[self._at :]
        self._at = 0
        while len(self._input) < count:
            self._write()
            for file, _ in self._ready():
                if file == self._stdout:
                    self._read()

    def _ready(self) -> list[tuple[int, int]]:
        waiting = self._both if self._unsent else self._reading
        try:
            ready = waiting.poll(self._silence_s * 1000)
            if [file for file, _ in ready] == [self._wake_up]:
                return self._ready_soon()
        except KeyboardInterrupt:  # The second Ctrl-C: what cleans up must not wait either.
            self._process.kill()
            raise
        if not ready:
            raise self._lost(f"it is stuck: it said nothing for {self._silence_s:g} s of real time")
        return ready

    def _ready_soon(self) -> list[tuple[int, int]]:
        """As `_ready`, once a signal has come."""
        answering = select.poll()
        answering.register(self._stdout, select.POLLIN)
        ready = answering.poll(GRACE_S * 1000)
        if not ready:
            self._process.kill()
            raise ClusterInterrupted("the simulator: it was killed, for it did not answer")
        return ready

    def _write(self) -> None:
        if self._unsent:
            try:
                del self._unsent[: os.write(self._stdin, self._unsent)]
            except BlockingIOError:
                pass  # It reads first what is there.
            except BrokenPipeError:
                self._unsent.clear()  # Its last words are read before its end is found.

    def _read(self) -> None:
        said = os.read(self._stdout, _READ_BYTES)
        if not said:
            status = self._process.wait()
            how = f"by {signal_name(-status)}" if status < 0 else f"with exit status {status}"
            raise self._lost(f"it ended {how}")
        self._input = self._input + said if self._input else said

    def _lost(self, why: str) -> SimulatorLost:
        return SimulatorLost(f"the simulator: {why}")


def _pipe(file: IO[bytes] | None) -> int:
    assert file is not None, "both are pipes"
    os.set_blocking(file.fileno(), False)
    return file.fileno()


def _words(answer: Answer) -> str:
    if isinstance(answer, Refused):
        return f"that it refuses: {answer.why}"
    return type(answer).__name__


def signal_name(number: int) -> str:
    """`SIGABRT`, or `signal 99`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
