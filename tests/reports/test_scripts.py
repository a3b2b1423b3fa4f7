"""The scripts of a report are one program: what one of them calls, one of them has."""

from __future__ import annotations

import re

from dissever.reports.html import SCRIPTS

OF_THE_BROWSER = {
    "addEventListener",
    "clearTimeout",
    "decodeURIComponent",
    "getComputedStyle",
    "getSelection",
    "matchMedia",
    "parseInt",
    "requestAnimationFrame",
    "setTimeout",
    "translateX",
}


def undefined(text: str) -> set[str]:
    """What is called and not named in any other way; comments and methods do not count."""
    code = re.sub(r"//.*", "", text)
    called = set(re.findall(r"(?<![.\w])([a-z]\w*[A-Z]\w*)\(", code))
    return {
        name for name in called if not re.search(rf"function {name}\b|\b{name}\b(?!\()", code)
    } - OF_THE_BROWSER


def test_every_function_that_a_script_calls_is_there() -> None:
    text = "\n".join(script.read_text() for script in SCRIPTS)

    assert undefined(text) == set()


def test_function_that_was_renamed_is_noticed() -> None:
    assert undefined("drawBar(1); // function drawBar") == {"drawBar"}
    assert undefined("function drawBar(x) {} drawBar(1);") == set()


def test_no_two_scripts_of_a_page_define_the_same_function() -> None:
    """All scripts share one scope, in which the later of two functions silently wins."""
    defined = [
        name
        for script in SCRIPTS
        for name in re.findall(r"^(?:async )?function (\w+)", script.read_text("utf-8"), re.M)
    ]

    assert len(defined) > 100
    assert [name for name in defined if defined.count(name) > 1] == []
