"""`python -m dqlite` is the program `dqlite`, whatever else has that name on PATH."""

from dqlite.commands.main import main

if __name__ == "__main__":
    main()
