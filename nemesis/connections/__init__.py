"""Faults of connections between nodes, by Toxiproxy."""
