"""Independent streams of random numbers."""

from __future__ import annotations

from dissever.harness.plan import stream


def test_streams_of_a_seed_are_independent() -> None:
    first, other = stream(1, "generator"), stream(1, "system")
    for _ in range(100):
        other.random()

    assert first.random() == stream(1, "generator").random()
    assert stream(1, "generator").random() != stream(1, "system").random()
    assert stream(1, "generator").random() != stream(2, "generator").random()


def test_stream_is_the_same_in_every_process() -> None:
    assert stream(7, "generator").getrandbits(32) == 4221180881
