"""Libraries for the simulator: what comes from the network is verified, and unpacked with care."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dissever.harness.missing import Missing
from dissever.systems.raft import libraries
from dissever.systems.raft.libraries import Package, Variant


def tar(files: Mapping[str, bytes], compression: str = "xz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def deb(files: Mapping[str, bytes]) -> bytes:
    def member(name: str, content: bytes) -> bytes:
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        return head + content + b"\n" * (len(content) % 2)

    data = tar(files)
    return b"!<arch>\n" + member("debian-binary", b"2.0") + member("data.tar.xz", data)


def package(content: bytes, name: str = "small_1.deb") -> Package:
    return Package(f"pool/main/s/small/{name}", hashlib.sha256(content).hexdigest())


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a mirror of Debian on this machine."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DISSEVER_DEBIAN_MIRROR", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


def offer(mirror: Path, wanted: Package, content: bytes) -> None:
    path = mirror / wanted.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def variant(monkeypatch: pytest.MonkeyPatch, wanted: Package) -> None:
    """A variant that needs one package, and does not compile."""
    made = Variant("a small library", {"small": wanted}, "none.h", ("small/usr/include",), ())
    monkeypatch.setitem(libraries.VARIANTS, "small", made)  # type: ignore[arg-type]


def test_headers_sources_and_archives_are_unpacked_and_nothing_else(tmp_path: Path) -> None:
    files = {"./usr/include/a.h": b"1", "./usr/lib/liba.a": b"22", "./usr/share/doc/x": b"3"}
    content = deb(files)
    libraries.unpack(package(content), content, tmp_path / "to")

    found = {str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*.*")}
    assert found == {"usr/include/a.h", "usr/lib/liba.a"}
    assert (tmp_path / "to/usr/lib/liba.a").read_bytes() == b"22"


def test_a_source_is_unpacked_as_well(tmp_path: Path) -> None:
    content = tar({"small-1/src/a.h": b"1", "small-1/README": b""}, "gz")
    libraries.unpack(package(content, "small_1.orig.tar.gz"), content, tmp_path)

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.h"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no ar archive"),
        (b"!<arch>\n", "it has no data.tar"),
        (deb({"a.h": b"1"})[:100], "it has no data.tar"),
        (deb({"a.h": b"1" * 5000})[:200], "is no package"),
        (b"!<arch>\n" + b"x" * 60, "is no package"),
        (deb({"../a.h": b"1"}), "leads out of its folder: '../a.h'"),
        (deb({"/etc/a.h": b"1"}), "leads out of its folder: '/etc/a.h'"),
    ],
)
def test_an_archive_that_is_hostile_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(OSError, match="small_1") as caught:
        libraries.unpack(package(content), content, tmp_path / "to")

    assert why in str(caught.value.strerror)
    assert not list(tmp_path.rglob("a.h"))


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "_UNPACKED_BYTES_MAX", 100)
    content = deb({"a.h": b"1" * 60, "b.h": b"1" * 60})
    with pytest.raises(OSError, match="small_1") as caught:
        libraries.unpack(package(content), content, tmp_path)

    assert "unpacks to more than 100 B" in str(caught.value.strerror)


def test_what_is_fetched_is_verified_and_kept(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = deb({"usr/include/a.h": b"1"})
    wanted = package(content)
    variant(monkeypatch, wanted)
    offer(mirror, wanted, content)
    first = libraries.simulator("small")
    (mirror / wanted.path).unlink()
    second = libraries.simulator("small")

    for found in (first, second):
        assert isinstance(found, Missing)
        assert "does not compile" in found.reason  # It was there: the compiler had its turn.


def test_what_has_another_digest_is_not_taken(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = package(deb({"a.h": b"1"}))
    variant(monkeypatch, wanted)
    offer(mirror, wanted, b"something else")
    found = libraries.simulator("small")

    assert isinstance(found, Missing)
    assert f"has 14 B of SHA-256 {hashlib.sha256(b'something else').hexdigest()}" in found.reason
    assert not list(libraries.cache().rglob("a.h"))


def test_what_no_mirror_has_is_missing_with_the_reason_and_what_helps(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = package(b"x")
    variant(monkeypatch, wanted)
    found = libraries.simulator("small")

    assert isinstance(found, Missing)
    assert "a small library: small_1.deb is not to be had: http://127.0.0.1:" in found.reason
    assert "DISSEVER_DEBIAN_MIRROR" in found.remedy
    assert f"put the file at {libraries.cache()}/packages/" in found.remedy


def test_without_leave_to_build_nothing_is_fetched(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = deb({"a.h": b"1"})
    variant(monkeypatch, package(content))
    offer(mirror, package(content), content)
    found = libraries.simulator("small", may_build=False)

    assert isinstance(found, Missing)
    assert found.reason == "the simulator of a small library is not built yet"
    assert not libraries.cache().exists()


def test_a_file_that_was_put_into_the_cache_by_hand_is_taken(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = deb({"a.h": b"1"})
    wanted = package(content)
    variant(monkeypatch, wanted)
    missing = libraries.simulator("small")
    assert isinstance(missing, Missing)
    path = Path(missing.remedy.rpartition("put the file at ")[2])
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    found = libraries.simulator("small")

    assert isinstance(found, Missing)
    assert "does not compile" in found.reason


@pytest.mark.parametrize("machine", ["aarch64", "i686"])
def test_another_machine_is_told_so(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = libraries.simulator("raft-0.15.0")

    assert isinstance(found, Missing)
    assert found.reason.endswith(f"this is Linux on {machine}")


def test_without_a_compiler_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    found = libraries.simulator("raft-0.15.0")

    assert isinstance(found, Missing)
    assert found.reason == "no C compiler (no-such-compiler)"


def test_simulators_that_nobody_has_used_for_long_are_removed_but_for_the_newest(
    tmp_path: Path,
) -> None:
    now = time.time()
    days = {"a": 0, "b": 1, "c": 20, "d": 21, "e": 22, "f": 23}
    for name, age in days.items():
        path = tmp_path / f"small-{name * 16}"
        path.touch()
        os.utime(path, (now, now - age * 86_400))
    others = [tmp_path / "small-1.0-ffffffffffffffff", tmp_path / "small-draft"]
    for path in others:
        path.touch()
        os.utime(path, (0, 0))
    libraries._prune("small", tmp_path)

    left = {path.name for path in tmp_path.iterdir()} - {path.name for path in others}
    assert left == {f"small-{name * 16}" for name in "abcd"}
    assert all(path.exists() for path in others)


def test_a_simulator_that_is_found_counts_as_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_digest", lambda *_: "f" * 16)
    variant(monkeypatch, package(b"x"))
    built = libraries.cache() / "built" / f"small-{'f' * 16}"
    built.parent.mkdir(parents=True)
    built.touch()
    os.utime(built, (0, 0))

    assert libraries.simulator("small") == built
    assert built.stat().st_mtime > 0


def test_an_unknown_variant_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        libraries.simulator("raft-9")
