"""`python -m dqlite.commands.rundemo` is the program `dqlite-rundemo`."""

from dqlite.commands.rundemo.main import main

if __name__ == "__main__":
    main()
