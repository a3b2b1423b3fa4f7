"""
C: the search for linearizations (`search.c`), and its build (`build.py`).

`search.py` is the only module that calls it.
"""

from dissever.native.search import Engine, LazyProblem, Outcome, Problem, Status, search

__all__ = ["Engine", "LazyProblem", "Outcome", "Problem", "Status", "search"]
