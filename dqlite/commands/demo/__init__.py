"""`dqlite-demo`: a replicated key-value store over HTTP."""
