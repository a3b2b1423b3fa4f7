"""
C: the search for linearizations (`search.c`), histories into columns (`load.c`), the engines that
read columns (`keys.c`); and its build (`build.py`).

Each has one module of its name that calls it; `columns.py` is what they have in common.
"""

from dissever.native.search import Engine, LazyProblem, Outcome, Problem, Status, search

__all__ = ["Engine", "LazyProblem", "Outcome", "Problem", "Status", "search"]
