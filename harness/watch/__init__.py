"""
What is watched while a run goes on: the parts of the harness, the nodes, and the whole cluster.

A part of the harness that is gone ends the run (`parts.py`). A node that ended by itself is shown,
and started again if asked (`crashes.py`). A cluster that answers nothing counts as dead
(`silence.py`). What each node is goes into a file for the page (`roles.py`). None of these decides
a verdict.
"""

from dissever.harness.watch.crashes import Down, minding
from dissever.harness.watch.parts import Watch
from dissever.harness.watch.roles import watching_roles
from dissever.harness.watch.silence import DEAD_S, DeadCluster, Silence

__all__ = ["DEAD_S", "DeadCluster", "Down", "Silence", "Watch", "minding", "watching_roles"]
