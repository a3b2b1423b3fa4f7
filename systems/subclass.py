"""
What a user's subclass of `Processes` or `Compose` says by its form: name, description, folder.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

__all__ = ["describe", "folder_of"]


def describe(system: Any) -> None:
    """Give a class that has no `name` or `description` of its own those of its definition."""
    if "name" not in vars(system):
        system.name = system.__name__.lower()
    if "description" not in vars(system):
        system.description = (inspect.getdoc(system) or system.__name__).splitlines()[0]


def folder_of(system: type) -> Path:
    """The folder of the file that a class stands in."""
    return Path(inspect.getfile(system)).resolve().parent
