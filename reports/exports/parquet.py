"""
The operations of a run, and its faults, as tables in Parquet.

A row is an operation of a client, or a strike of a fault. Columns of values hold JSON, because a
value has another type in each workload. Rows are written in groups, so that a history of any size
takes the memory of one group. What each column means stands in the schema of the file.
Needs pyarrow: the extra `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from dissever.harness.episodes import Episode, episodes_of, evidence
from dissever.harness.history import Operation, Type
from dissever.reports.exports.in_force import InForce
from dissever.reports.exports.record import CannotExport, Record, json_text
from dissever.reports.labels import end_of

ROWS: Final = 50_000
"""Of one group."""

Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `kind` is a key of `_schema`'s types, and `what` is for readers."""

    name: str
    kind: str
    what: str


OPERATIONS: Final = (
    Column("index", "int64", "position of the invocation in the history, which names it"),
    Column("process", "int64", "the client; after an info it goes on under another number"),
    Column("f", "name", "what was asked: read, write, cas, txn, …"),
    Column("outcome", "name", "ok: it took effect; fail: it did not; info: nobody knows"),
    Column("key", "text", "which of many independent objects, as JSON; null without keys"),
    Column("asked", "text", "the value of the invocation, as JSON; null if there was none"),
    Column("answered", "text", "the value of an ok completion, as JSON; null if there was none"),
    Column("error", "text", "why it is not ok, as JSON"),
    Column("node", "name", "the node that was asked"),
    Column("start_ns", "int64", "when it was invoked, in ns since the run began"),
    Column("end_ns", "int64", "when it was answered; null if it never was"),
    Column("latency_ns", "int64", "from the one to the other; null if it never was answered"),
    Column("completion", "int64", "position of the completion in the history; null without one"),
    Column("faults", "names", "the faults that were in force at some time meanwhile"),
)

FAULTS: Final = (
    Column("index", "int64", "position of the injection in the history"),
    Column("fault", "name", "which fault"),
    Column("f", "name", "the operation that injected it"),
    Column("targets", "names", "the nodes that it struck"),
    Column("start_ns", "int64", "from when it was in force, in ns since the run began"),
    Column("end_ns", "int64", "until when: its healing, or the end of the run"),
    Column("healing", "int64", "position of the healing in the history; null if it never healed"),
    Column("held", "bool", "whether it was seen from outside that it took hold"),
    Column("idle", "bool", "whether nothing met it"),
    Column("evidence", "text", "what was seen when it was injected, as JSON"),
    Column("evidence_healed", "text", "what was seen when it healed, as JSON"),
)


def write_operations(records: Sequence[Record]) -> Iterator[bytes]:
    """The operations of one record, by invocation."""
    (record,) = records
    return _written(record, OPERATIONS, _operations(record))


def write_faults(records: Sequence[Record]) -> Iterator[bytes]:
    """The strikes of one record, by time."""
    (record,) = records
    found = episodes_of(record.history, record.subject.actions)
    return _written(record, FAULTS, map(_fault, found.strikes))


def _operations(record: Record) -> Iterator[Row]:
    history = record.history
    in_force = InForce.of(episodes_of(history, record.subject.actions))
    for operation in history.stream_operations():
        names = in_force.during(
            operation.invocation.time, end_of(operation, end_ns=history.duration_ns)
        )
        yield _operation(operation, names)


def _operation(operation: Operation, faults: tuple[str, ...]) -> Row:
    """In the order of OPERATIONS."""
    invocation, completion = operation.invocation, operation.completion
    is_ok = operation.type is Type.OK
    return (
        invocation.index,
        operation.process,
        operation.f,
        operation.type.value,
        _json(operation.key),
        _json(invocation.value),
        _json(completion.value) if completion is not None and is_ok else None,
        _json(completion.error) if completion is not None else None,
        invocation.node,
        invocation.time,
        None if completion is None else completion.time,
        None if completion is None else completion.time - invocation.time,
        None if completion is None else completion.index,
        faults,
    )


def _fault(episode: Episode) -> Row:
    """In the order of FAULTS."""
    healing = episode.healing
    return (
        episode.injection.invocation.index,
        episode.fault,
        episode.injection.f,
        episode.targets,
        episode.start_ns,
        episode.end_ns,
        None if healing is None else healing.invocation.index,
        episode.has_held,
        episode.is_idle,
        _json(evidence(episode.injection) or None),
        None if healing is None else _json(evidence(healing) or None),
    )


def _json(value: Any) -> str | None:
    return None if value is None else json_text(value)


def _written(record: Record, columns: Sequence[Column], rows: Iterator[Row]) -> Iterator[bytes]:
    """
    Raises:
        CannotExport: Without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        what = f"Parquet is written by pyarrow, which is missing ({error})"
        raise CannotExport(f"{what}: pip install 'dissever[parquet]'") from error
    return _groups(pyarrow, _schema(pyarrow, record, columns), rows)


def _groups(pyarrow: Any, schema: Any, rows: Iterator[Row]) -> Iterator[bytes]:
    """The file in pieces: each group of rows once it is full, and the table of contents."""
    pieces = _Pieces()
    with pyarrow.parquet.ParquetWriter(pieces, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROWS)):
            arrays = [
                pyarrow.array(values, type=field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            yield pieces.taken()
    yield pieces.taken()


def _schema(pyarrow: Any, record: Record, columns: Sequence[Column]) -> Any:
    """The types of the columns, what each means, and of which run they are."""
    types = {
        "int64": pyarrow.int64(),
        "bool": pyarrow.bool_(),
        "name": pyarrow.string(),
        "text": pyarrow.string(),
        "names": pyarrow.list_(pyarrow.string()),
    }
    fields = [
        pyarrow.field(each.name, types[each.kind], metadata={"description": each.what})
        for each in columns
    ]
    subject, results = record.subject, record.results
    about = {
        "system": subject.system,
        "workload": subject.workload,
        "seed": "" if subject.seed is None else str(subject.seed),
        "started": subject.started,
        "repeat": subject.repeat(),
        "verdict": "" if results is None else results.verdict.word,
        "history_sha256": record.digest,
    }
    metadata = {f"dissever.{name}": text for name, text in about.items() if text}
    return pyarrow.schema(fields, metadata=metadata)


class _Pieces:
    """What a writer of files writes to: it holds what was not taken yet."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, data: Any) -> int:
        held = bytes(data)
        self._held.append(held)
        self._position += len(held)
        return len(held)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        """What was written since the last call."""
        held, self._held = b"".join(self._held), []
        return held
