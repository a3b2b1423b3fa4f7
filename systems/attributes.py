"""
What users write into the attributes of a `Processes`: each mistake is one line, before anything
starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dissever.harness.values import quoted
from dissever.systems.templates import words_of

__all__ = ["check_attributes"]

_PORT_MAX: Final = 65535


def check_attributes(system: Any) -> None:
    """
    Check the types of what a class of the user's says.

    Raises:
        ValueError: For the first that cannot be meant.
    """
    name = type(system).__name__
    _check_ports(f"{name}.client_ports", system.client_ports)
    _check_ports(f"{name}.peer_ports", system.peer_ports)
    if not system.client_ports:
        raise ValueError(f"expected {name}.client_ports, found none")
    if not isinstance(system.beside, list | tuple):
        raise ValueError(
            f"expected {name}.beside to be a list of commands, got {quoted(system.beside)}"
        )
    if not isinstance(system.environment, Mapping):
        raise ValueError(
            f"expected {name}.environment to map names to texts, got {quoted(system.environment)}"
        )
    limit_s = system.start_limit_s
    if isinstance(limit_s, bool) or not isinstance(limit_s, int | float) or not limit_s > 0:
        raise ValueError(f"expected {name}.start_limit_s to be seconds, got {quoted(limit_s)}")
    _check_files(f"{name}.files", system.files)
    words_of(system.version, f"{name}.version")


def _check_ports(where: str, ports: Any) -> None:
    expected = f"expected {where} to be numbers from 1 to {_PORT_MAX}"
    if not isinstance(ports, list | tuple):
        raise ValueError(f"{expected}, such as (8080,), got {quoted(ports)}")
    for port in ports:
        if type(port) is not int or not 1 <= port <= _PORT_MAX:
            raise ValueError(f"{expected}, got {quoted(port)}")


def _check_files(where: str, files: Any) -> None:
    if not isinstance(files, Mapping):
        raise ValueError(f"expected {where} to map names to texts or Paths, got {quoted(files)}")
    for name, content in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"expected {where} to stay in the node's folder, got {quoted(name)}")
        if not isinstance(content, str | Path):
            raise ValueError(f"expected {where}[{name!r}] to be a text or a Path, got {content!r}")
