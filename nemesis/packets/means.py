"""The means by which hosts treat packets, which the kernel has or has not."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Means"]


class Means(StrEnum):
    """What does it."""

    NETEM = "netem"
    TBF = "tbf"
    NFT = "nft"
