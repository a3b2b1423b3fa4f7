"""
The engines, in C: a folder for each unit, with the one Python module that calls it.

`columns` is the form in which engines read a history, `load` reads files into it; `search` decides
any model, `registers`, `texts` and `containers` decide one kind of object each. `build.py` compiles
them into one module, and `faultfs` into a program.
"""

from dissever.native.search import Engine, LazyProblem, Outcome, Problem, Status, search

__all__ = ["Engine", "LazyProblem", "Outcome", "Problem", "Status", "search"]
