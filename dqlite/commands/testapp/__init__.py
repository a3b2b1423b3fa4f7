"""`python -m dqlite.testapp`: a node behind the HTTP interface of the Jepsen test of dqlite."""
