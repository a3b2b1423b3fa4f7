"""Servers of the real raft libraries, in virtual time."""
