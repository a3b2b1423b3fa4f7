"""What a Compose file says, as either version of the tool prints it. No tool and no engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dissever.harness.cluster.compose.addresses import free_below
from dissever.harness.cluster.compose.laid import Laid
from dissever.harness.cluster.compose.project import Project, read

OLD = """
services:
  db1:
    image: kv
    expose: ['5432']
    ports:
    - published: 8080
      target: 80
    - 9000/udp
  db2: {image: kv, ports: ['80']}
  web: {image: web, network_mode: host}
  jobs: {image: web, scale: 2}
  debug: {image: web, profiles: [x]}
  quiet: {image: web, network_mode: none}
  spy: {image: web, pid: host}
  sidecar: {image: web, network_mode: 'service:db1'}
volumes:
  data: {driver: local}
  other: {external: true}
version: '3.7'
"""

NEW = """
name: shop
services:
  db1:
    image: kv
    networks: {default: null}
    ports:
      - {mode: ingress, target: 80, published: "8080", protocol: tcp}
networks:
  default: {name: shop_default, ipam: {config: [{subnet: 10.9.0.0/24}]}}
  given: {name: mine, labels: [a=b]}
"""


def project(tmp_path: Path, text: str) -> Project:
    file = tmp_path / "My Shop!" / "compose.yaml"
    file.parent.mkdir()
    file.write_text(text)
    return read(file, text)


def test_ports_are_those_that_are_published_then_those_that_are_exposed(tmp_path: Path) -> None:
    found = project(tmp_path, OLD)

    assert found.services["db1"].ports == (80, 5432)
    assert found.serving() == ("db1", "db2")
    assert found.ports(("db1", "db2")) == (80,)


def test_name_is_that_of_the_file_or_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()

    assert project(tmp_path, OLD).name == "myshop"
    assert project(tmp_path / "new", NEW).name == "shop"


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("web", "has the machine's network .network_mode: host."),
        ("quiet", "has no network .network_mode: none."),
        ("sidecar", "has another's network .network_mode: service:db1."),
        ("spy", "sees all processes of the machine .pid: host."),
        ("jobs", "has 2 containers; a node is a service with one"),
        ("debug", "expected a service of compose.yaml out of db1, .*, got 'debug'"),
        ("db3", "expected a service of compose.yaml out of .*, got 'db3'; did you mean db"),
    ],
)
def test_service_that_cannot_be_a_node_is_refused_with_the_reason(
    tmp_path: Path, service: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        project(tmp_path, OLD).check(["db1", service])
    assert "\n" not in str(caught.value)


def test_service_of_an_active_profile_belongs_to_the_project(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(OLD)

    assert "debug" in read(file, OLD, ["x"]).services


def test_override_adds_labels_and_settings_and_repeats_what_the_old_tool_forgets(
    tmp_path: Path,
) -> None:
    (tmp_path / "new").mkdir()
    retries = {"net.ipv4.tcp_syn_retries": "1"}
    old = json.loads(project(tmp_path, OLD).override({"run": "1"}, ["db1"], retries))
    new = json.loads(project(tmp_path / "new", NEW).override({"run": "1"}, [], retries))

    assert old["version"] == "3.7"
    assert old["services"]["db1"] == {"labels": {"run": "1"}, "sysctls": retries}
    assert all("sysctls" not in each for name, each in old["services"].items() if name != "db1")
    assert old["volumes"] == {"data": {"driver": "local", "labels": {"run": "1"}}}
    assert old["networks"] == {"default": {"labels": {"run": "1"}}}
    assert new["services"] == {"db1": {"labels": {"run": "1"}}}
    assert new["networks"]["default"] == {
        "ipam": {"config": [{"subnet": "10.9.0.0/24"}]},
        "labels": {"run": "1"},
    }
    assert new["networks"]["given"] == {"name": "mine", "labels": {"a": "b", "run": "1"}}
    assert "version" not in new


@pytest.mark.parametrize("text", ["services: [", "- a", "volumes: {}", ""])
def test_what_is_no_compose_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|while") as caught:
        project(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_addresses_below_are_those_that_nobody_has() -> None:
    network = {
        "IPAM": {"Config": [{"Subnet": "fd00::/64"}, {"Subnet": "10.9.0.0/24"}]},
        "Containers": {"a": {"IPv4Address": "10.9.0.3/24"}, "b": {"IPv4Address": ""}},
    }

    assert free_below(network, "10.9.0.5") == ["10.9.0.2", "10.9.0.4"]
    assert free_below(network, "10.9.0.2") == []
    assert free_below(network, "192.0.2.1") == []


def test_rules_are_remembered_until_they_are_healed() -> None:
    laid = Laid()
    heal = "add table inet t\ndelete table inet t\n"
    nft, tc = ["nft", "-f", "-"], ["tc", "-batch", "-"]
    seen = [laid.has_rules]
    for argv, stdin in (
        (nft, heal + "table inet t {\n}\n"),
        (nft, heal),
        (tc, "qdisc add dev eth0 root netem delay 1ms\n"),
        (["tc", "qdisc", "del", "dev", "eth0", "root"], ""),
        (["ip", "address"], ""),
    ):
        laid.ran(argv, stdin)
        seen.append(laid.has_rules)

    assert seen == [False, True, False, True, False, False]
