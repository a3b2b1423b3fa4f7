"""Logs of several nodes as one list on the run's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.reports.node_logs import (
    Life,
    LogLine,
    LogsRead,
    NodeLogText,
    Piece,
    logs_view,
    merge,
    thinned,
)

BEGAN_S = 1_796_071_500
"""20:45 of 30 November 2026."""

END_NS = 60 * 10**9


def log(
    node: str, *lines: str, first: int = 1, number: int = 1, name: str = "stderr"
) -> NodeLogText:
    path = f"nodes/{node}/{name}-{number}.log"
    size = sum(len(line) + 1 for line in lines)
    return NodeLogText(node, path, number, name, (Piece(first, lines),), len(lines), size)


def read(*texts: NodeLogText, lives: Mapping[tuple[str, int], Life] | None = None) -> LogsRead:
    return LogsRead(texts, BEGAN_S * 10**9, lives=lives or {})


def at(seconds: float, text: str = "", *, zone: str = "Z") -> str:
    minute, second = divmod(seconds, 60)
    return f"2026-11-30T20:{45 + int(minute):02}:{second:06.3f}{zone} {text}".rstrip()


def told(lines: Sequence[LogLine]) -> list[tuple[float, str]]:
    """Seconds and the last word of each line."""
    return [(line.time_ns / 1e9, line.text.split(" ")[-1]) for line in lines]


def test_lines_of_all_nodes_stand_by_time() -> None:
    merged = merge(
        read(log("n1", at(1, "a"), at(3, "c")), log("n2", at(2, "b"), at(3, "d"))), end_ns=END_NS
    )

    assert told(merged) == [(1, "a"), (2, "b"), (3, "c"), (3, "d")]
    assert not any(line.is_guess for line in merged)


def test_line_without_a_time_follows_the_one_before_it() -> None:
    merged = merge(
        read(log("n1", at(1, "a"), "trace", "more", at(5, "z")), log("n2", at(2, "b"))),
        end_ns=END_NS,
    )

    assert told(merged) == [(1, "a"), (1, "trace"), (1, "more"), (2, "b"), (5, "z")]
    assert [line.is_guess for line in merged] == [False, True, True, False, False]


def test_lines_before_the_first_time_stand_at_it() -> None:
    merged = merge(read(log("n1", "banner", at(4, "a"))), end_ns=END_NS)

    assert told(merged) == [(4, "banner"), (4, "a")]


@pytest.mark.parametrize("hours", [-10, 0, 1, 2.75])
def test_local_times_are_brought_to_the_run_whatever_the_zone(hours: float) -> None:
    def local(seconds: float, text: str) -> str:
        whole = 20 * 3600 + 45 * 60 + hours * 3600 + seconds
        clock = f"{int(whole // 3600):02}:{int(whole % 3600 // 60):02}:{whole % 60:06.3f}"
        return f"2026-11-30 {clock} {text}"

    merged = merge(
        read(log("n1", local(1, "a"), local(3, "c")), log("n2", at(2, "b"))), end_ns=END_NS
    )

    assert told(merged) == [(1, "a"), (2, "b"), (3, "c")]


def test_time_at_which_the_process_did_not_run_is_not_believed() -> None:
    lives = {("n1", 1): Life(None, 10 * 10**9)}
    lines = (at(1, "a"), at(500, "jumped"), at(2, "b"))
    merged = merge(read(log("n1", *lines), lives=lives), end_ns=END_NS)

    assert told(merged) == [(1, "a"), (1, "jumped"), (2, "b")]
    assert [line.is_guess for line in merged] == [False, True, False]


@pytest.mark.parametrize(
    ("name", "is_crash", "second"), [("stderr", True, 9), ("stderr", False, 4), ("stdout", True, 4)]
)
def test_log_without_any_time_stands_where_its_process_began_or_crashed(
    name: str, is_crash: bool, second: float
) -> None:
    lives = {("n1", 2): Life(4 * 10**9, 9 * 10**9, is_crash)}
    view = logs_view(
        read(log("n1", "Assertion failed", number=2, name=name), lives=lives), end_ns=END_NS
    )

    assert told(view.merged) == [(second, "failed")]
    assert view.merged[0].is_guess
    assert [text.path for text in view.unplaced] == [f"nodes/n1/{name}-2.log"]


def test_without_the_time_of_day_of_its_beginning_every_place_is_a_guess() -> None:
    unknown = replace(read(log("n1", at(1, "a"), at(2, "b"))), began_unix_ns=None)
    merged = merge(unknown, end_ns=END_NS)

    assert told(merged) == [(0, "a"), (0, "b")]
    assert all(line.is_guess for line in merged)


def test_piece_after_a_gap_begins_by_its_own_time() -> None:
    text = replace(
        log("n1", at(1, "a")),
        pieces=(Piece(1, (at(1, "a"),)), Piece(900, ("cont", at(30, "z")))),
        lines=1000,
    )
    view = logs_view(read(text), end_ns=END_NS)

    assert told(view.merged) == [(1, "a"), (30, "cont"), (30, "z")]
    assert [line.number for line in view.merged] == [1, 900, 901]
    assert view.cut == (text,)
    assert view.lines == 1000


def test_hostile_characters_are_written_as_their_numbers() -> None:
    (line,) = merge(read(log("n1", "a\x1b[2Jb\0\u202e\ud800\tc")), end_ns=END_NS)

    assert line.text == "a\\x1b[2Jb\\x00\\u202e\\ud800\tc"


def test_telling_lines_are_grave_and_near_what_happened() -> None:
    calm = [at(second, f"INFO calm{second}") for second in range(50)]
    grave = [at(second, f"WARN far{second}") for second in range(50)]
    grave[30] = at(30, "ERROR near")
    view = logs_view(
        read(log("n1", *calm), log("n2", *grave)), end_ns=END_NS, moments_ns=[30 * 10**9]
    )

    words = [word for _, word in told(view.telling)]
    assert "near" in words
    assert not any(word.startswith("calm") for word in words)
    assert len(words) == 40
    assert [line.time_ns for line in view.telling] == sorted(each.time_ns for each in view.telling)


LINES = st.lists(
    st.one_of(
        st.integers(0, 59).map(lambda second: at(second, "INFO x")),
        st.sampled_from(["", "no time", "ERROR bad", "\0\x1b", "2026-99-99 99:99:99"]),
    ),
    max_size=20,
).map(tuple)


@settings(deadline=None)
@given(st.lists(LINES, max_size=4))
def test_nothing_is_lost_or_made_up_and_each_log_keeps_its_lines(
    logs: list[tuple[str, ...]],
) -> None:
    texts = [log(f"n{number}", *lines) for number, lines in enumerate(logs)]
    merged = merge(read(*texts), end_ns=END_NS)

    assert sorted((line.log, line.number) for line in merged) == [
        (number, place) for number, lines in enumerate(logs) for place in range(1, len(lines) + 1)
    ]
    assert [line.time_ns for line in merged] == sorted(line.time_ns for line in merged)


@settings(deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4), st.floats(0, 1))
def test_thinned_lines_are_some_of_all_and_say_what_is_missing(
    logs: list[tuple[str, ...]], share: float
) -> None:
    view = logs_view(
        read(*(log(f"n{number}", *lines) for number, lines in enumerate(logs))), end_ns=END_NS
    )
    less = thinned(view, share)

    assert len(less.merged) <= share * len(view.merged)
    assert set(less.merged) <= set(view.merged)
    assert less.lines == view.lines
    missing = {line.log for line in set(view.merged) - set(less.merged)}
    assert {text.path for text in less.cut} == {view.read.texts[number].path for number in missing}
