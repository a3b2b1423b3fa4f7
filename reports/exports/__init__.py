"""
Exports: a run in the formats of other programs.

A format is a file here and a line in FORMATS. It is a pure function from records to bytes in
pieces, so that a history of any size is written as it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dissever.reports.exports.edn import write_edn
from dissever.reports.exports.otlp import write_otlp
from dissever.reports.exports.parquet import write_faults, write_operations
from dissever.reports.exports.pull_request import write_markdown
from dissever.reports.exports.record import CannotExport, Format, Record
from dissever.reports.exports.trace import write_trace

__all__ = ["FORMATS", "CannotExport", "Format", "Record"]

FORMATS: Final[Mapping[str, Format]] = {
    "markdown": Format("a comment for a pull request", write_markdown, of_verdicts=True),
    "trace": Format("Trace Event JSON, for Perfetto and chrome://tracing", write_trace),
    "otlp": Format("spans of OpenTelemetry, as lines of OTLP in JSON", write_otlp),
    "edn": Format("the history as Jepsen stores it, for Elle and Knossos", write_edn),
    "parquet": Format("a table of the operations", write_operations, is_text=False),
    "parquet-faults": Format("a table of the faults", write_faults, is_text=False),
}
"""The formats by name."""
