"""Nodes in this process, through libdqlite; `python -m dqlite.node` runs one."""
