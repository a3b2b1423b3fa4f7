"""
Linearizability: the checker, what it knows of each kind of object, and the evidence it gives.

`checker` is the way of a history; `models/` say what correct objects do, and name what engines know
of their `family`; `monitors/` judge in Python, C in `dissever.native`, and `objects` asks the
search. `certificate` replays what is valid. `counterexample`, `confirmation` and `refutation` doubt
what is invalid; `explanation` tells it to people.
"""

from dissever.checkers.linearizability.checker import Linearizable
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.models import MODELS, model_named

__all__ = ["MODELS", "Linearizable", "Model", "model_named"]
