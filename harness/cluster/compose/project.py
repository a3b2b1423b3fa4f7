"""
What Compose says of a file: its services, their ports, and which of them can be nodes. Pure.

Both versions of the tool print a file with everything filled in; they differ in how they write
ports, and in whether services of profiles that are not active are among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # Its stubs are a package of their own.

from dissever.harness.options import unknown

__all__ = ["Project", "Service", "read"]

_UNFIT_NAME: Final = re.compile(r"[^-_a-z0-9]")
_ALONE: Final = "a node needs a network of its own, so that it can be cut off"


@dataclass(frozen=True, slots=True)
class Service:
    """
    One service. `ports`: the TCP ports that its containers listen on, by what the file publishes
    and exposes, in that order. `count`: how many containers it has. `image` is empty for one that
    is built and has no name. `network_mode`, `pid` and `profiles` are as in the file.
    """

    name: str
    image: str
    ports: tuple[int, ...]
    count: int = 1
    network_mode: str = ""
    pid: str = ""
    profiles: tuple[str, ...] = ()

    def unfit(self) -> str:
        """Why it cannot be a node, in words; empty when it can."""
        if self.network_mode == "none":
            return f"has no network (network_mode: none); {_ALONE}"
        if self.network_mode == "host":
            return f"has the machine's network (network_mode: host); {_ALONE}"
        if self.network_mode.startswith(("service:", "container:")):
            return f"has another's network (network_mode: {self.network_mode}); {_ALONE}"
        if self.pid == "host":
            return "sees all processes of the machine (pid: host); a node needs its own"
        if self.pid:
            return f"has another's processes (pid: {self.pid}); a node needs its own"
        if self.count != 1:
            return f"has {self.count} containers; a node is a service with one"
        return ""


@dataclass(frozen=True, slots=True)
class Project:
    """
    A Compose file. `name` is what the tool calls the project by default; `version` is the format
    that the file says it has, and empty if it says none. `networks` and `volumes` are those that
    the project makes itself, as the file has them.
    """

    file: Path
    name: str
    version: str
    services: Mapping[str, Service]
    networks: Mapping[str, Mapping[str, Any]]
    volumes: Mapping[str, Mapping[str, Any]]

    def check(self, nodes: Sequence[str]) -> None:
        """
        See that services can be nodes.

        Raises:
            ValueError: With a line for each that there is not, or that cannot be one.
        """
        errors = []
        for node in nodes:
            if node not in self.services:
                errors.append(unknown(f"service of {self.file.name}", node, tuple(self.services)))
            elif why := self.services[node].unfit():
                errors.append(f"the service {node} of {self.file.name} {why}")
        if errors:
            raise ValueError("\n".join(errors))

    def serving(self) -> tuple[str, ...]:
        """The services that publish or expose a port and can be nodes, in the file's order."""
        return tuple(
            each.name for each in self.services.values() if each.ports and not each.unfit()
        )

    def ports(self, nodes: Sequence[str]) -> tuple[int, ...]:
        """The ports that all of these services have, in the order of the first of them."""
        of_each = [self.services[node].ports for node in nodes]
        return tuple(port for port in of_each[0] if all(port in ports for ports in of_each))

    def override(
        self, labels: Mapping[str, str], nodes: Collection[str], sysctls: Mapping[str, str]
    ) -> str:
        """A file that gives everything that the project makes these labels, and nodes sysctls."""
        marks = dict(labels)
        file = {
            # The old tool takes files of one version only.
            **({"version": self.version} if self.version else {}),
            "services": {
                name: {"labels": marks, **({"sysctls": dict(sysctls)} if name in nodes else {})}
                for name in self.services
            },
            # It also takes a network or volume of the last file alone, so all of it is repeated.
            "networks": {name: _marked(each, marks) for name, each in self.networks.items()},
            "volumes": {name: _marked(each, marks) for name, each in self.volumes.items()},
        }
        return json.dumps(file, indent=2)  # Which is YAML, too.


def read(file: Path, config: str, active: Iterable[str] = ()) -> Project:
    """
    The project of a file.

    Args:
        config: What the tool's `config` printed.
        active: The profiles that are active; a service of others is not part of the project.

    Raises:
        ValueError: When it is none.
    """
    said, own = _mapping(config), _mapping(file.read_text(encoding="utf-8"))
    version = str(own.get("version", ""))
    parts = {name: said.get(name) or {} for name in ("services", "networks", "volumes")}
    services = {
        name: _service(name, each)
        for name, each in parts["services"].items()
        if not each.get("profiles") or set(each["profiles"]) & set(active)
    }
    networks = {"default": {}, **parts["networks"]} if _uses_default(parts) else parts["networks"]
    name = str(said.get("name") or _UNFIT_NAME.sub("", file.resolve().parent.name.lower()))
    made = (_made(each, name) for each in (networks, parts["volumes"]))
    return Project(file, name, version, services, *made)


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(value, dict) or not isinstance(value.get("services"), dict):
        raise ValueError("expected a Compose file with services")
    return value


def _uses_default(parts: Mapping[str, Any]) -> bool:
    """Whether a service is on the network that has no entry of its own: it names no other."""
    each = parts["services"].values()
    return any(not it.get("networks") and not it.get("network_mode") for it in each)


def _made(parts: Mapping[str, Any], project: str) -> dict[str, dict[str, Any]]:
    """Those that are not external. A name that the project gives them is not theirs."""
    own = {name: dict(each or {}) for name, each in parts.items()}
    for name, each in own.items():
        if each.get("name") == f"{project}_{name}":
            del each["name"]
    return {name: each for name, each in own.items() if not each.get("external")}


def _marked(part: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
    """With labels, which may be a list of `name=value`."""
    found = part.get("labels") or {}
    if not isinstance(found, Mapping):
        found = dict(each.partition("=")[::2] for each in found)
    return {**part, "labels": {**found, **marks}}


def _service(name: str, said: Mapping[str, Any]) -> Service:
    deploy = said.get("deploy") or {}
    ports = [port for entry in said.get("ports") or () if (port := _target(entry)) is not None]
    exposed = [port for entry in said.get("expose") or () if (port := _target(entry)) is not None]
    return Service(
        name=name,
        image=str(said.get("image") or ""),
        ports=tuple(dict.fromkeys((*ports, *exposed))),
        count=int(said.get("scale") or deploy.get("replicas") or 1),
        network_mode=str(said.get("network_mode") or ""),
        pid=str(said.get("pid") or ""),
        profiles=tuple(said.get("profiles") or ()),
    )


def _target(entry: object) -> int | None:
    """The TCP port of the container that an entry of `ports` or `expose` is about."""
    if isinstance(entry, Mapping):
        return int(entry["target"]) if entry.get("protocol", "tcp") == "tcp" else None
    text, _, protocol = str(entry).partition("/")
    last = text.rpartition(":")[2]
    return int(last) if protocol in ("", "tcp") and last.isdecimal() else None
