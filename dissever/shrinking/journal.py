"""
Every answer of a search, written as it comes: the same search, asked again, goes on where it was.

A search is deterministic, so its state is the answers that it was given. A line holds a candidate's
digest, its seed, which attempt of it this was, and the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

import msgspec

from dissever.shrinking.trials import Answer, Answers, Task, Tries

__all__ = ["Journal"]


class _Line(msgspec.Struct, frozen=True):
    """One attempt."""

    candidate: str
    seed: int
    number: int
    answer: Answer


class Journal:
    """Implements `Tries`: asks another one for what it does not know."""

    def __init__(self, path: Path, tries: Tries, heard: Callable[[Task, Answer], None]) -> None:
        """
        Args:
            heard: Called with each attempt that was made now; what it raises ends the search.
        """
        self._path = path
        self._tries = tries
        self._heard = heard
        self._known: dict[tuple[str, int, int], Answer] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                with suppress(msgspec.DecodeError):  # The last one may be cut.
                    read = msgspec.json.decode(line, type=_Line)
                    self._known[read.candidate, read.seed, read.number] = read.answer

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, tasks: Iterable[Task]) -> Answers:
        """As `Tries`."""
        asked = iter(tasks)
        for task in asked:
            known = self._known.get(_name(task))
            if known is None:
                yield from self._made(chain([task], asked))
                return
            yield task, known

    def _made(self, tasks: Iterable[Task]) -> Answers:
        """Make attempts; what is known among them waits for those before it."""
        waiting: deque[tuple[Task, Answer]] = deque()
        before: deque[int] = deque()

        def unknown() -> Iterator[Task]:
            for task in tasks:
                known = self._known.get(_name(task))
                if known is None:
                    before.append(len(waiting))
                    yield task
                else:
                    waiting.append((task, known))

        taken = 0
        with closing(self._tries(unknown())) as made:
            for task, answer in made:
                for _ in range(before.popleft() - taken):
                    taken += 1
                    yield waiting[taken - 1]
                self._keep(task, answer)
                yield task, answer
        yield from list(waiting)[taken:]

    def _keep(self, task: Task, answer: Answer) -> None:
        candidate, seed, number = name = _name(task)
        self._known[name] = answer
        line = msgspec.json.encode(_Line(candidate, seed, number, answer))
        with self._path.open("ab") as file:
            file.write(line + b"\n")
        self._heard(task, answer)


def _name(task: Task) -> tuple[str, int, int]:
    return task.candidate.digest, task.candidate.options.seed, task.number
