"""
Monitors: objects of one kind judged in polynomial time, where their values say enough.

Each is a function from the calls of one object to a finding, or None where it does not apply: then
the search decides. An order that a monitor gives is replayed before it counts.
"""
