"""Clients of users' systems: what a workload's operations are applied with."""
