"""
Anomalies without a cycle in plain words: what one or two transactions did that nobody may see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.transactions.view import MicroOperation, Transaction, same, shown
from dissever.harness.history import Type
from dissever.harness.values import show_ns

WRITTEN_MAX: Final = 3
"""Of what a transaction wrote to one key, as much stands in a sentence."""


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What an anomaly without a cycle is about.

    `one` is the transaction that is at fault, or the first of two; `other` the second one, None if
    there is none. `value` is what was read or written that should not be; None where that is all of
    a read.
    """

    one: Transaction
    other: Transaction | None
    key: Any
    value: Any

    @property
    def read(self) -> MicroOperation | None:
        """The last read of the key by `one` that holds the value, else its last read of the key."""
        return _read_of(self.one, self.key, self.value)

    @property
    def found(self) -> str:
        """That read in words."""
        read = self.read
        if read is None:
            return f"{self.one.label} used key {shown(self.key)}"
        return f"{self.one.label} read key {shown(self.key)} as {shown(read.value, [self.value])}"

    @property
    def which(self) -> str:
        """`, and 3` of a list that holds it; nothing of a register."""
        read = self.read
        is_list = read is not None and isinstance(read.value, list)
        return f", with {shown(self.value)}" if is_list else ""

    @property
    def writer(self) -> str:
        """The name of the other transaction."""
        return self.other.label if self.other is not None else "another transaction"


@dataclass(frozen=True, slots=True)
class Parting:
    """
    Two reads of a list of which neither begins the other: where one holds `element`, the other has
    `instead`. `is_missing`: it does not hold the element at all. `adder` appended the element.
    """

    key: Any
    element: Any
    instead: Any
    is_missing: bool
    adder: Transaction | None
    seen: Transaction
    without: Transaction

    @property
    def what(self) -> str:
        """The element, and that it is missing or stands elsewhere."""
        if self.is_missing:
            return f"{shown(self.element)} is missing"
        return f"{shown(self.instead)} stands before {shown(self.element)}"

    def found(self, reader: Transaction) -> str:
        """The list that a transaction read, around the place where the two part."""
        around = (self.element, self.instead)
        read = _read_of(reader, self.key, self.element if reader is self.seen else self.instead)
        return shown(read.value if read else None, around)


def parted(each: Parting) -> str:
    """One sentence on lists that differ, and one on how the element was there before."""
    element, key = shown(each.element), shown(each.key)
    node = each.without.operation.invocation.node
    reader = f"process {each.without.operation.process}" + (f" on {node}" if node else "")
    who_lacks = f"{each.without.label} ({reader})"
    at = show_ns(each.without.operation.invocation.time)
    found = f"{who_lacks} read at {at}: {each.found(each.without)}"
    if each.is_missing:
        what = f"{element}, {_added(each)}, is missing from what {found}"
    else:
        what = f"{shown(each.instead)} stands before {element} in key {key} as {found}"
    if each.seen is each.adder:
        return f"{what}, though {each.seen.label} itself read {each.found(each.seen)}"
    return f"{what}, though {each.seen.label} read {each.found(each.seen)}"


def parts(each: Parting) -> str:
    """Why both cannot be right."""
    both = f"the lists of {each.seen.label} and {each.without.label}"
    return f"a list only grows at its end, so of {both} one must begin the other, and neither does"


def _added(each: Parting) -> str:
    """`which T1 appended to key 0 and n4 acknowledged at 0.088 s`."""
    key = shown(each.key)
    if each.adder is None:
        return f"which {each.seen.label} read in key {key}"
    what = f"which {each.adder.label} appended to key {key}"
    end = each.adder.operation.completion
    if each.adder.is_ok and end is not None:
        node = end.node or each.adder.operation.invocation.node or "the system"
        return f"{what} and {node} acknowledged at {show_ns(end.time)}"
    if end is not None and each.adder.operation.type is Type.FAIL:
        return f"{what}, answered with a failure at {show_ns(end.time)}"
    return f"{what} and nobody acknowledged"


def sentence(name: str, scene: Scene) -> str:
    """One sentence for a newcomer."""
    return _SENTENCES[name](scene)


def _read_of(each: Transaction, key: Any, value: Any) -> MicroOperation | None:
    reads = [read for _, read in each.of("r", key)]
    with_value = [
        read
        for read in reads
        if any(same(one, value) for one in _elements(read.value)) or same(read.value, value)
    ]
    return next(reversed(with_value or reads), None)


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wrote(scene: Scene) -> str:
    is_list = any(True for _ in (scene.other or scene.one).of("append", scene.key))
    return "appended" if is_list else "wrote"


def _internal(scene: Scene) -> str:
    found = next(_contradictions(scene.one, scene.key), None)
    if found is None:
        return f"{scene.found}, but what it had read or written there itself does not allow that"
    read, before = found
    what = f"{scene.one.label} read key {shown(scene.key)} as {shown(read.value)}"
    return f"{what}, although before that it had itself {' and '.join(before)} there"


def _contradictions(each: Transaction, key: Any) -> Iterator[tuple[MicroOperation, list[str]]]:
    """Reads of a transaction that its own micro-operations refute, with these in words."""
    held: Any = None
    is_known, own, before = False, list[Any](), list[str]()
    for micro in each.micro:
        if not same(micro.key, key):
            continue
        if micro.kind == "append":
            own.append(micro.value)
            before.append(f"appended {shown(micro.value)}")
            continue
        if micro.kind == "r":
            is_list = isinstance(micro.value, list)
            end = micro.value[len(micro.value) - len(own) :] if is_list else None
            expected = [*held, *own] if is_list and isinstance(held, list) else held
            # Without a read before it, a list must at least end with what was appended.
            if (micro.value != expected) if is_known else (own and end != own):
                yield micro, before
        own = []
        held, is_known = micro.value, True
        before = [f"{'read' if micro.kind == 'r' else 'written'} {shown(micro.value)}"]


def _future_read(scene: Scene) -> str:
    return f"{scene.found}{scene.which}, which it wrote only after that read"


def _phantom(scene: Scene) -> str:
    return f"{scene.found}{scene.which}, which no transaction ever tried to write"


def _aborted_read(scene: Scene) -> str:
    what = f"{scene.found}{scene.which}, which {scene.writer} {_wrote(scene)}"
    return f"{what}; but {scene.writer} was answered with a failure, so nobody may see its writes"


def _intermediate_read(scene: Scene) -> str:
    last = scene.other.writes(scene.key)[-1:] if scene.other is not None else []
    then = f" and later {shown(last[0].value)}" if last else " and went on"
    what = f"{scene.found}: {scene.writer} {_wrote(scene)} {shown(scene.value)} there{then}"
    return f"{what}, so {scene.one.label} saw the middle of {scene.writer}"


def _dirty_update(scene: Scene) -> str:
    key = shown(scene.key)
    what = f"{scene.one.label}, which is committed, wrote to key {key} over a write of"
    value = "" if scene.value is None else f" ({shown(scene.value)})"
    return f"{what} {scene.writer}{value}, which failed: what failed was not undone"


def _duplicate(scene: Scene) -> str:
    twice = f"{scene.found}, which holds {shown(scene.value)} more than once"
    if scene.other is None:
        return f"{twice}; it was appended once"
    return f"{twice}; {scene.writer} appended it once"


def _cyclic_versions(scene: Scene) -> str:
    key = shown(scene.key)
    pair = [each for each in (scene.one, scene.other) if each is not None]
    pair.sort(key=lambda each: each.position)
    for reader in pair:
        for _, read in reader.of("r", scene.key):
            for writer in pair:
                if turned := _turned(writer, scene.key, read.value):
                    first, second = map(shown, turned)
                    what = f"{writer.label} appended {first} and then {second} to key {key}"
                    return f"{what}, but {reader.label} read it as {shown(read.value, turned)}"
    told = [text for each in pair if (text := _replaced(each, scene.key))]
    if len(told) == len(pair) > 1:
        return f"in key {key} {'; but '.join(told)}: none can be the first"
    return f"the versions of key {key} come one after another in a circle, so none is the first"


def _turned(writer: Transaction, key: Any, found: Any) -> tuple[Any, Any] | None:
    """Two appends of a transaction that a list holds the other way round, or only the second."""
    held = found if isinstance(found, list) else []
    values = [each.value for _, each in writer.of("append", key)]
    for number, second in enumerate(values):
        at = next((place for place, each in enumerate(held) if same(each, second)), None)
        for first in values[:number]:
            if at is not None and not any(same(each, first) for each in held[:at]):
                return first, second
    return None


def _replaced(each: Transaction, key: Any) -> str:
    """`T1 read 2 and wrote 1 over it`, if it did both."""
    reads, writes = [read for _, read in each.of("r", key)], each.writes(key)
    if not reads or not writes or isinstance(reads[0].value, list):
        return ""
    return f"{each.label} read {shown(reads[0].value)} and wrote {shown(writes[-1].value)} over it"


def _lost_update(scene: Scene) -> str:
    read = scene.read
    version = shown(read.value if read else None, [scene.value])
    pair = [each for each in (scene.one, scene.other) if each is not None]
    pair.sort(key=lambda each: each.position)
    names = " and ".join(each.label for each in pair)
    wrote = " and ".join(f"{each.label} {_written(each, scene.key)}" for each in pair)
    both = f"{names} both read key {shown(scene.key)} as {version}"
    return f"{both}; then {wrote}, and one of them did not know of the other (lost update)"


def _written(each: Transaction, key: Any) -> str:
    """`appended 4 and 5`; of many writes the first."""
    values = [shown(write.value) for write in each.writes(key)]
    verb = "appended" if any(True for _ in each.of("append", key)) else "wrote"
    more = [f"{len(values) - WRITTEN_MAX} more"] if len(values) > WRITTEN_MAX else []
    return f"{verb} {' and '.join([*values[:WRITTEN_MAX], *more])}"


_SENTENCES: Final[Mapping[str, Callable[[Scene], str]]] = {
    "internal": _internal,
    "future-read": _future_read,
    "phantom": _phantom,
    "G1a": _aborted_read,
    "G1b": _intermediate_read,
    "dirty-update": _dirty_update,
    "duplicate-elements": _duplicate,
    "cyclic-versions": _cyclic_versions,
    "lost-update": _lost_update,
}
