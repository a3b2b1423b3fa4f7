"""What an injection may be given is checked against one range, before anything runs."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from dissever.nemesis import FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_is_drawn_is_valid(name: str) -> None:
    fault = FAULTS[name]
    for seed in range(50):
        drawn = fault.draw(Random(seed))

        assert fault.filled(drawn, Random(0)).items() >= drawn.items()
    assert set(fault.filled({}, Random(1))) >= set(fault.draw(Random(1)))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("packet-loss", {"percent": 100}, "percent from 1 to 90, got 100"),
        ("packet-loss", {"percent": "much"}, "percent from 1 to 90, got 'much'"),
        ("packet-loss", {"percent": True}, "percent from 1 to 90, got True"),
        ("packet-loss", {"percent": float("nan")}, "percent from 1 to 90, got nan"),
        ("packet-rate", {"rate_kb_s": 0}, "rate_kb_s from 1 to 100000, got 0"),
        ("netem-delay", {"delay_ms": 5, "jitter_ms": 5}, "jitter_ms below delay_ms 5, got 5"),
        ("latency", {"delay_ms": 5, "jitter_ms": 9}, "jitter_ms below delay_ms 5, got 9"),
        ("latency", {"toxicity": 7}, "toxicity from 0.01 to 1, got 7"),
        ("latency", {"way": "up"}, "way out of both, out, in, got 'up'"),
        ("latency", {"way": ["in"]}, r"way out of both, out, in, got \['in'\]"),
        ("slow-close", {"delay_ms": 1}, "delay_ms as a whole number from 50 to 60000, got 1"),
        ("client-reset", {"every_ms": 1}, "every_ms from 50 to 60000, got 1"),
        ("disk-slow", {"ms": -1}, "ms as a whole number from 1 to 5000, got -1"),
        ("disk-error", {"errno": "EFOO"}, "errno out of EIO, ENOSPC, .*, got 'EFOO'"),
        ("disk-error", {"op": "write,read,stat"}, "op with words out of open, .*, got 'write,"),
        ("disk-error", {"probability": 2}, "probability from 1e-06 to 1, got 2"),
        ("disk-full", {"restart": 1}, "restart true or false, got 1"),
        ("limit-cpu", {"cpus": -1}, "cpus from 0.01 to 8, got -1"),
        ("limit-memory", {"memory_bytes": 1.5}, "memory_bytes as a whole number from 1048576"),
        ("demote", {"role": "voter"}, "role out of stand-by, spare, got 'voter'"),
        ("clock-jump", {"offset_s": 0}, "offset_s of at least 0.03"),
        ("monotonic-jump", {"offset_s": -5}, "offset_s from 0.03 to 1000000000, got -5"),
        ("partition", {"grudge": ["n1"]}, "grudge as a mapping from nodes to lists of nodes"),
        ("kill", {"gap_s": 1}, "expected nothing, got 'gap_s'"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FAULTS[name].filled(given, Random(0))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("latency", {"delay_ms": 0, "jitter_ms": 0}),
        ("latency", {"toxicity": 0}),
        ("latency", {"toxicity": 0.0}),
        ("bandwidth", {"rate_kb_s": 0}),
        ("bandwidth", {"rate_kb_s": 1_000_000}),
        ("slicer", {"slice_bytes": 1 << 20}),
        ("slicer", {"delay_ms": 0}),
        ("slow-close", {"delay_ms": 0}),
        ("limit", {"limit_bytes": 1 << 40}),
        ("timeout", {"after_ms": 0}),
        ("packet-loss", {"percent": 0}),
        ("packet-rate", {"rate_kb_s": 1_000_000}),
        ("netem-delay", {"delay_ms": 0, "jitter_ms": 0}),
        ("netem-duplicate", {"percent": 0}),
        ("netem-reorder", {"delay_ms": 0}),
        ("limit-cpu", {"cpus": 1024}),
        ("partition", {"grudge": {}}),
        ("partition", {"grudge": {"n1": []}}),
        ("disk-slow", {"ms": 0}),
        ("disk-error", {"probability": 0}),
        ("disk-truncate", {"share": 0}),
        ("disk-truncate", {"files": 0}),
        ("power-failure", {"keep": 1.0}),
        ("clock-jump", {"offset_s": 0.001}),
        ("clock-drift", {"rate": 0}),
        ("clock-drift", {"rate": 0.001}),
        ("clock-strobe", {"offset_s": 0.001}),
        ("monotonic-drift", {"rate": 0}),
        ("monotonic-jump", {"offset_s": 0.001}),
    ],
)
def test_settings_under_which_a_fault_does_nothing_are_refused(
    name: str, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"expected .* got"):
        FAULTS[name].filled(given, Random(0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"targets": ["n1"], "cpus": -1}, "cpus from 0.01 to 8, got -1"),
        ({"count": 99}, "count as a whole number from 1 to 5, got 99"),
        ({"count": True}, "count as a whole number from 1 to 5, got True"),
        ({"spec": "leeder"}, "expected one or minority .* as the target, got 'leeder'"),
        ({"cores": 1}, "expected spec, targets, count, seed or cpus, got cores"),
        (["n1"], r"expected a mapping with a spec or targets, got \['n1'\]"),
    ],
)
def test_the_nemesis_refuses_it_too_and_strikes_nobody(
    cluster: Any, nemeses_of: Any, play: Any, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        play(nemeses_of(cluster, "limit-cpu"), ("limit-cpu", "start-limit-cpu", value))

    assert cluster.calls == []
