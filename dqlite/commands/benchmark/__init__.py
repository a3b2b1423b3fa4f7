"""`dqlite-benchmark`: how fast a cluster writes and reads single rows."""
