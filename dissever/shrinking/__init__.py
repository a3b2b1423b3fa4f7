"""
Making a run that failed smaller while it still fails in the same way.

`reduction.py` is delta debugging as pure searches that ask questions; `candidate.py` is a run that
may be tried, `passes.py` is what may be left out of it, in which order; `trials.py` answers, by one
attempt where the system is simulated and by a sequential test (`sequential.py`) on real nodes;
`journal.py` keeps every answer, so that a search goes on where it was interrupted. `shrink.py` puts
these together. `story.py` and `keepsakes.py` write what comes of it; `doom.py` asks from when on a
run was bound to fail.
"""
