"""Lines that hold a word, found in C, are those that a search in Python finds."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissever.native.lines import WORDS_MAX, Words

SOME = (b"abab", b"babab", b"Assertion", b"bbbbbbbb")
TEXTS = st.lists(
    st.sampled_from([*SOME, b"a", b"b", b"\n", b"ab", b"Assert", b"ion", b"\0", b"\xff"]),
    max_size=60,
).map(b"".join)


@settings(deadline=None)
@given(TEXTS)
def test_lines_that_hold_a_word_are_found(text: bytes) -> None:
    search = Words(SOME).find(text)
    found = [(hit.line, text[hit.start : hit.end]) for hit in search]

    lines = enumerate(text.split(b"\n"))
    assert found == [each for each in lines if any(word in each[1] for word in SOME)]
    assert search.feeds == text.count(b"\n")


@settings(deadline=None)
@given(TEXTS)
def test_every_place_of_a_word_is_found(text: bytes) -> None:
    places = [hit.place for hit in Words(SOME).find(text, each=True)]

    assert places == [at for at in range(len(text)) if text[at:].startswith(SOME)]


@pytest.mark.parametrize("is_each", [False, True])
def test_more_hits_than_fit_into_one_call_are_all_found(is_each: bool) -> None:
    text = b"an Assertion failed\n" * 5000
    search = Words([b"Assertion"]).find(text, each=is_each)
    hits = list(search)

    assert [hit.line for hit in hits] == list(range(5000))
    assert all(text[hit.start : hit.end] == b"an Assertion failed" for hit in hits)
    assert search.feeds == 5000


@pytest.mark.parametrize(
    "words", [[], [b"abc"], [b"x" * 65], [b"%04d" % i for i in range(WORDS_MAX + 1)]]
)
def test_words_that_cannot_be_searched_for_are_refused(words: list[bytes]) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64 words of 4 to 64 bytes"):
        Words(words)


def compared(program: Path, cases: int = 20_000) -> tuple[int, int]:
    """The hits of all cases, and the mismatches."""
    done = subprocess.run([program, str(cases), "7"], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"cases \d+ hits (\d+) mismatches (\d+)\n", done.stdout)
    assert found, done.stderr
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("flags", [(), ("-g", "-fsanitize=address,undefined")], ids=str)
def test_search_finds_what_trying_every_place_finds(
    flags: tuple[str, ...], build: Callable[..., Path]
) -> None:
    hits, mismatches = compared(build("compare_lines", *flags, is_strict=not flags))

    assert hits > 20_000
    assert mismatches == 0


MUTANTS = {
    "jumps too far": ("words->shortest - end);", "words->shortest - end + 1);"),
    "no short word at the end": ("words->sizes[i] <= room &&", "words->sizes[i] < room &&"),
    "each hit, once a line": ("at = each ? at + 1 : end;", "at = end;"),
    "counts on from nowhere": (
        "int64_t found = 0, counted = from,",
        "int64_t found = 0, counted = 0,",
    ),
    "forgets the line it is in": (
        "while (start > 0 && text[start - 1]",
        "while (0 && text[start - 1]",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_search_that_is_broken_is_noticed(name: str, build_mutant: Callable[..., Path]) -> None:
    program = build_mutant("compare_lines", "lines.c", *MUTANTS[name])

    assert compared(program)[1] > 0
