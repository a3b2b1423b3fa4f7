"""Options are checked before C sees them."""

from __future__ import annotations

from typing import Any

import pytest

from dqlite import NodeOptions, RoleManagement, SnapshotParams, TrailingStrategy


@pytest.mark.parametrize(
    "wrong",
    [
        {"network_latency_ms": 0},
        {"network_latency_ms": 3_600_001},
        {"block_size": 0},
        {"block_size": 524_288},
        {"failure_domain": -1},
        {"failure_domain": 1 << 64},
        {"busy_timeout_ms": -1},
        {"busy_timeout_ms": 1 << 32},
        {"pool_threads": 0},
        {"pool_threads": 1025},
        {"dial_timeout_s": 0},
        {"dial_timeout_s": float("nan")},
    ],
)
def test_option_out_of_range_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        NodeOptions(**wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"network_latency_ms": 3_600_000, "block_size": 262_144, "failure_domain": (1 << 64) - 1},
        {"busy_timeout_ms": 0, "pool_threads": 1024, "block_size": 512},
    ],
)
def test_ends_of_ranges_are_taken(right: dict[str, Any]) -> None:
    NodeOptions(**right)


@pytest.mark.parametrize(("threshold", "trailing"), [(8, 4), (0, 8), (1, 3), (-1, 8), (1, 1 << 32)])
def test_snapshot_params_out_of_order_are_an_error(threshold: int, trailing: int) -> None:
    with pytest.raises(ValueError, match="trailing"):
        SnapshotParams(threshold=threshold, trailing=trailing)


def test_strategy_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="9"):
        SnapshotParams(strategy=9)  # type: ignore[arg-type]

    assert SnapshotParams(strategy=TrailingStrategy.DYNAMIC).threshold == 1024


@pytest.mark.parametrize("roles", [{"voters": 0}, {"standbys": -1}, {"voters": 1 << 31}])
def test_role_management_out_of_range_is_an_error(roles: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        RoleManagement(**roles)


def test_disk_mode_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=r"1\.18\.3"):
        NodeOptions(disk_mode=True)
