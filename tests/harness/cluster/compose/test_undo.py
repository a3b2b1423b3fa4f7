"""Containers are brought back to how they were found, also by two who do it at the same time."""

from __future__ import annotations

from typing import Any

import docker.errors
import pytest

from dissever.harness.cluster.undo import record, undo


class Container:
    """A frozen container that the engine does not thaw: somebody else has, or nobody."""

    def __init__(self, *, is_thawed: bool) -> None:
        self.attrs: dict[str, Any] = {
            "Id": "c",
            "State": {"Paused": True, "Running": True},
            "HostConfig": {"RestartPolicy": {"Name": "no"}},
        }
        self._is_thawed = is_thawed

    def unpause(self) -> None:
        raise docker.errors.APIError("Container c is not paused")

    def reload(self) -> None:
        self.attrs["State"]["Paused"] = not self._is_thawed

    def get(self, _: str) -> Container:
        return self

    @property
    def containers(self) -> Container:
        return self


def test_container_that_somebody_else_has_thawed_is_passed_over() -> None:
    container: Any = Container(is_thawed=True)
    undo(container, record([container.attrs]))

    assert container.attrs["State"]["Paused"] is False


def test_container_that_stays_frozen_is_an_error() -> None:
    container: Any = Container(is_thawed=False)

    with pytest.raises(docker.errors.APIError, match="not paused"):
        undo(container, record([container.attrs]))
