"""What is answered over real sockets, and that no path leads out of the folder of runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dissever.harness import store
from dissever.harness.results import Verdict
from dissever.web.addresses import path_of, quoted_path

Get = Callable[..., Any]
Keep = Callable[..., Path]

SECRET = "the secret outside"


@pytest.fixture
def run(runs: Path, keep_run: Keep) -> Path:
    """A run, with a secret beside the folder of runs."""
    made = keep_run(runs, 1, Verdict.INVALID)
    (runs.parent / "secret.log").write_text(SECRET)
    store.point_latest(runs, made)
    return made


@pytest.fixture
def address(run: Path, runs: Path) -> str:
    return quoted_path(str(run.relative_to(runs)))


@pytest.mark.parametrize("kind", ["/", "/run/{}/", "/live/{}/", "/part/{}", "/state/{}"])
def test_pages_of_a_run(kind: str, get: Get, address: str) -> None:
    answer = get(kind.format(address))

    assert answer.status == 200
    assert b"dqlite" in answer.body or b'"state"' in answer.body
    assert answer.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize("kind", ["run", "live"])
def test_latest_leads_to_its_run(kind: str, get: Get, address: str) -> None:
    answer = get(f"/{kind}/latest")

    assert (answer.status, answer.headers["Location"]) == (302, f"/{kind}/{address}")


def test_our_pages_may_load_only_what_is_ours(get: Get, address: str) -> None:
    policy = get(f"/run/{address}/").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_report_has_an_origin_of_its_own(get: Get, address: str) -> None:
    answer = get(f"/report/{address}")
    policy = answer.headers["Content-Security-Policy"]

    assert answer.text.endswith("the report")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "allow-top-navigation" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy  # So that of default-src counts.


def test_files_are_plain_text_or_bytes_without_rights(get: Get, run: Path, address: str) -> None:
    (run / "nodes" / "n1" / "data" / "page.bin").write_bytes(b"<script>")
    (run / "nodes" / "n1" / "evil.html").write_text("<script>alert(1)</script>")
    for name, kind in (
        ("nodes/n1/stderr-1.log", "text/plain; charset=utf-8"),
        ("index.html", "text/plain; charset=utf-8"),
        ("nodes/n1/evil.html", "text/plain; charset=utf-8"),
        ("nodes/n1/data/page.bin", "application/octet-stream"),
    ):
        answer = get(f"/file/{address}/{name}")

        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert answer.body == (run / name).read_bytes()


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=6-", 206, b"6789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=3-1", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
    ],
)
def test_ranges(asked: str, status: int, body: bytes, get: Get, run: Path, address: str) -> None:
    (run / "nodes" / "n1" / "digits.log").write_bytes(b"0123456789")
    answer = get(f"/file/{address}/nodes/n1/digits.log", f"Range: {asked}")

    assert answer.status == status
    if status == 206:
        start = b"0123456789".index(body)
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/10"
    if status != 416:
        assert answer.body == body


@pytest.mark.parametrize(
    ("tail", "body"), [("4", b"6789"), ("99", b"0123456789"), ("x", b"0123456789"), ("0", b"")]
)
def test_tail(tail: str, body: bytes, get: Get, run: Path, address: str) -> None:
    (run / "nodes" / "n1" / "digits.log").write_bytes(b"0123456789")
    answer = get(f"/file/{address}/nodes/n1/digits.log?tail={tail}")

    assert (answer.status, answer.body) == (200, body)


OUT = (
    "../secret.log",
    "..%2fsecret.log",
    "%2e%2e/secret.log",
    "%2e%2e%2fsecret.log",
    "..%5csecret.log",
    "%252e%252e/secret.log",
    ".%2e/secret.log",
    "./../secret.log",
    "//secret.log",
    "%00",
    "plan.json%00.log",
    "nodes/../../../../../secret.log",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.log",
    "../../../../secret.log",
    "%c0%ae%c0%ae/secret.log",
    "\\..\\secret.log",
    "{secret}",
    "%2F{secret}",
)


@pytest.mark.parametrize("out", OUT)
def test_no_path_leaves_the_folder(out: str, get: Get, run: Path, runs: Path, address: str) -> None:
    out = out.format(secret=runs.parent / "secret.log")
    for kind in ("file", "run", "report", "live", "part", "state"):
        for path in (f"/{kind}/{out}", f"/{kind}/{address}/{out}", f"/{kind}{out}", f"/{out}"):
            answer = get(path)

            assert answer.status in (400, 404), path
            assert SECRET.encode() not in answer.body
            assert str(runs.parent).encode() not in answer.body


@pytest.mark.parametrize(
    "path", [b"/../secret.log", b"/file/../../secret.log", b"/file/\xff\xfe", b"secret", b"*"]
)
def test_raw_paths(path: bytes, get: Get, run: Path) -> None:
    answer = get(path)

    assert answer.status in (400, 404)
    assert SECRET.encode() not in answer.body


def test_links_are_not_followed(
    get: Get, run: Path, runs: Path, address: str, keep_run: Keep
) -> None:
    outside = keep_run(runs.parent / "outside", 9)
    secret = runs.parent / "secret.log"
    (run / "link.log").symlink_to(secret)
    (run / "hidden").symlink_to(runs.parent, target_is_directory=True)
    (run / "nodes" / "n1" / "data").rmdir()
    (run / "nodes" / "n1" / "data").symlink_to(runs.parent, target_is_directory=True)
    (run / "index.html").unlink()
    (run / "index.html").symlink_to(secret)
    (runs / "dqlite" / "register" / "linked").symlink_to(outside, target_is_directory=True)
    for path in (
        f"/file/{address}/link.log",
        f"/file/{address}/hidden/secret.log",
        f"/file/{address}/nodes/n1/data/secret.log",
        f"/report/{address}",
        "/run/dqlite/register/linked",
        "/file/dqlite/register/linked/plan.json",
        "/file/latest/plan.json",
    ):
        answer = get(path)

        assert answer.status == 404, path
        assert SECRET.encode() not in answer.body
    page = get(f"/run/{address}/")
    assert page.status == 200
    assert "link.log" not in page.text


def test_pipe_and_folder_are_no_files(get: Get, run: Path, address: str) -> None:
    os.mkfifo(run / "pipe.log")

    assert get(f"/file/{address}/pipe.log").status == 404
    assert get(f"/file/{address}/nodes").status == 404
    assert get(f"/file/{address}").status == 404


def test_files_beside_runs_are_not_shown(get: Get, run: Path, runs: Path) -> None:
    (runs / "notes.log").write_text("mine")
    (runs / "dqlite" / "notes.log").write_text("mine")

    assert get("/file/notes.log").status == 404
    assert get("/file/dqlite/notes.log").status == 404


def test_nothing_changes_the_store(
    get: Get, run: Path, runs: Path, address: str, keep_run: Keep
) -> None:
    other = quoted_path(str(keep_run(runs, 2).relative_to(runs)))

    def state() -> list[tuple[str, int, int, int]]:
        found = [(path, path.lstat()) for path in sorted([runs, *runs.rglob("*")])]
        return [(str(path), s.st_mtime_ns, s.st_ctime_ns, s.st_size) for path, s in found]

    before = state()
    for path in (
        *("/", f"/run/{address}/", f"/report/{address}", f"/live/{address}/", f"/part/{address}"),
        *(f"/state/{address}", f"/file/{address}/plan.json", f"/compare?run={address}&run={other}"),
    ):
        assert get(path).status == 200

    assert state() == before


def test_compare_names_what_differs(
    get: Get, run: Path, runs: Path, address: str, keep_run: Keep
) -> None:
    other = keep_run(runs, 2, rate=5.0)
    answer = get(f"/compare?run={address}&run={quoted_path(str(other.relative_to(runs)))}")

    assert "Different seeds, different options, same versions" in answer.text
    assert ">rate</th>" in answer.text


@pytest.mark.parametrize("query", ["", "?run=", "?run={a}", "?run={a}&run={a}&run={a}"])
def test_compare_takes_two(query: str, get: Get, address: str) -> None:
    assert get("/compare" + query.format(a=address)).status == 400


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.log", "nowhere", "latest/..", "%00"])
def test_compare_stays_inside(path: str, get: Get, address: str) -> None:
    assert get(f"/compare?run={address}&run={quote(path, safe='')}").status == 404


def test_filters_are_in_the_address(get: Get, run: Path, runs: Path, keep_run: Keep) -> None:
    keep_run(runs, 4242, system="redis", age=timedelta(days=1))
    for query, shows in (
        *(("system=redis", True), ("system=dqlite", False), ("seed=4242", True)),
        *(("verdict=valid", True), ("verdict=invalid", False), ("since=2026-11-01", False)),
        *(("fault=kill", True), ("fault=pause", False), ("sort=size", True), ("page=9", False)),
        *(("seed=x", True), ("since=soon", True), ("verdict=fine", True), ("unknown=1", True)),
    ):
        answer = get(f"/?{query}")

        assert answer.status == 200
        assert ('<td class="number">4242</td>' in answer.text) == shows, query
    assert "it does not filter" in get("/?seed=x").text
    assert get("/?" + "&".join(f"a{n}=1" for n in range(1000))).status == 404


def test_many_runs_come_in_pages(get: Get, runs: Path, keep_run: Keep) -> None:
    for seed in range(250):
        keep_run(runs, seed, age=timedelta(hours=seed), nodes=("n1",))
    pages = [get(f"/?page={number}").text for number in (1, 2, 3, 4)]
    counts = [page.count('name="run"') for page in pages]

    assert counts == [100, 100, 50, 0]
    assert 'rel="next"' in pages[1]
    assert 'rel="next"' not in pages[2]
    assert '<td class="number">249</td>' in pages[2]


HOSTILE = '"><script>alert(1)</script><b onmouseover=x>&amp;'


def test_hostile_names_are_text(get: Get, runs: Path, keep_run: Keep) -> None:
    run = keep_run(
        *(runs, 1), system=HOSTILE, workload="{{ 7*7 }}", faults=(HOSTILE, "\u202ereversed")
    )
    name = HOSTILE.replace("/", "-") + "\x1b[31m\n\udcff"
    run = run.rename(run.with_name(name))
    (run / "nodes" / "n1" / name).write_text("x")
    address = quoted_path(str(run.relative_to(runs)))
    both = "&".join(f"run={quote(address)}" for _ in range(2))
    for path in (
        *("/", f"/run/{address}/", f"/live/{address}/", f"/compare?{both}"),
        *(f"/?{name}={quote(HOSTILE)}" for name in ("system", "signature", "sort", "seed")),
    ):
        answer = get(path)

        assert answer.status == 200
        assert "<script>alert" not in answer.text
        assert "<b onmouseover" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
        if path == f"/run/{address}/":
            assert "{{ 7*7 }}" in answer.text


def test_broken_run_has_a_page(get: Get, run: Path, address: str) -> None:
    (run / "results.json").write_text("{")
    (run / "history.jsonl").write_text("nonsense\n")
    for path in ("/", f"/run/{address}/", f"/live/{address}/"):
        answer = get(path)

        assert answer.status == 200
        assert "results.json" in answer.text or "history.jsonl" in answer.text
    assert "history.jsonl" in get(f"/compare?run={address}&run={address}").text


@pytest.mark.parametrize("path", ["/nowhere", "/run/", "/run/a/b/c", "/file/", "/style", "/run"])
def test_what_is_not_there(path: str, get: Get, run: Path) -> None:
    assert get(path).status == 404


NAMES = st.binary(min_size=1, max_size=30).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


@given(parts=st.lists(NAMES, min_size=1, max_size=4))
def test_every_path_has_an_address_that_leads_back(parts: list[bytes]) -> None:
    path = os.fsdecode(b"/".join(parts))

    assert path_of(quoted_path(path)) == path
    assert quoted_path(path).isascii()


TRAVERSALS = st.from_regex(r"(\.|%2[eE]|/|%2[fF]|a|%00){0,12}", fullmatch=True)


@given(path=st.text(max_size=60) | TRAVERSALS)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_no_address_means_a_path_that_leads_upwards(path: str) -> None:
    try:
        parts = path_of(path).split("/")
    except OSError:
        return

    assert not {"", ".", ".."} & set(parts)
    assert "\0" not in "".join(parts)
