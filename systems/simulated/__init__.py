"""
A replicated store in virtual time, and a database of known isolation on it.

`raft/` is how nodes agree, `stores.py` and `transactions.py` are what workloads ask for,
`database.py` is what each level of isolation does, `bugs.py` lists what can be broken, and
`deployment.py`, `members.py` and `system.py` are what the harness knows.
"""

from typing import Final

from dissever.systems.simulated.bugs import BUGS
from dissever.systems.simulated.deployment import SimulatedDeployment
from dissever.systems.simulated.stores import STORES
from dissever.systems.simulated.system import SimulatedSystem

__all__: Final = ["BUGS", "STORES", "SimulatedDeployment", "SimulatedSystem"]
