"""The last words of a process are the end of its own log, from its last fatal line."""

from __future__ import annotations

from dissever.checkers.last_words import (
    CHARACTERS_MAX,
    LINES_MAX,
    LINES_READ,
    LastWords,
    cited,
    last_words,
)
from dissever.checkers.run_checker import NodeLog


def _log(name: str, *lines: str, node: str = "n1") -> NodeLog:
    return NodeLog(node, f"nodes/{node}/{name}.log", lines)


def test_process_that_wrote_nothing_has_no_last_words() -> None:
    logs = [_log("stderr-1"), _log("stderr-2", "of another"), _log("stderr-1", "x", node="n2")]

    assert last_words("n1", 1, logs) == LastWords()


def test_stderr_is_read_before_stdout_unless_that_has_the_fatal_line() -> None:
    calm = [_log("stdout-1", "hello"), _log("stderr-1", "bye")]
    told = [_log("stdout-1", "hello", "panic: x"), _log("stderr-1", "bye")]

    assert last_words("n1", 1, calm) == LastWords("nodes/n1/stderr-1.log", 1, ("bye",))
    assert last_words("n1", 1, told).path == "nodes/n1/stdout-1.log"


def test_lines_before_the_last_fatal_one_stand_there_if_there_is_room() -> None:
    few = last_words("n1", 1, [_log("stderr-1", "a", "Aborted", "b", "", " ")])
    many = last_words("n1", 1, [_log("stderr-1", "a", "Aborted", *["later"] * LINES_MAX)])

    assert (few.first, few.lines, few.fatal) == (1, ("a", "Aborted", "b"), 1)
    assert (many.first, many.lines[0], many.fatal) == (2, "Aborted", 0)
    assert len(many.lines) == LINES_MAX
    assert list(cited(few)) == ["nodes/n1/stderr-1.log:2: Aborted", "nodes/n1/stderr-1.log:3: b"]


def test_fatal_line_far_from_the_end_is_not_the_end() -> None:
    words = last_words("n1", 1, [_log("stderr-1", "Aborted", *["later"] * LINES_READ)])

    assert (words.fatal, words.first) == (None, LINES_READ + 2 - LINES_MAX)
    assert not list(cited(words))


def test_log_of_several_processes_is_read_for_a_fatal_line_only() -> None:
    calm, told = [_log("node", "hello")], [_log("node", "hello", "Fatal: disk")]

    assert last_words("n1", 3, calm) == LastWords()
    assert last_words("n1", 3, told).lines == ("hello", "Fatal: disk")


def test_colour_is_no_part_of_the_word_that_it_stands_before() -> None:
    for line in ("\x1b[31mpanic: x", "\x1b[1;38:5:1mAborted\x1b[0m", "a \x1b[mpan\x1b[0mic\x1b[m"):
        assert last_words("n1", 1, [_log("stderr-1", "a", line)]).fatal == 1
    for line in ("31mpanic: x", "\x1b[31mpanicky"):
        assert last_words("n1", 1, [_log("stderr-1", "a", line)]).fatal is None


def test_hostile_lines_are_short_and_drive_no_terminal() -> None:
    (line,) = last_words("n1", 1, [_log("stderr-1", "\x1b]0;x\x07\u202e" + "a" * 9999)]).lines

    assert line.startswith("\\x1b]0;x\\x07\\u202eaaa")
    assert len(line) == CHARACTERS_MAX
