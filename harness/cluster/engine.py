"""
The Docker engine: called off the event loop, with its errors as ours; it keeps nothing of a run.

Everything that a cluster makes carries labels: its run, the process that made it, and when it
expires. `reap` removes by these. `DOCKER_HOST` says which engine it is, as for docker itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import docker
import docker.errors
import requests.exceptions

from dissever.harness.cluster import ClusterLost
from dissever.harness.cluster.undo import GUEST, UNDO, undo
from dissever.harness.missing import Missing

HOST_IMAGE: Final = "dissever/host"
HOST_NUMBER: Final = "2"
"""The version of the host's image that this harness needs; `host.dockerfile` has it, too."""

_BUILD_HOST: Final = "run dissever build-host"

RUN: Final = "dissever.run"

_OWNER: Final = "dissever.owner"
_EXPIRES: Final = "dissever.expires"
_LIFE_S: Final = 26 * 3600
"""Longer than the longest run: the owner of anything older is gone, even on another machine."""

_LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = {"tcp": 2375, "http": 2375, "https": 2376, "ssh": 22}
"""Where an engine, or the way to it, is when DOCKER_HOST names no port."""

_API_S: Final = 60
_WORKERS: Final = 16
_GUEST_GLANCES: Final = 40
_GLANCE_S: Final = 0.05
_RAW_BYTES: Final = 1 << 16

_Answer = TypeVar("_Answer")


def connect() -> docker.DockerClient:
    """
    A client of the engine; the caller closes it. Blocks.

    Raises:
        ClusterLost: When none answers.
    """
    if is_local():
        _knock(_address().path)
    try:
        client = docker.from_env(timeout=_API_S)
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise ClusterLost(f"no Docker engine answers: {error}") from error
    return client


def probe() -> Missing | None:
    """Why no container can be run here, or None. Never raises, and blocks."""
    try:
        client = connect()
    except ClusterLost as error:
        is_refused = isinstance(error.__cause__, PermissionError)
        join = "have this user join the group docker (usermod -aG docker USER), or be root"
        return Missing(str(error), join if is_refused else "start dockerd, or set DOCKER_HOST")
    with contextlib.closing(client):
        try:
            image = client.images.get(HOST_IMAGE)
        except docker.errors.ImageNotFound:
            return Missing(f"the engine has no image {HOST_IMAGE}", _BUILD_HOST)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            return Missing(f"the Docker engine fails: {error}", "look at its own logs")
    if image.labels.get("dissever.host") != HOST_NUMBER:
        return Missing(f"the image {HOST_IMAGE} is out of date", _BUILD_HOST)
    return None


def build_host(base: str | None = None) -> str:
    """
    Build the image of hosts, on this or another machine's engine; its number. Blocks for a minute.

    Args:
        base: An image of Debian with apt; None: Debian's own, which the engine pulls.

    Raises:
        ClusterLost: When no engine answers, or the image cannot be built, with its last words.
    """
    text = Path(__file__).with_name("host.dockerfile").read_bytes()
    with contextlib.closing(connect()) as client:
        try:
            image, _ = client.images.build(
                fileobj=io.BytesIO(text),
                tag=HOST_IMAGE,
                labels={"dissever.image": "yes"},
                buildargs={"BASE": base} if base else {},
                rm=True,
                forcerm=True,
            )
        except docker.errors.BuildError as error:
            said = "".join(line.get("stream", "") for line in error.build_log).strip()
            last = said.splitlines()[-1:] or [""]
            raise ClusterLost(f"{HOST_IMAGE} was not built: {error.msg} {last[0]}") from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise ClusterLost(f"{HOST_IMAGE} was not built: {error}") from error
    return str(image.id)


def version() -> str:
    """Which engine it is. Blocks. Raises ClusterLost when none answers."""
    with contextlib.closing(connect()) as client:
        return f"Docker {client.version()['Version']}, at {_address().geturl()}"


def images(name: str) -> Mapping[str, Mapping[str, str]]:
    """Tag -> labels of the images of that name, and `id`. Blocks. Raises ClusterLost."""
    with contextlib.closing(connect()) as client:
        found = client.images.list(name)
    return {tag: {**each.labels, "id": each.short_id} for each in found for tag in each.tags}


def image_id(name: str) -> str:
    """The id of an image, empty where the engine does not have it. Blocks. Raises ClusterLost."""
    with contextlib.closing(connect()) as client:
        try:
            return str(client.images.get(name).id) if name else ""
        except docker.errors.DockerException:
            return ""


def labels(run: str) -> dict[str, str]:
    """The labels of everything that is made for a run of this process."""
    return {RUN: run, _OWNER: _owner(os.getpid()), _EXPIRES: str(int(time.time()) + _LIFE_S)}


def reap(client: docker.DockerClient, run: str | None = None) -> list[str]:
    """
    Remove what a run made; without one, what runs left behind whose harness is gone.

    What it changed of containers that it did not make is taken back.

    Returns:
        The names of what was removed. Blocks.
    """
    removed = []
    filters = {"label": RUN if run is None else f"{RUN}={run}"}
    # A node's container joins its host's, which joins the network.
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
    containers.sort(key=lambda each: str(each.attrs.get("Created", "")), reverse=True)
    # Passed over is what another process is removing already (409), or has removed (404). What
    # others left behind may also be a network still in use (403): their reaper is half-way.
    passed_over = (403, 404, 409) if run is None else (404, 409)
    for found, how in (
        (containers, {"force": True, "v": True}),
        (client.networks.list(filters=filters), {}),
        (client.volumes.list(filters=filters), {}),
    ):
        for each in found:
            marks = each.labels if found is containers else each.attrs.get("Labels")
            if run is None and not _is_left_behind(marks or {}):
                continue
            try:
                if GUEST in (marks or {}):
                    _let_end(each)
                if UNDO in (marks or {}):
                    undo(client, marks[UNDO])
                each.remove(**how)
                removed.append(str(each.name))
            except docker.errors.APIError as error:
                if error.status_code not in passed_over:
                    raise
    return removed


def _let_end(guest: Any) -> None:
    """Give a host whose harness is gone the time to take its rules back."""
    for _ in range(_GUEST_GLANCES):
        if not guest.attrs["State"]["Running"]:
            return
        time.sleep(_GLANCE_S)
        guest.reload()


def heal() -> list[str]:
    """Remove what runs left behind, and name it. Blocks. Raises OSError when no engine answers."""
    with contextlib.closing(connect()) as client:
        return reap(client)


def _address() -> SplitResult:
    """Where the engine is."""
    return urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")


def is_local() -> bool:
    """Whether the engine is this machine's, so that it sees its files."""
    return _address().scheme == "unix"


def _reached_at(engine: SplitResult) -> str:
    """
    The address by which an engine is reached, as the kernel says: no name, and never "any".

    Raises:
        ClusterLost: When nothing answers there, as where SSH alone knows the way.
    """
    target = engine.hostname or "", engine.port or _PORTS.get(engine.scheme, 0)
    try:
        with socket.create_connection(target, timeout=_API_S) as connection:
            return str(connection.getpeername()[0])
    except OSError as error:
        where = f"expected the address of the engine's machine, got {engine.geturl()}"
        raise ClusterLost(f"{where}: {error.strerror or error}") from error


def _knock(path: str) -> None:
    """Raise ClusterLost where nobody listens: the SDK would leave a socket of its own unclosed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_API_S)
        try:
            caller.connect(path)
        except OSError as error:
            raise ClusterLost(f"no Docker engine answers: {path}: {error.strerror}") from error


def _owner(pid: int) -> str:
    """What identifies a process: boot, PID namespace, PID, start. "" when it is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - What it says is no path.
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
    return f"{boot} {space} {pid} {start}"


def _is_left_behind(marks: Mapping[str, str]) -> bool:
    """Whether the harness that made it is known to be gone, or its time is up."""
    if time.time() > float(marks.get(_EXPIRES, "0")):
        return True
    *place, pid, _ = (marks.get(_OWNER) or "? ? 0 ?").split()
    here = _owner(os.getpid()).split()[: len(place)]
    return place == here and marks[_OWNER] != _owner(int(pid))


class Engine:
    """A client for the event loop, with a few threads of its own."""

    def __init__(self) -> None:
        """Blocks for as long as the engine takes to say its version. Raises ClusterLost."""
        self.client = connect()
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="docker")
        self.is_local = is_local()
        """Whether it sees this machine's files, and publishes ports on its loopback."""
        self.host = _LOOPBACK
        """The address of its machine, on which alone ports are published."""
        if not self.is_local:
            try:
                self.host = _reached_at(_address())
            except ClusterLost:
                self.close()
                raise

    async def call(self, function: Callable[..., _Answer], *args: Any, **named: Any) -> _Answer:
        """
        Call a function of the SDK in a thread.

        Raises:
            FileNotFoundError: For an image that there is not.
            OSError: For anything else that the engine refuses.
            ClusterLost: When it does not answer.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: function(*args, **named))
        except docker.errors.ImageNotFound as error:
            message = f"{error.explanation}; docker/build makes ours"
            raise FileNotFoundError(2, message) from error
        except docker.errors.APIError as error:
            raise OSError(0, f"docker: {error.explanation or error}") from error
        except requests.exceptions.RequestException as error:
            raise ClusterLost(f"the Docker engine does not answer: {error}") from error

    def close(self) -> None:
        """Let go of the engine, and of the threads once they are done."""
        self._threads.shutdown(wait=True)
        self.client.close()


class Attached:
    """
    The streams of a container, from before its start; a thread of its own reads them to their end.

    Args:
        hear: Is called in that thread with the number of the stream (1 or 2) and what came.
        ended: Is called in that thread once everything has come.
        is_ours: Whether its stdin is ours to write, and to end.
        is_raw: Whether it has a terminal, and so one stream without headers.
        is_from_start: Whether what it said before is heard, too.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        container: str,
        *,
        hear: Callable[[int, bytes], None],
        ended: Callable[[], None],
        is_ours: bool = True,
        is_raw: bool = False,
        is_from_start: bool = False,
    ) -> None:
        wanted = {"stdin": is_ours, "stdout": 1, "stderr": 1, "stream": 1, "logs": is_from_start}
        wanted = {name: int(value) for name, value in wanted.items()}
        self._is_raw = is_raw
        self._stream = client.api.attach_socket(container, params=wanted)
        self._socket = getattr(self._stream, "_sock", self._stream)
        self._socket.settimeout(None)
        # What came together with the headers of the answer is in the buffer of its reader.
        raw = getattr(getattr(self._stream, "_response", None), "raw", None)
        buffered = getattr(getattr(raw, "_fp", None), "fp", None)
        self._receive: Callable[[int], bytes] = getattr(buffered, "read1", self._socket.recv)
        self._thread = threading.Thread(
            target=self._read, args=(hear, ended), name=f"attached-{container[:12]}", daemon=True
        )
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Write to the container's stdin; blocks while it is full. Raises OSError at its end."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Let go, which ends the container's stdin; returns once the thread has ended."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(2)
        self._thread.join()

    def _read(self, hear: Callable[[int, bytes], None], ended: Callable[[], None]) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):  # Its reader may be closed.
                while self._is_raw and (data := self._receive(_RAW_BYTES)):
                    hear(1, data)
                while not self._is_raw and (header := self._exactly(8)):
                    hear(header[0], self._exactly(int.from_bytes(header[4:], "big")))
        finally:
            # The response holds the stream, and closing it flushes.
            if response := getattr(self._stream, "_response", None):
                response.close()
            self._stream.close()
            ended()

    def _exactly(self, count: int) -> bytes:
        """The next `count` bytes; b"" at the end of the stream."""
        data = b""
        while len(data) < count:
            more = self._receive(count - len(data))
            if not more:
                return b""
            data += more
        return data
