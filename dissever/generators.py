"""
Public: the combinators of generators, which say what clients do and when; docs/generators.md has a
line on each.

    from dissever import Invocation
    from dissever.generators import limit, mix, repeat

    limit(100, mix(repeat(Invocation("read")), repeat(Invocation("write", 1))))
"""

from dissever.harness import generator as _generators
from dissever.harness.generator import *  # noqa: F403 - Every name there is a public one.

__all__ = list(_generators.__all__)
