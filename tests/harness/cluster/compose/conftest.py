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
    (folder / "hello.c").write_text(HELLO)
    built = ["gcc", "-static", "-O1", "-o", folder / "hello", folder / "hello.c"]
    subprocess.run(built, check=True, timeout=60)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder / "hello", arcname="hello")
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
