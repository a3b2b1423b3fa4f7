"""The tables of docs/faults.md are those that the records give."""

from __future__ import annotations

import re
from pathlib import Path

from dissever.nemesis import FAULTS
from dissever.nemesis.table import filled_in

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def test_the_tables_of_the_page_are_those_of_the_records() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert filled_in(text) == text, "run scripts/fault-table"
    names = ",".join(re.findall(r"<!-- faults (\S+) -->", text)).split(",")
    assert sorted(names) == sorted(FAULTS)


def test_faults_with_the_same_setting_share_a_row() -> None:
    text = filled_in("<!-- faults latency,bandwidth,kill -->\noutdated\n<!-- end -->\n")

    assert "outdated" not in text
    assert text.count("| `way` | `latency`, `bandwidth` |") == 1
    assert "| `rate_kb_s` | `bandwidth` | what a connection passes |" in text
