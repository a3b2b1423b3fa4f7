"""Faults of who hears whom: packets dropped between nodes."""
