"""Faults of the clocks of nodes."""
