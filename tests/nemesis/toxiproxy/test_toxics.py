"""What the server would let pass, and this does not."""

from __future__ import annotations

import pytest

from dissever.nemesis.toxiproxy import Direction, Effect, Toxic, toxics


def test_an_attribute_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"expected latency, jitter, got 'latncy'.*'latency'"):
        Effect("latency", {"latncy": 100})


def test_a_type_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'slow_close'"):
        Effect("slowclose", {})


@pytest.mark.parametrize("value", [-1, 86_400_001, 1.5, True, "100"])
def test_a_value_out_of_range_or_not_whole_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="expected latency from 0 to 86400000"):
        Effect("latency", {"latency": value})


@pytest.mark.parametrize("toxicity", [-0.1, 7, float("nan")])
def test_toxicity_is_a_share(toxicity: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Toxic(toxics.latency(0.1), toxicity=toxicity)


def test_a_slicer_that_would_end_the_server_is_refused() -> None:
    with pytest.raises(ValueError, match="average_size from 1"):
        toxics.slicer(0)
    with pytest.raises(ValueError, match="size_variation below"):
        toxics.slicer(10, 10)


def test_durations_are_seconds_whatever_the_toxic_takes() -> None:
    assert toxics.latency(0.25, 0.05).attributes == {"latency": 250, "jitter": 50}
    assert toxics.slow_close(1.5).attributes == {"delay": 1500}
    assert toxics.slicer(64, 8, 0.002).attributes == {
        "average_size": 64,
        "size_variation": 8,
        "delay": 2000,
    }
    assert toxics.bandwidth(50_000).attributes == {"rate": 50}


def test_what_the_unit_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match=r"multiple of 0\.001"):
        toxics.latency(0.0005)
    with pytest.raises(ValueError, match="multiple of 1000"):
        toxics.bandwidth(1500)


def test_absent_attributes_are_zero_and_the_name_says_type_and_direction() -> None:
    toxic = Toxic(Effect("latency", {"latency": 5}), Direction.UPSTREAM)

    assert toxic.as_json() == {
        "name": "latency_upstream",
        "type": "latency",
        "stream": "upstream",
        "toxicity": 1.0,
        "attributes": {"latency": 5, "jitter": 0},
    }
