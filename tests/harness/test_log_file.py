"""A log that is read in parts says the same as one that is read whole, whatever is in it."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.harness import log_file
from dissever.harness.log_file import CUT, LogFile

CHUNK_BYTES = 64
CONTENTS = st.lists(
    st.sampled_from(
        [b"word", b"wo", b"rd", b"\n", b"\r\n", b"\r", b"\xff\xc3", b"\0", b"x" * 40, b"y" * 700]
    ),
    max_size=14,
).map(b"".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for logs; parts are so small that every log has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_file, "CHUNK_BYTES", CHUNK_BYTES)
        patch.setattr(log_file, "LINE_BYTES_MAX", CHUNK_BYTES)
        yield tmp_path_factory.mktemp("logs")


def log_of(folder: Path, content: bytes) -> LogFile:
    path = folder / "stderr-1.log"
    path.write_bytes(content)
    return LogFile(path)


def whole(content: bytes) -> list[str]:
    """Its lines, when it is read at once."""
    lines = content.split(b"\n")
    return [
        line.removesuffix(b"\r").decode(errors="replace")
        for line in (lines if lines[-1] else lines[:-1])
    ]


def is_long(line: str) -> bool:
    return len(line) > CHUNK_BYTES


@settings(deadline=None)
@given(content=CONTENTS)
def test_read_in_parts_is_read_whole(content: bytes, folder: Path) -> None:
    lines = whole(content)
    read = list(log_of(folder, content))

    assert len(read) == len(log_of(folder, content)) == len(lines)
    for part, line in zip(read, lines, strict=True):
        assert part == line or (is_long(line) and part == line[: log_file.HEAD_BYTES] + CUT)


@settings(deadline=None)
@given(content=CONTENTS)
def test_every_line_with_the_word_is_found_at_its_place(content: bytes, folder: Path) -> None:
    lines = whole(content)
    log = log_of(folder, content)
    found = list(log.find(["word"]))

    assert [each.number for each in found] == [i for i, x in enumerate(lines, 1) if "word" in x]
    assert len(log) == len(lines)
    for each in found:
        assert content[: each.place].count(b"\n") == each.number - 1
        assert content[: each.place][-1:] in (b"", b"\n")
        assert each.text == lines[each.number - 1] or is_long(lines[each.number - 1])
        assert "word" in each.text


@settings(deadline=None)
@given(content=CONTENTS, data=st.data())
def test_a_place_is_in_the_line_that_has_so_many_before_it(
    content: bytes, data: st.DataObject, folder: Path
) -> None:
    place = data.draw(st.integers(0, len(content)))
    log = log_of(folder, content)
    if data.draw(st.booleans()):
        list(log.find(["word"]))

    assert log.number_at(place) == content[:place].count(b"\n") + 1


@settings(deadline=None)
@given(content=CONTENTS)
def test_last_lines_are_the_last(content: bytes, folder: Path) -> None:
    assert log_of(folder, content).last(3) == list(enumerate(whole(content), 1))[-3:]


@pytest.mark.parametrize("place", [0, 5000, 99_999_000])
def test_a_line_of_100_mb_is_searched_in_a_few_mb(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "CHUNK_BYTES", 1 << 20)
    monkeypatch.setattr(log_file, "LINE_BYTES_MAX", 1 << 20)
    path = tmp_path / "stderr-1.log"
    with path.open("wb") as file:
        file.write(b"calm\n")
        file.seek(5 + place)
        file.write(b" Assertion `x' failed ")
        file.seek(5 + 100_000_000)
        file.write(b"\nAborted\n")
    tracemalloc.start()
    found = list(LogFile(path).find(["Assertion", "Aborted"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [each.number for each in found] == [2, 3]
    assert "Assertion `x' failed" in found[0].text
    assert len(found[0].text) < 10_000
    assert peak < 10_000_000


def test_a_word_across_the_parts_of_a_long_line_is_found_once(folder: Path) -> None:
    for shift in range(CHUNK_BYTES):
        content = b"x" * (log_file.HEAD_BYTES + CHUNK_BYTES + shift) + b"word" + b"y" * 900
        (found,) = log_of(folder, content).find(["word"])

        assert found.text.count("word") == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "stderr-1.log").symlink_to("secret")

    with pytest.raises(OSError, match="symbolic links"):
        LogFile(tmp_path / "stderr-1.log")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stderr-1.log")

    with pytest.raises(OSError, match="no file"):
        LogFile(tmp_path / "stderr-1.log")
