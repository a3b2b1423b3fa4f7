"""A Compose project for tests: three services of an image with one static program, no shell."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from dissever.harness.cluster import backends
from dissever.harness.cluster.backends import COMPOSE
from dissever.harness.cluster.compose import tool
from dissever.harness.cluster.compose.project import Project, read

IMAGE = "dissever-test/hello"

HELLO = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7000)};
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 16)) return 3;
  puts("listening");
  fflush(stdout);
  fputs("complaining\n", stderr);
  for (;;) {
    int client = accept(server, NULL, NULL);
    if (client >= 0 && write(client, "hello", 5) >= 0) close(client);
  }
}
"""

TALK = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <unistd.h>
static void talk(struct sockaddr_in peer) {
  for (;; usleep(10000)) {
    char byte = 'x';
    int link = socket(AF_INET, SOCK_STREAM, 0);
    if (!connect(link, (struct sockaddr *)&peer, sizeof peer))
      while (write(link, &byte, 1) == 1 && read(link, &byte, 1) == 1) usleep(10000);
    close(link);
  }
}
int main(void) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(7000)}, peer;
  socklen_t size = sizeof own;
  int probe = socket(AF_INET, SOCK_DGRAM, 0), server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  own.sin_addr.s_addr = htonl(0x01010101);  /* Nothing is sent there. */
  connect(probe, (struct sockaddr *)&own, sizeof own);
  getsockname(probe, (struct sockaddr *)&own, &size);
  for (unsigned last = 2; last < 6; last++) {
    peer = own;
    peer.sin_port = htons(7000);
    peer.sin_addr.s_addr = htonl((ntohl(own.sin_addr.s_addr) & ~255u) | last);
    if (peer.sin_addr.s_addr != own.sin_addr.s_addr && !fork()) talk(peer);
  }
  own.sin_addr.s_addr = 0;
  own.sin_port = htons(7000);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(server, (struct sockaddr *)&own, sizeof own) || listen(server, 64)) return 3;
  for (;;) {
    char byte;
    int link = accept(server, NULL, NULL);
    if (link < 0 || fork()) {
      close(link);
      continue;
    }
    while (read(link, &byte, 1) == 1 && write(link, &byte, 1) == 1);
    return 0;
  }
}
"""
"""Connects to every neighbour with its first instructions, talks with it, and answers like that."""

FILE = f"""
services:
  db1: &db
    image: {IMAGE}
    expose: ["7000"]
    restart: always
    volumes: ["data:/data"]
  db2: *db
  db3: *db
  other: *db
volumes:
  data:
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the engine, which has the image; skips where a project cannot be brought up."""
    if (missing := backends.probe(COMPOSE)) is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make the program of the image")
    folder = tmp_path_factory.mktemp("image")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, program in (("hello", HELLO), ("talk", TALK)):
            (folder / f"{name}.c").write_text(program)
            built = ["gcc", "-static", "-O1", "-o", folder / name, folder / f"{name}.c"]
            subprocess.run(built, check=True, timeout=60)
            tar.add(folder / name, arcname=name)
    client = docker.from_env()
    client.api.import_image_from_data(
        archive.getvalue(), repository=IMAGE, changes=['ENTRYPOINT ["/hello"]']
    )
    yield client
    client.images.remove(IMAGE, force=True)
    client.close()


@pytest.fixture
def file(tmp_path: Path, engine: Any) -> Path:
    """The file of the project."""
    path = tmp_path / f"p{tmp_path.name.lower()}" / "compose.yaml"
    path.parent.mkdir()
    path.write_text(FILE)
    return path


@pytest.fixture
def project(file: Path) -> Project:
    found = tool.find()
    assert found is not None
    return read(file, found.config(file))
