"""Tables in Parquet: a row each, with types and what columns mean."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.history import Event, History, Type
from dissever.reports import Subject
from dissever.reports.exports import FORMATS, CannotExport, parquet
from dissever.reports.exports.parquet import FAULTS, OPERATIONS, write_faults, write_operations
from dissever.reports.exports.record import Record

SUBJECT = Subject(system="own", workload="register", command="dissever test own", seed=7)


def table_of(write: Any, history: History, subject: Subject = SUBJECT) -> Any:
    reader = pytest.importorskip("pyarrow.parquet")
    return reader.read_table(io.BytesIO(b"".join(write([Record(subject, history, None, "ab")]))))


def test_operation_is_a_row() -> None:
    history = History(
        [
            Event(0, 5, 3, Type.INVOKE, "cas", [1, 2], key=9, node="n1"),
            Event(1, 7, 4, Type.INVOKE, "read", node="n2"),
            Event(2, 9, 3, Type.OK, "cas", [1, 2], key=9, node="n1"),
            Event(3, 12, 4, Type.INFO, "read", node="n2", error=["timeout", "no answer"]),
            Event(4, 13, 5, Type.INVOKE, "write", "ü"),
        ]
    )
    cas, read, write = table_of(write_operations, history).to_pylist()

    assert cas == {
        "index": 0,
        "process": 3,
        "f": "cas",
        "outcome": "ok",
        "key": "9",
        "asked": "[1,2]",
        "answered": "[1,2]",
        "error": None,
        "node": "n1",
        "start_ns": 5,
        "end_ns": 9,
        "latency_ns": 4,
        "completion": 2,
        "faults": [],
    }
    assert (read["outcome"], read["answered"], json.loads(read["error"])) == (
        "info",
        None,
        ["timeout", "no answer"],
    )
    assert (write["asked"], write["end_ns"], write["latency_ns"]) == ('"ü"', None, None)


def test_strike_is_a_row_and_operations_name_it(invalid_run: Any) -> None:
    faults = table_of(write_faults, invalid_run.history, invalid_run.subject).to_pylist()
    operations = table_of(write_operations, invalid_run.history, invalid_run.subject).to_pylist()
    meant = {
        name
        for fault in faults
        for operation in operations
        for name in operation["faults"]
        if name == fault["fault"]
    }

    assert len(operations) == len(invalid_run.history.operations)
    assert meant == {fault["fault"] for fault in faults} != set()
    assert all(fault["start_ns"] <= fault["end_ns"] for fault in faults)


def test_file_says_what_each_column_means_and_of_which_run_it_is() -> None:
    schema = table_of(write_operations, History()).schema

    assert [field.metadata[b"description"].decode() for field in schema] == [
        column.what for column in OPERATIONS
    ]
    assert schema.metadata[b"dissever.system"] == b"own"
    assert schema.metadata[b"dissever.seed"] == b"7"
    assert schema.metadata[b"dissever.history_sha256"] == b"ab"
    assert [field.name for field in table_of(write_faults, History()).schema] == [
        column.name for column in FAULTS
    ]


def test_documentation_has_every_column() -> None:
    page = (Path(__file__).parents[3] / "docs" / "exports.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| (?:int64|string|bool|list of strings) \| (.*) \|$", page, re.M
    )

    assert rows == [(column.name, column.what) for column in (*OPERATIONS, *FAULTS)]


def test_rows_are_written_in_groups(monkeypatch: pytest.MonkeyPatch, valid_run: Any) -> None:
    reader = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "ROWS", 100)
    record = Record(valid_run.subject, valid_run.history, valid_run.results, "ab")
    pieces = list(write_operations([record]))
    file = reader.ParquetFile(io.BytesIO(b"".join(pieces)))
    groups = -(-len(valid_run.history.operations) // 100)

    assert file.num_row_groups == groups
    assert len(pieces) == groups + 1
    assert file.read().num_rows == len(valid_run.history.operations)


@pytest.mark.parametrize("name", ["parquet", "parquet-faults"])
def test_missing_pyarrow_is_said_with_what_helps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CannotExport, match=r"pip install 'dissever\[parquet\]'"):
        FORMATS[name].write([Record(SUBJECT, History(), None, "ab")])
