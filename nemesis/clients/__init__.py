"""Faults of the links between clients and nodes."""
