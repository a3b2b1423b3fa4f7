"""Where the server's program is looked for, and in which order."""

from __future__ import annotations

import io
import os
import secrets
import stat
import tarfile
from pathlib import Path

import pytest

from dissever.harness.cluster import ClusterLost, engine
from dissever.harness.missing import Missing
from dissever.nemesis.toxiproxy import server

PROGRAM = "#!/bin/sh\necho toxiproxy-server version {}\n"


def make(path: Path, says: str = "2.12.0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM.format(says))
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the program: no engine, nothing built, nothing on PATH."""
    for name in ("TOXIPROXY_BIN", "GOBIN", "GOPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("PATH", f"{tmp_path}/on-path:{os.defpath}")
    return tmp_path


def test_what_go_built_comes_before_what_is_on_path(home: Path) -> None:
    nothing = server.find()
    on_path = make(home / "on-path" / "toxiproxy-server")
    last = server.find()
    in_go = make(home / "go" / "bin" / "server")
    second = server.find()
    in_cache = make(server.cached())
    first = server.find()

    assert isinstance(nothing, Missing)
    assert "python -m dissever.nemesis.toxiproxy" in nothing.remedy
    assert (last, second, first) == (on_path, in_go, in_cache)


def test_a_program_of_another_kind_is_passed_over(home: Path) -> None:
    """Many programs that Go builds are called server."""
    make(home / "go" / "bin" / "server").write_text("#!/bin/sh\necho hello\n")
    alone = server.find()
    on_path = make(home / "on-path" / "toxiproxy-server")

    assert isinstance(alone, Missing)
    assert "is no toxiproxy-server" in alone.reason
    assert server.find() == on_path


def test_the_one_that_is_named_is_the_only_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(server.cached())
    monkeypatch.setenv("TOXIPROXY_BIN", str(home / "nowhere"))
    nowhere = server.find()
    monkeypatch.setenv("TOXIPROXY_BIN", str(make(home / "mine")))

    assert isinstance(nowhere, Missing)
    assert "TOXIPROXY_BIN names" in nowhere.reason
    assert server.find() == home / "mine"


def test_without_go_and_engine_there_is_no_way_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))

    with pytest.raises(OSError, match="Go is not installed, and no Docker engine answers"):
        server.install()


@pytest.mark.cluster
def test_it_is_copied_out_of_its_image(tmp_path: Path) -> None:
    try:
        client = engine.connect()
    except ClusterLost as error:
        pytest.skip(str(error))
    program = PROGRAM.format("of the image").encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("toxiproxy")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    tag = f"dissever-test-{secrets.token_hex(4)}"
    changes = ['ENTRYPOINT ["/toxiproxy"]']
    client.api.import_image_from_data(archive.getvalue(), tag, "latest", changes=changes)
    try:
        server.copy_out(client, tag, tmp_path / "program")
    finally:
        client.images.remove(tag)
        client.close()

    assert (tmp_path / "program").read_bytes() == program
    assert (tmp_path / "program").stat().st_mode & stat.S_IXUSR
