"""Is every key linearizable, whatever fails? pyproject.toml says which system is tested."""

import pytest


@pytest.mark.dissever(faults=["partition"], time_limit=6)
def test_partition(run_plan):
    run_plan().assert_valid()


@pytest.mark.dissever(plan="all-killed.yaml", time_limit=6)
def test_all_nodes_are_killed(run_plan):
    run_plan().assert_valid()


@pytest.mark.dissever(plan="blackout.yaml", time_limit=6)
def test_all_nodes_lose_power(run_plan):
    run_plan().assert_valid()
