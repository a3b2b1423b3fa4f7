"""
How sure one can be of a share that was seen in a few tries.

Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["wilson"]

Z_95: Final = 1.959963984540054
"""The normal quantile of an interval that holds the true share in 95 of 100 cases."""


def wilson(successes: int, tries: int) -> tuple[float, float]:
    """
    The 95 % interval of a share, its ends from 0 to 1; of no tries it is everything.

    Raises:
        ValueError: When there are more successes than tries.
    """
    if not 0 <= successes <= tries:
        raise ValueError(f"expected 0 to {tries} successes of {tries} tries, got {successes}")
    if tries == 0:
        return 0.0, 1.0
    share, square = successes / tries, Z_95 * Z_95 / tries
    middle = (share + square / 2) / (1 + square)
    half = Z_95 * math.sqrt(share * (1 - share) / tries + square / (4 * tries)) / (1 + square)
    return (
        0.0 if successes == 0 else max(0.0, middle - half),
        1.0 if successes == tries else min(1.0, middle + half),
    )
