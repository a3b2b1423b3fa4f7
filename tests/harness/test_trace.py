"""What only a simulation knows, as lines of a file whose times are those of the run."""

import json

import pytest

from dissever.harness import trace
from dissever.harness.trace import Trace


def lines(content: bytes) -> list[dict]:
    return [json.loads(line) for line in content.splitlines()]


def test_times_are_counted_from_the_origin_and_may_be_negative() -> None:
    kept = Trace()
    kept.add({"time": 500, "kind": "note", "node": None, "text": "begun"})
    kept.add_text(1500, b'{"time":1500,"kind":"receive","id":17}')

    assert lines(kept.content(1000)) == [
        {"time": -500, "kind": "note", "node": None, "text": "begun"},
        {"time": 500, "kind": "receive", "id": 17},
    ]


def test_a_trace_that_is_off_keeps_violations_alone() -> None:
    kept = Trace(is_on=False)
    kept.add({"time": 1, "kind": "note", "node": None, "text": "begun"})
    kept.add_text(1, b'{"time":1,"kind":"receive","id":17}')
    kept.add({"time": 2, "kind": "violation", "node": "n1", "name": "log-matching", "text": ""})

    assert [line["kind"] for line in lines(kept.content(0))] == ["violation"]


def test_past_the_limit_a_note_says_so_and_only_violations_are_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace, "LINES_MAX", 3)
    kept = Trace()
    for number in range(10):
        kept.add_text(number, b'{"time":%d,"kind":"receive","id":17}' % number)
    kept.add({"time": 11, "kind": "violation", "node": "n1", "name": "log-matching", "text": ""})
    written = lines(kept.content(0))

    assert [line["kind"] for line in written] == ["receive"] * 3 + ["note", "violation"]
    assert written[3]["text"] == "this file ends with its 3 lines; only violations are added"


@pytest.mark.parametrize("line", [b"", b"{}", b'{"kind":"note","time":1}', b'{"time":1}'])
def test_a_line_that_does_not_begin_with_its_time_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="begins with its time"):
        Trace().add_text(1, line)
