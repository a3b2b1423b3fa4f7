"""What is said where no Docker engine answers, and what is asked of one; no engine is needed."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import json
import socket
import tarfile
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster import PLAIN, ClusterLost, engine, host
from dissever.harness.cluster.containers import ContainersCluster, _extract
from dissever.harness.cluster.host import published
from dissever.harness.cluster.keeper.agent import RELAY_PORT
from dissever.harness.cluster.pod import Recipe


def test_engine_that_refuses_leaves_no_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dockerd does when it ends: its socket stays, and nobody listens."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        missing = engine.probe()
        gc.collect()

    assert missing is not None
    assert missing.reason == f"no Docker engine answers: {path}: Connection refused"
    assert caught == []


def test_engine_that_does_not_answer_is_a_lost_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/socket")

    missing = engine.probe()
    assert missing is not None
    assert "no Docker engine answers" in missing.reason
    with pytest.raises(ClusterLost, match="no Docker engine answers"):
        asyncio.run(ContainersCluster.open(["n1"], tmp_path, ports=[]))


def test_user_who_may_not_ask_the_engine_is_reported_how_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")

    missing = engine.probe()
    assert missing is not None
    assert "Permission denied" in missing.reason
    assert "group docker" in missing.remedy


ANSWERS = {
    "/version": {"ApiVersion": "1.41", "Version": "20.10"},
    "/info": {"MemTotal": 1 << 30, "CgroupVersion": "1"},
    "/containers/json": [],
    "/networks": [],
    "/volumes": {"Volumes": []},
    "/networks/create": {"Id": "net"},
    "/networks/net": {"Id": "net", "Name": "net"},
    "/volumes/create": {"Name": "volume"},
}


class FakeEngine(HTTPServer):
    """Answers as an engine that has nothing; notes the containers that it is asked for."""

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Asked)
        self.created: list[dict[str, Any]] = []


class _Asked(BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/v1.41")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/containers/create":
            self.server.created.append(json.loads(body))
        answer = ANSWERS.get(path)
        text = json.dumps({"message": "no"} if answer is None else answer).encode()
        self.send_response(500 if answer is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - The server asks for methods by these names.

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake_engine(request: pytest.FixtureRequest) -> Iterator[FakeEngine]:
    with FakeEngine(request.param) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("fake_engine", "name", "address"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2", "127.0.0.2"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
    ],
    indirect=["fake_engine"],
)
def test_every_port_is_published_on_the_address_that_reaches_the_engine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_engine: FakeEngine,
    name: str,
    address: str,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{name}:{fake_engine.server_port}")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(OSError, match="docker: no"):
        asyncio.run(ContainersCluster.open(["n1"], tmp_path, ports=[7000, 7001]))

    (asked,) = fake_engine.created
    bindings = asked["HostConfig"]["PortBindings"]
    assert set(bindings) == {"7000/tcp", "7001/tcp", f"{RELAY_PORT}/tcp"}
    assert {each["HostIp"] for ports in bindings.values() for each in ports} == {address}
    assert asked["HostConfig"]["CapDrop"] == ["ALL"]
    assert not asked["HostConfig"].get("PublishAllPorts")


@pytest.mark.parametrize("fake_engine", ["127.0.0.1"], indirect=True)
def test_proxies_of_the_user_are_not_handed_to_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_engine: FakeEngine
) -> None:
    settings = tmp_path / "config.json"
    proxies = {"httpProxy": "http://user:hunter2@proxy"}
    settings.write_text(json.dumps({"proxies": {"default": proxies}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{fake_engine.server_port}")
    with pytest.raises(OSError, match="docker: no"):
        asyncio.run(ContainersCluster.open(["n1"], tmp_path / "nodes", ports=[7000]))

    (asked,) = fake_engine.created
    assert "hunter2" not in json.dumps(asked)


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::"])
def test_ports_on_all_addresses_cannot_be_asked_for(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Recipe("run", {}, "net", (7000,), address, 0, 0, 1, (), PLAIN)


def test_port_that_an_engine_publishes_elsewhere_is_an_error() -> None:
    asked = {"7000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5"}], "80/tcp": None}

    assert published(asked, "127.0.0.1") == {7000: 5}
    with pytest.raises(OSError, match=r"10\.0\.0\.9"):
        published(asked, "10.0.0.9")


def test_archive_of_a_node_makes_plain_files_inside_and_replaces_none(tmp_path: Path) -> None:
    folder = tmp_path / "n1"
    folder.mkdir()
    (folder / "stderr-1.log").write_text("Assertion failed")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, link in (
            ("./data", tarfile.DIRTYPE, ""),
            ("./data/db", tarfile.REGTYPE, ""),
            ("./stderr-1.log", tarfile.REGTYPE, ""),
            ("../escaped", tarfile.REGTYPE, ""),
            (str(tmp_path / "absolute"), tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, str(tmp_path)),
            ("link/through", tarfile.REGTYPE, ""),
            ("hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("device", tarfile.CHRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"node"))
    _extract(packed.getvalue(), folder)

    assert (folder / "data" / "db").read_text() == "node"
    assert (folder / "stderr-1.log").read_text() == "Assertion failed"
    made = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")}
    assert made == {"n1", "n1/data", "n1/data/db", "n1/link", "n1/link/through", "n1/stderr-1.log"}
    assert not (folder / "link").is_symlink()


def test_archive_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Container:
        def get_archive(self, _path: str) -> tuple[Iterator[bytes], None]:
            return itertools.repeat(bytes(1 << 10)), None

    monkeypatch.setattr(host, "_ARCHIVE_BYTES_MAX", 1 << 16)
    endless = host.Host.__new__(host.Host)
    endless._container = Container()
    with pytest.raises(OSError, match="at most 65536"):
        endless.archive("/node")
