"""The programs: `dqlite` (shell and tools), `dqlite-demo`, `dqlite-benchmark`, `dqlite-rundemo`."""
