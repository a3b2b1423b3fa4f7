"""`dissever check FILE`: any format, any model, the verdict as exit status, and a page."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest

from dissever import judging
from dissever.checkers.linearizability.models import MODELS

HISTORIES = Path(__file__).resolve().parents[2].parent / "shared" / "histories"

STALE = """
    {:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}
    {:process 0 :type :invoke :f :write :value 2} {:process 0 :type :ok :f :write :value 2}
    {:process 1 :type :invoke :f :read}           {:process 1 :type :ok :f :read :value 1}
"""

LOG = """INFO  jepsen.util - 0 :invoke :write 3
INFO  jepsen.util - 0 :ok :write 3
INFO  jepsen.util - 1 :invoke :cas [3 4]
INFO  jepsen.util - 1 :info :cas :timed-out
INFO  jepsen.util - 0 :invoke :read nil
INFO  jepsen.util - 0 :ok :read 4
"""

TEXT = """{:process 0, :type :invoke, :f :append, :key "a", :value "x 0 y"}
{:process 0, :type :ok, :f :append, :key "a", :value "x 0 y"}
{:process 1, :type :invoke, :f :get, :key "b", :value nil}
{:process 1, :type :ok, :f :get, :key "b", :value ""}
{:process 1, :type :invoke, :f :get, :key "a", :value nil}
{:process 1, :type :ok, :f :get, :key "a", :value "%s"}
"""

QUEUE = """{"index":0,"time":0,"process":0,"type":"invoke","f":"enqueue","value":1}
{"index":1,"time":1,"process":0,"type":"ok","f":"enqueue","value":1}
{"index":2,"time":2,"process":0,"type":"invoke","f":"dequeue"}
{"index":3,"time":3,"process":0,"type":"ok","f":"dequeue","value":2}
"""

Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a text to a file whose name says nothing."""

    def write(text: str) -> Path:
        path = tmp_path / "history of something"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(params=["whole", "in part"])
def drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are drawn whole, and as if they were large."""
    if request.param == "in part":
        monkeypatch.setattr(judging, "WHOLE_OPERATIONS_MAX", 0)


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("text", "model", "status", "shown"),
    [
        (STALE, "register", 1, "stale-read"),
        (STALE, "cas-register", 1, "stale-read"),
        (LOG, "cas-register", 0, "VALID"),
        (LOG.replace(":ok :read 4", ":ok :read 2"), "cas-register", 1, "INVALID"),
        (TEXT % "x 0 y", "kv", 0, "VALID"),
        (TEXT % "x 1 y", "kv", 1, "1 of 2 keys gave answers that cannot be"),
        (QUEUE, "queue", 1, "INVALID"),
        (QUEUE.replace('"value":2', '"value":1'), "queue", 0, "VALID"),
        (LOG, "mutex", 2, "UNKNOWN"),
        ("", "register", 2, "the file holds no events"),
        ("{:process 0 :type :ok :f :read :value 1}", "register", 2, "never invoked"),
    ],
)
def test_verdict_is_the_exit_status(
    dissever: Run, file: Callable[[str], Path], text: str, model: str, status: int, shown: str
) -> None:
    ran = dissever("check", str(file(text)), "--model", model)

    assert (ran.status, shown in ran.text) == (status, True), ran.text


@pytest.mark.parametrize("text", [STALE, LOG.replace(":ok :read 4", ":ok :read 2"), QUEUE])
def test_large_files_are_judged_as_small_ones(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path, model = file(text), "queue" if text is QUEUE else "cas-register"
    whole = judging.judge_file(path, model)
    monkeypatch.setattr(judging, "WHOLE_OPERATIONS_MAX", 0)
    large = judging.judge_file(path, model)

    assert large.results.results[0] == whole.results.results[0]
    assert large.history == whole.history
    assert large.figures is not None
    assert (large.figures.ok, large.figures.info) == (text.count(":ok") or 2, text.count(":info"))


def test_transactions_that_read_much_are_drawn_in_part(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(
        "{:process 0 :type :invoke :value [[:append 1 1] [:r 1 nil]]}"
        "{:process 0 :type :ok :value [[:append 1 1] [:r 1 [1]]]}"
    )
    whole = judging.judge_file(path)
    monkeypatch.setattr(judging, "WHOLE_ELEMENTS_MAX", 2)  # Two micro-operations, one element.
    part = judging.judge_file(path)

    assert part.results.results[0] == whole.results.results[0]
    assert (whole.figures, part.figures is not None) == (None, True)


def test_large_file_is_drawn_in_part(
    dissever: Run, file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = "{:process 0 :type :%s :f :write :value %d}"
    pairs = (event % (kind, i) for i in range(100, 400) for kind in ("invoke", "ok"))
    path = file("".join(pairs) + STALE)
    page = path.with_name("page.html")
    monkeypatch.setattr(judging, "WHOLE_OPERATIONS_MAX", 0)
    monkeypatch.setattr(judging, "SAMPLE_MAX", 10)

    ran = dissever("check", str(path), "--html", str(page))

    assert (ran.status, "303 operations" in ran.text) == (1, True), ran.text
    assert "stale-read" in ran.text
    text = page.read_text(encoding="utf-8")
    drawn = re.search(r"of 303 operations (\d+) are drawn", text)
    assert drawn is not None
    assert 10 <= int(drawn[1]) <= 13
    assert "Longest without an ok" not in text
    assert "read → 1" in text


Step: TypeAlias = tuple[str, str, Any]
"""Type, f and value of an event."""


def trails() -> list[tuple[int, Step]]:
    """Open swaps that cannot follow each other: three ways lead to 6 twice, and none leads away."""
    rng = Random(1)
    swaps = [rng.sample(range(6), 2) for _ in range(38)] + [[value, 6] for value in (0, 1, 2)] * 2
    first: list[tuple[int, Step]] = [(99, (kind, "write", 0)) for kind in ("invoke", "ok")]
    asked = [(i, ("invoke", "cas", swap)) for i, swap in enumerate(swaps)]
    return [*first, *asked, *((i, ("ok", "cas", swap)) for i, swap in enumerate(swaps))]


def twins() -> list[tuple[int, Step]]:
    """Elements that are open at once, two of each, and one that nobody put there."""
    asked = [(i, ("invoke", "enqueue", i // 2)) for i in range(40)]
    seen: list[tuple[int, Step]] = [(50, ("invoke", "dequeue", None)), (50, ("ok", "dequeue", 77))]
    return [*asked, *seen, *((i, ("ok", "enqueue", i // 2)) for i in range(40))]


@pytest.mark.parametrize(
    ("model", "events"),
    [
        ("cas-register", trails()),  # In C, all keys at once.
        ("queue", twins()),  # In C, which asks Python for states.
    ],
)
def test_interrupted_check_says_what_it_has(
    tmp_path: Path, model: str, events: list[tuple[int, Step]]
) -> None:
    """Many operations are open at once, so that judging them would take long."""
    names = ("type", "f", "value")
    path = tmp_path / "hard.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {"index": i, "time": i, "process": process, **dict(zip(names, step, strict=True))}
            )
            + "\n"
            for i, (process, step) in enumerate(events)
        )
    )
    command = [sys.executable, "-m", "dissever", "-v", "check", str(path), "--model", model]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        while "judging" not in run.stderr.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate()

    assert run.returncode == 2, output
    assert "UNKNOWN" in output
    assert "interrupted: stopped" in output


def test_page_says_what_was_checked(dissever: Run, file: Callable[[str], Path]) -> None:
    path = file(STALE)
    page = path.with_name("page.html")
    ran = dissever("check", str(path), "--model", "register", "--html", str(page))

    text = page.read_text(encoding="utf-8")
    assert (ran.status, str(page) in ran.text) == (1, True)
    for shown in ("stale-read", path.name, "as register", "edn, 6 events", "No fault was injected"):
        assert shown in text
    assert "Started" not in text.replace("data:", "")


@pytest.mark.usefixtures("drawn")
def test_page_shows_the_faults_of_a_file(dissever: Run, file: Callable[[str], Path]) -> None:
    path = file(
        "{:process :nemesis :type :info :f :start-partition}"
        '{:process :nemesis :type :info :f :start-partition :value "cut off n1"}' + STALE
    )
    page = path.with_name("page.html")
    dissever("check", str(path), "--model", "register", "--html", str(page))

    text = page.read_text(encoding="utf-8")
    assert "No fault was injected" not in text
    assert "cut off n1" in text


def test_json_array_is_judged(dissever: Run, file: Callable[[str], Path]) -> None:
    events = [json.loads(line) for line in QUEUE.splitlines()]

    assert dissever("check", str(file(json.dumps(events))), "--model", "queue").status == 1


@pytest.mark.parametrize("text", ["", "{:process 0 :type :ok :f :read :value 1}", LOG])
def test_every_file_that_is_read_has_a_page(
    dissever: Run, file: Callable[[str], Path], text: str
) -> None:
    path = file(text)
    page = path.with_name("page.html")
    dissever("check", str(path), "--html", str(page))

    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_all_that_is_printed(dissever: Run, file: Callable[[str], Path]) -> None:
    ran = dissever("check", str(file(STALE)), "--json")

    results = json.loads(ran.stdout)
    assert ran.status == 1
    assert results["verdict"] == "invalid"
    assert results["results"][0]["anomalies"][0]["name"] == "stale-read"


def test_keyed_values_are_an_option(dissever: Run, file: Callable[[str], Path]) -> None:
    path = file(
        "{:process 0 :type :invoke :f :write :value [1 5]}"
        "{:process 0 :type :ok :f :write :value [1 5]}"
        "{:process 0 :type :invoke :f :read :value [2 nil]}"
        "{:process 0 :type :ok :f :read :value [2 nil]}"
    )

    keyed = dissever("check", str(path), "--keyed", "--json")
    assert keyed.status == 0
    assert json.loads(keyed.stdout)["results"][0]["details"]["keys"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (("--model", "cas-registr"), 64, "did you mean cas-register?"),
        (("--html", "/nowhere/at/all.html"), 0, "/nowhere/at/all.html"),
    ],
)
def test_what_cannot_be_done_is_said(
    dissever: Run,
    file: Callable[[str], Path],
    arguments: tuple[str, ...],
    status: int,
    shown: str,
) -> None:
    ran = dissever("check", str(file(LOG)), *arguments)

    assert ran.status == status
    assert shown in ran.text


def test_every_model_is_listed_with_what_it_does(dissever: Run) -> None:
    text = dissever("list").text

    assert all(name in text for name in MODELS)
    assert "cas [old, new]" in text


@pytest.mark.parametrize(
    ("name", "model", "status"),
    [
        ("porcupine/jepsen/etcd_002.log", "cas-register", 0),
        ("porcupine/jepsen/etcd_001.log", "cas-register", 1),
        ("porcupine/kv/c10-ok.txt", "kv", 0),
        ("porcupine/kv/c50-bad.txt", "kv", 1),
    ],
)
def test_recorded_histories(dissever: Run, name: str, model: str, status: int) -> None:
    path = HISTORIES / name
    if not path.is_file():
        pytest.skip("no recorded histories in ../shared/histories")

    assert dissever("check", str(path), "--model", model).status == status


def test_file_that_is_cut_in_a_line_is_unknown(dissever: Callable, tmp_path: Path) -> None:
    whole = (
        '{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}\n'
        '{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}\n'
        '{"index":2,"time":2,"process":0,"type":"invoke","f":"read"}\n'
        '{"index":3,"time":3,"process":0,"type":"ok","f":"read","value":1}\n'
    )
    path = tmp_path / "history.jsonl"
    path.write_text(whole)
    before = dissever("check", str(path))
    path.write_text(whole + '{"index":4,"time":4,"pro')
    ran = dissever("check", str(path))

    assert (before.status, ran.status) == (0, 2)
    assert "the end of the history is missing" in ran.text
    assert "line 5 is cut off" in ran.text


SKEW = """
{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["r","x",null],["append","y",1]]}
{"index":1,"time":0,"process":1,"type":"invoke","f":"txn","value":[["r","y",null],["append","x",1]]}
{"index":2,"time":9,"process":0,"type":"ok","f":"txn","value":[["r","x",[]],["append","y",1]]}
{"index":3,"time":9,"process":1,"type":"ok","f":"txn","value":[["r","y",[]],["append","x",1]]}
""".lstrip()


@pytest.mark.parametrize(
    ("arguments", "status", "verdict"),
    [
        ([], 1, "invalid"),
        (["--workload", "append"], 1, "invalid"),
        (["--consistency-model", "snapshot-isolation"], 0, "valid"),
        (["-w", "append", "--consistency-model", "PL-SI"], 0, "valid"),
        (["--workload", "wr"], 2, "unknown"),
    ],
)
def test_transactions_are_judged_by_the_model_that_is_asked_for(
    dissever: Run, file: Callable[[str], Path], arguments: list[str], status: int, verdict: str
) -> None:
    result = dissever("check", str(file(SKEW)), *arguments, "--json")

    assert result.status == status, result.stderr
    assert json.loads(result.stdout)["verdict"] == verdict


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--consistency-model", "serialisable"], "did you mean serializable?"),
        (["--consistency-model", "prefix"], "which no history of transactions is judged by"),
        (["--workload", "appendd"], "did you mean append?"),
        (["--workload", "append", "--model", "register"], "--model is for single objects"),
    ],
)
def test_models_and_workloads_that_there_are_not_are_refused(
    dissever: Run, file: Callable[[str], Path], arguments: list[str], message: str
) -> None:
    result = dissever("check", str(file(SKEW)), *arguments)

    assert result.status == 64
    assert message in result.stderr
