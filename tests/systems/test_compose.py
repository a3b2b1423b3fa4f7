"""A Compose file as a system: what is wrong with one, in one line. No engine is asked."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from dissever.harness.cluster import backends
from dissever.harness.cluster.compose import tool
from dissever.harness.cluster.compose.tool import Tool, ToolFailed
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.harness.system import Ports, default_nodes
from dissever.systems import load
from dissever.systems.compose import Compose

CLIENT = """
class Kv:
    def __init__(self, endpoint): ...
    def read(self, key): ...
    def write(self, key, value): ...
    def compare_and_set(self, key, old, new): ...
"""

FILE = """
services:
  db1: &db {image: kv, ports: ["5432"]}
  db2: *db
  web: {image: web}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a project, and a tool that prints it as it is."""
    printed = tmp_path / "docker-compose"
    printed.write_text('#!/bin/sh\n[ "$1" = version ] && echo 9.9 || cat "$2"\n')
    printed.chmod(0o755)
    monkeypatch.setattr(tool, "find", lambda: Tool((str(printed),), "9.9"))
    (tmp_path / "client.py").write_text(CLIENT)
    path = tmp_path / "compose.yaml"
    path.write_text(FILE)
    return path


def options(file: Path, **own: str) -> Options:
    given = {"client": str(file.with_name("client.py")), **own}
    named = ("db1", "db2")
    return Options(system=str(file), workload="register", nodes=named, system_options=given)


def test_file_is_a_system_with_nodes_and_ports_of_its_own(file: Path) -> None:
    system = load(str(file))
    assert isinstance(system, Compose)
    system.check(options(file))

    assert default_nodes(system) == ("db1", "db2")
    assert system.ports(options(file)) == (5432,)
    assert Ports in system.lacks(options(file))
    assert Ports not in system.lacks(options(file, **{"peer-port": "7000"}))


@pytest.mark.parametrize(
    ("own", "workload", "why"),
    [
        ({"client": "gone.py"}, "register", r"gone\.py"),
        ({"attach": "no", "project": "p"}, "register", "expected --project or --attach no"),
        ({}, "set", "expected a client with add, elements for the workload set, got one without"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    file: Path, own: dict[str, str], workload: str, why: str
) -> None:
    wrong = options(file, **own)
    wrong = Options(
        system=wrong.system,
        workload=workload,
        nodes=wrong.nodes,
        system_options=wrong.system_options,
    )
    with pytest.raises(ValueError, match=why) as caught:
        load(str(file)).check(wrong)
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a Compose file, found none at .*gone\.yaml"):
        default_nodes(load(str(tmp_path / "gone.yaml")))


def test_project_without_a_port_asks_for_nodes(file: Path) -> None:
    file.write_text("services: {web: {image: web}}")

    with pytest.raises(ValueError, match=r"expected --nodes with services of compose\.yaml: none"):
        default_nodes(load(str(file)))


def test_tool_that_refuses_is_quoted(file: Path) -> None:
    refusing = Tool(("sh", "-c", "echo 'services.db1 Additional property x' >&2; exit 15"), "1")

    with pytest.raises(ToolFailed, match=r"status 15: services\.db1 Additional property x"):
        refusing.config(file)


def test_no_tool_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "find", lambda: None)
    missing = tool.probe()

    assert missing is not None
    assert missing.reason == "neither `docker compose` nor `docker-compose` works here"
    assert "docker-compose 1.29" in missing.remedy


class WithOptions(Compose):
    """A project with an option of its own."""

    client_ports = (5432,)
    variables: ClassVar = {"KV_IMAGE": "image"}
    driver = "no_such_driver"
    options = {"image": Option("its image", "kv:1")}  # noqa: RUF012 - As a user writes it.


def test_option_is_a_variable_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printing = file.with_name("prints")
    printing.write_text("#!/bin/sh\nsed s/kv,/$KV_IMAGE,/ $2\n")
    printing.chmod(0o755)
    monkeypatch.setattr(tool, "find", lambda: Tool((str(printing),), "9.9"))
    monkeypatch.setattr(WithOptions, "file", str(file))
    monkeypatch.setenv("KV_IMAGE", "of-the-shell")
    system, given = WithOptions(), options(file, image="kv:2")

    assert system.project().services["db1"].image == "kv:1"
    assert system.project(given).services["db1"].image == "kv:2"
    assert {"attach", "image"} <= system.options.keys()
    assert "client" not in system.options


def test_driver_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "probe", lambda _: None)
    missing = WithOptions().probe(Options(system="x", workload="register"))

    assert missing is not None
    assert "the driver of withoptions, no_such_driver, is not installed" in str(missing)


def test_option_of_a_variable_must_be_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WithOptions, "file", str(file))
    monkeypatch.setattr(WithOptions, "variables", {"KV_IMAGE": "imag"})

    with pytest.raises(ValueError, match="expected an option for the variable KV_IMAGE out of"):
        WithOptions().check(options(file))
