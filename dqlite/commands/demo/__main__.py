"""`python -m dqlite.commands.demo` is the program `dqlite-demo`."""

from dqlite.commands.demo.main import main

if __name__ == "__main__":
    main()
