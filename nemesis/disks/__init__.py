"""Faults of the disks of nodes."""
