"""
Raft, complete and small: to be read, and to be broken on purpose.

Read it in this order. `messages.py`: what nodes say to each other. `log.py`: entries, snapshots and
configurations. `storage.py`: what a node must not forget, and when it is safe. `server.py`: the
state that all parts of a node share. `election.py`, `replication.py`, `snapshots.py`,
`membership.py` and `reads.py`: one part of the algorithm each. `machine.py`: what the log is for,
with the sessions that make a repeated request harmless. `gateway.py`: how a node serves clients.
`node.py` puts them together. `bugs.py` lists what can be broken; where a bug is switched on, the
code asks `server.has("name")`.

Source: D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014; D.
Ongaro, "Consensus: Bridging Theory and Practice", 2014 (chapters 3, 4, 5, 6 and 9.6).
"""
