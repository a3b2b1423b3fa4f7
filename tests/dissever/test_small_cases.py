"""Small histories from elsewhere, each with the exit status that it must end with."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dissever.harness.episodes import episodes_of
from dissever.judging import judge_file

Run = Callable[..., Any]
Case: TypeAlias = tuple[str, tuple[str, ...], int, str]

WRITE = "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}"
SEEN = f"{WRITE} {{:process 1 :type :invoke :f :read}} {{:process 1 :type :ok :f :read :value 1}}"
STALE = f"{WRITE} {{:process 1 :type :invoke :f :read}} {{:process 1 :type :ok :f :read}}"

FIRST_READ = """
{:process 0 :type :invoke :f :read :value nil :time 1}
{:process 0 :type :ok :f :read :value 0 :time 2}
{:process 1 :type :invoke :f :cas :value [0 3] :time 3}
{:process 1 :type :ok :f :cas :value [0 3] :time 4}
{:process 0 :type :invoke :f :read :value nil :time 5}
{:process 0 :type :ok :f :read :value 3 :time 6}
"""

TAKE = """
{"index":0,"time":0,"process":1,"type":"invoke","f":"enqueue","value":1}
{"index":1,"time":1,"process":1,"type":"ok","f":"enqueue","value":1}
{"index":2,"time":2,"process":3,"type":"invoke","f":"dequeue","value":1}
{"index":3,"time":3,"process":3,"type":"ok","f":"dequeue","value":1}
"""

FAULT = """
{:process 0 :type :invoke :f :write :value 1 :time 1000000000}
{:process 0 :type :ok :f :write :value 1 :time 1100000000}
{:process :nemesis :type :info :f :start :value "Cut off #{n1 n2}" :time 2000000000}
{:process :nemesis :type :info :f :start :value "Cut off #{n1 n2}" :time 2100000000}
{:process 0 :type :invoke :f :read :value nil :time 3000000000}
{:process 0 :type :ok :f :read :value 1 :time 3100000000}
{:process :nemesis :type :info :f :stop :value nil :time 4000000000}
{:process :nemesis :type :info :f :stop :value "fully connected" :time 4100000000}
"""

CASES: dict[str, Case] = {
    "a process is never concurrent with itself": (
        """{:process 0 :type :invoke :f :write :value 1 :time 0}
        {:process 0 :type :ok :f :write :value 1 :time 5}
        {:process 0 :type :invoke :f :read :value nil :time 5}
        {:process 0 :type :ok :f :read :value nil :time 9}""",
        (), 1, "stale-read",
    ),
    "a number that is none is itself": (
        WRITE.replace("1}", "##NaN}")
        + "{:process 1 :type :invoke :f :read} {:process 1 :type :ok :f :read :value ##NaN}",
        (), 0, "VALID",
    ),
    "processes are concurrent at one time": (
        """{:process 0 :type :invoke :f :write :value 1 :time 0}
        {:process 0 :type :ok :f :write :value 1 :time 5}
        {:process 1 :type :invoke :f :read :value nil :time 5}
        {:process 1 :type :ok :f :read :value nil :time 9}""",
        (), 0, "VALID",
    ),
    "an initial value is an option": (FIRST_READ, ("--initial", "0"), 0, "VALID"),
    "an initial value is suggested": (FIRST_READ, (), 1, "--initial 0"),
    "a take is asked with its value, any order": (TAKE, ("-m", "unordered-queue"), 0, "VALID"),
    "a take is asked with its value": (TAKE, ("-m", "queue"), 0, "VALID"),
    "a client has a name": (
        """{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}
        {"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}
        {"index":2,"time":2,"process":"c2","type":"invoke","f":"read","value":null}
        {"index":3,"time":3,"process":"c2","type":"ok","f":"read","value":99}""",
        (), 1, "'c2', numbered from 1",
    ),
    "all clients have names": (
        """{"process":"a","type":"invoke","f":"write","value":1}
        {"process":"a","type":"ok","f":"write","value":1}
        {"process":"b","type":"invoke","f":"read"}
        {"process":"b","type":"ok","f":"read","value":null}""",
        (), 1, "'a' and 1 more",
    ),
    "a nemesis that writes is none of the clients": (
        f"{SEEN} {{:process :my-Nemesis :type :info :f :write :value 2}}", (), 0, "VALID",
    ),
    "an element is read twice": (
        """{:process 0 :type :invoke :f :add :value 0 :time 0}
        {:process 0 :type :ok :f :add :value 0 :time 1}
        {:process 1 :type :invoke :f :read :value nil :time 2}
        {:process 1 :type :ok :f :read :value [0 0] :time 3}""",
        ("--model", "set"), 1, "INVALID",
    ),
    "a value is read before it was asked for": (
        """{:process 0 :type :invoke :f :read :value nil :time 0}
        {:process 0 :type :ok :f :read :value 7 :time 1}
        {:process 1 :type :invoke :f :write :value 7 :time 2}
        {:process 1 :type :fail :f :write :value 7 :time 3}""",
        (), 1, "phantom",
    ),
    "a nemesis of Jepsen": (FAULT, (), 0, "1 fault injected"),
    "nothing succeeded": (
        """{:process 0 :type :invoke :f :write :value 1 :time 0}
        {:process 0 :type :fail :f :write :value 1 :time 1}""",
        (), 2, "no operation succeeded",
    ),
    "a process goes on after info": (
        """{:process 0 :type :invoke :f :write :value 1 :time 0}
        {:process 0 :type :info :f :write :value 1 :time 1}
        {:process 0 :type :invoke :f :read :value nil :time 2}
        {:process 0 :type :ok :f :read :value 1 :time 3}""",
        (), 0, "counts as a new process",
    ),
    "a JSON array": (
        """[{"type":"invoke","f":"write","value":1,"process":0},
 {"type":"ok","f":"write","value":1,"process":0},
 { "type": "invoke", "f": "read", "value": null, "process": 1 },
 { "type": "ok", "f": "read", "value": 1, "process": 1 }]""",
        (), 0, "have no time",
    ),
    "control characters": (
        r"""{"process":0,"type":"invoke","f":"write","value":"a\u001b[2Jb","index":0,"time":0}
{"process":0,"type":"ok","f":"write","value":"a\u001b[2Jb","index":1,"time":1}
{"process":1,"type":"invoke","f":"read","value":null,"index":2,"time":2}
{"process":1,"type":"ok","f":"read","value":"\u001b]0;x\u0007","index":3,"time":3}""",
        (), 1, "INVALID",
    ),
    "control characters where a letter is expected": ('{"process":\x1b[2J0}\n', (), 3, "\\x1b"),
    "a field with control characters": (
        SEEN.replace(":value 1}", ':value 1 "\x1b[2J\u202e" 2}'), (), 0, "were left out",
    ),
    "a read of nil says nothing to Knossos": (SEEN + STALE, ("--nil", "unknown"), 0, "VALID"),
    "a read of nil says that nothing was there": (STALE, ("--nil", "value"), 1, "stale-read"),
    "a text as initial value": (
        '{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value :a}',
        ("--initial", ":a"), 0, "VALID",
    ),
    "an initial value of another kind": (WRITE, ("-m", "set", "--initial", "5"), 64, "got 5"),
    "transactions": (
        "{:process 0 :type :invoke :f :txn :value [[:append 1 2] [:r 3 nil]]}",
        ("-m", "cas-register"), 2, "history of transactions",
    ),
    "transactions that read and write": (
        "{:process 0 :type :invoke :f :txn :value [[:w 1 2] [:r 3 nil]]}",
        ("-m", "cas-register"), 2, "--model multi-register",
    ),
    "transactions without a name": (
        "{:process 0 :type :invoke :value [[:append 1 2]]}",
        ("-m", "cas-register"), 2, "history of transactions",
    ),
    "values are pairs of key and value": (
        "{:process 0 :type :invoke :f :write :value [1 5]}{:process 0 :type :ok :f :write"
        " :value [1 5]}{:process 0 :type :invoke :f :read :value [2 nil]}{:process 0 :type :ok"
        " :f :read :value [2 nil]}",
        (), 1, "say --keyed",
    ),
    "levels without end": (
        "{:process 0 :type :invoke :f :write :value " + "[" * 500 + "]" * 500 + "}",
        (), 3, "at most 100 levels",
    ),
    "levels without end in JSON": (
        '{"process":0,"type":"invoke","f":"w","value":' + "[" * 500 + "]" * 500 + "}\n",
        (), 3, "at most 100 levels",
    ),
    "a key that stands for no character": (
        '{"process":0,"type":"invoke","f":"w","key":"\\udcff"}\n', (), 3, "line 1, column",
    ),
    "prose": ("Dear reader,\nthere is nothing here.\n", (), 3, "no line holds an operation"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_case_ends_with_its_status_and_says_why(dissever: Run, tmp_path: Path, case: str) -> None:
    text, options, status, said = CASES[case]
    path = tmp_path / "history"
    path.write_text(text, encoding="utf-8")

    ran = dissever("check", str(path), *options, "--html", str(tmp_path / "page.html"))

    assert ran.status == status, ran.text
    assert said in " ".join(ran.text.split())
    assert all(each.isprintable() or each == "\n" for each in ran.stdout + ran.stderr)


def test_notes_stand_in_the_results_and_on_the_page(dissever: Run, tmp_path: Path) -> None:
    path, page = tmp_path / "history", tmp_path / "page.html"
    path.write_text(CASES["a process goes on after info"][0], encoding="utf-8")

    ran = dissever("check", str(path), "--json", "--html", str(page))

    (note,) = json.loads(ran.stdout)["results"][1]["details"]["notes"]
    assert "goes on after an info" in note
    assert "goes on after an info" in page.read_text(encoding="utf-8")


def test_fault_of_jepsen_lasts_as_long_as_it_was_surely_in_force(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text(FAULT, encoding="utf-8")

    (episode,) = episodes_of(judge_file(path, "cas-register").history).episodes

    assert (episode.start_ns, episode.end_ns) == (2_100_000_000, 4_000_000_000)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read(
    dissever: Run, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "history"
    path.write_bytes(compress(STALE.encode()))
    whole = dissever("check", str(path))
    path.write_bytes(compress(STALE.encode())[:-10])
    cut = dissever("check", str(path))

    assert (whole.status, cut.status) == (1, 3)
    assert "the compressed file is damaged" in cut.text
