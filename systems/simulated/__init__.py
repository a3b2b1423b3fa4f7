"""
A replicated store in virtual time, and a database of known isolation on it.

`node.py` is how nodes agree, `stores.py` and `transactions.py` are what workloads ask for,
`database.py` is what each level of isolation does, and `system.py` what the harness knows.
"""

from typing import Final

from dissever.systems.simulated.node import BUGS
from dissever.systems.simulated.stores import STORES
from dissever.systems.simulated.system import SimulatedDeployment, SimulatedSystem

__all__: Final = ["BUGS", "STORES", "SimulatedDeployment", "SimulatedSystem"]
