"""
One reader: the same history in every format that can carry it, small and as if large.

A thousand histories are drawn, of several models, some that no correct object can have, some that
were changed or noted. Each is written in six formats. The verdict, the notes and the explanation
must be the same in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import msgspec
import pytest

from dissever import judging
from dissever.harness.history import Event, Type
from dissever.harness.results import Verdict
from dissever.judging import Judged, judge_file

HISTORIES: Final = 1_000
BATCHES: Final = 10

ASKED: Final[dict[str, list[tuple[str, Any]]]] = {
    "register": [("read", None), ("write", 0), ("write", 1)],
    "cas-register": [("read", None), ("write", 0), ("write", 2), ("cas", [0, 1]), ("cas", [1, 0])],
    "set": [("read", None), ("add", 0), ("add", 1)],
    "queue": [("dequeue", None), ("enqueue", 0), ("enqueue", 1)],
    "kv": [("get", None), ("append", "x"), ("append", "y"), ("put", "z")],
}
ANSWERS: Final[dict[tuple[str, str], list[Any]]] = {
    ("register", "read"): [None, 0, 1],
    ("cas-register", "read"): [None, 0, 1],
    ("set", "read"): [[], [0], [1], [0, 1]],
    ("queue", "dequeue"): [0, 1],
    ("kv", "get"): ["", "x", "xy", "z"],
}

Fields: TypeAlias = list[tuple[str, Any]]


def _history(model: str, rng: Random) -> list[Event]:
    """
    Three processes and a nemesis. A process may go on after an info, and once in a while two events
    contradict each other.
    """
    events: list[Event] = []
    pending: dict[int, tuple[str, Any]] = {}
    wrong = rng.random() < 0.1
    for _ in range(rng.randrange(1, 14)):
        index = len(events)
        process = rng.randrange(4)
        time = index * 1_000_000
        if process == 3:
            f = rng.choice(["kill", "start"])
            events.append(Event(index, time, "nemesis", Type.INFO, f, "n1"))
        elif process not in pending:
            f, value = pending[process] = rng.choice(ASKED[model])
            events.append(Event(index, time, process, Type.INVOKE, f, value))
        else:
            f, value = pending.pop(process)
            kind = rng.choice([Type.OK] * 6 + [Type.FAIL, Type.INFO])
            answers = ANSWERS.get((model, f), [value])
            answer = rng.choice(answers) if kind is Type.OK else value
            if wrong and rng.random() < 0.3:
                f = "other"
            events.append(Event(index, time, process, kind, f, answer))
    return events


def _fields(event: Event) -> Fields:
    fields: Fields = [("process", event.process), ("type", str(event.type)), ("f", event.f)]
    return [*fields, ("value", event.value)]


def _edn(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, list):
        return "[" + " ".join(map(_edn, value)) + "]"
    return json.dumps(value)


def _json_lines(events: list[Event], rng: Random) -> str:
    """The fields of each line in another order."""
    return "".join(
        json.dumps(dict(rng.sample(_fields(event), 4))) + "\n" for event in events
    )  # fmt: skip


def _json_array(events: list[Event], rng: Random) -> str:
    return json.dumps([dict(_fields(event)) for event in events], indent=rng.choice([None, 2]))


def _edn_maps(events: list[Event], rng: Random) -> str:
    """Keywords for names; in one vector or one after another, in any order of fields."""
    maps = []
    for event in events:
        names = {"process": _name(event.process), "type": f":{event.type}", "f": f":{event.f}"}
        names["value"] = _edn(event.value)
        pairs = rng.sample(list(names.items()), 4)
        maps.append("{" + ", ".join(f":{name} {value}" for name, value in pairs) + "}")
    return rng.choice(["{}\n", "[{}]", "; maps\n({})"]).replace("{}", "\n ".join(maps))


def _name(process: int | str) -> str:
    return str(process) if isinstance(process, int) else f":{process}"


def _etcd_log(events: list[Event], rng: Random) -> str:
    return "".join(f"INFO  jepsen.util - {_words(event, ' ')}\n" for event in events)


def _history_txt(events: list[Event], rng: Random) -> str:
    return "".join(_words(event, "\t") + "\n" for event in events)


def _jepsen_log(events: list[Event], rng: Random) -> str:
    """With the time and the thread in front, and a line between that says nothing."""
    head = "2026-01-01 10:00:00,000{GMT}\tINFO\t[jepsen worker 1] jepsen.util: "
    return "".join(head + _words(event, "\t") + "\n" for event in events)


def _words(event: Event, between: str) -> str:
    words = (_name(event.process), f":{event.type}", f":{event.f}", _edn(event.value))
    return between.join(words)


def _kv_text(events: list[Event], rng: Random) -> str:
    """Porcupine's: a map a line, with a key that is the same in all."""
    return "".join(
        f'{{:process {_name(event.process)}, :type :{event.type}, :f :{event.f}, :key "k", '
        f":value {_edn(event.value)}}}\n"
        for event in events
    )


Writer: TypeAlias = Callable[[list[Event], Random], str]

FORMATS: Final[dict[str, Writer]] = {
    "json lines": _json_lines,
    "json array": _json_array,
    "edn": _edn_maps,
    "etcd log": _etcd_log,
    "history.txt": _history_txt,
    "jepsen.log": _jepsen_log,
}


def _said(judged: Judged) -> Any:
    """
    All that a reader is told, except the name of the format, and the memory that a search took: it
    depends on how many values there are, those of nemeses included, which JSON keeps as written.
    """
    results = msgspec.to_builtins(judged.results)
    about = [each for each in results["results"] if each["checker"] == "file"]
    for each in results["results"]:
        each["details"].pop("peak_bytes", None)
    said = json.dumps([results, judged.notes])
    for each in about:
        said = said.replace(each["details"]["format"], "a format")
    return json.loads(said)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_format_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    rng = Random(f"formats {batch}")
    verdicts: list[Verdict] = []
    said: list[str] = []
    for number in range(HISTORIES // BATCHES):
        model = rng.choice(list(ASKED))
        events = _history(model, rng)
        written = {name: write(events, rng) for name, write in FORMATS.items() if events}
        judged = {}
        for name, text in written.items():
            path = tmp_path / "history"
            path.write_text(text, encoding="utf-8")
            judged[name] = judge_file(path, model)
        first = judged["json lines"]
        verdicts.append(first.results.verdict)
        said += [first.results.why, *first.notes]

        for name, each in judged.items():
            assert _said(each) == _said(first), (number, name, written[name])
            assert each.history == first.history
        if model == "kv":
            path.write_text(_kv_text(events, rng), encoding="utf-8")
            keyed = judge_file(path, model)
            assert keyed.results.verdict is first.results.verdict
            assert keyed.notes == first.notes
        monkeypatch.setattr(judging, "WHOLE_OPERATIONS_MAX", 0)
        large = judge_file(path, model)
        monkeypatch.undo()
        assert large.results.results[0].verdict is first.results.results[0].verdict
    assert set(verdicts) == set(Verdict)
    for each in ("malformed", "no operation succeeded", "counts as a new process"):
        assert any(each in text for text in said)
