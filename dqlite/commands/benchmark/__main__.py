"""`python -m dqlite.commands.benchmark` is the program `dqlite-benchmark`."""

from dqlite.commands.benchmark.main import main

if __name__ == "__main__":
    main()
