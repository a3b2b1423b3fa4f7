"""dqlite: how it runs on hosts, what workloads see of it, and its known bugs."""
