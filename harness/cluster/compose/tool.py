"""
The tool of Compose: `docker compose`, the plugin of version 2, or `docker-compose` of old (1.29).

What both understand is all that is used: `config`, `up --detach` and `version`, with `--file` and
`--project-name`. Projects are taken down by the labels of what they made, not by the tool.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dissever.harness.cluster.last_words import last_words
from dissever.harness.missing import Missing

__all__ = ["Tool", "ToolFailed", "find", "probe"]

_PLUGIN: Final = ("docker", "compose")
_OLD: Final = ("docker-compose",)
_ASK_S: Final = 60.0
_UP_S: Final = 900.0
"""Images may have to be pulled, or built."""


class ToolFailed(OSError):
    """The tool has refused something; the message has its own words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """
    How Compose is called here.

    `version` is what it says of itself, such as `2.26.1`. `variables` are those of files, which are
    added to the environment.
    """

    argv: tuple[str, ...]
    version: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{' '.join(self.argv)} {self.version}"

    def config(self, file: Path, project: str | None = None) -> str:
        """
        The file as YAML, with what it extends, its variables and its defaults filled in. Blocks.

        Raises:
            ToolFailed: When the tool does not take the file.
        """
        named = ("--project-name", project) if project else ()
        argv = [*self.argv, "--file", str(file), *named, "config"]
        return _run(argv, _ASK_S, self.variables)

    async def up(self, files: Sequence[Path], project: str) -> None:
        """
        Make and start everything of the files, the later ones over the first, in its folder.

        Raises:
            ToolFailed: When a service does not start, or has not become healthy in time.
        """
        named = [word for file in files for word in ("--file", str(file))]
        argv = [*self.argv, *named, "--project-name", project, "up", "--detach"]
        await asyncio.to_thread(_run, argv, _UP_S, self.variables)


@cache
def find() -> Tool | None:
    """The tool of this machine; the plugin is preferred. Blocks."""
    for argv in (_PLUGIN, _OLD):
        if shutil.which(argv[0]) is None:
            continue
        try:
            version = _run([*argv, "version", "--short"], _ASK_S).strip()
        except OSError:
            continue
        return Tool(argv, version.removeprefix("v"))
    return None


def probe() -> Missing | None:
    """Why no Compose project can be brought up here, or None. Blocks."""
    if find() is not None:
        return None
    remedy = "install the plugin docker-compose-plugin or docker-compose-v2, or docker-compose 1.29"
    return Missing("neither `docker compose` nor `docker-compose` works here", remedy)


def _run(
    argv: Sequence[str], limit_s: float, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What the command prints; ToolFailed, with the last that it said, when it fails."""
    name = " ".join(argv[: 2 if tuple(argv[:2]) == _PLUGIN else 1])
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(0, f"{name} has not ended within {limit_s:g} s") from error
    if done.returncode:
        last = last_words(done.stderr or done.stdout)
        raise ToolFailed(0, f"{name} ended with status {done.returncode}: {last}")
    return done.stdout
