"""`python -m dqlite.testapp` is the application that the Jepsen test of dqlite drives."""

from dqlite.commands.testapp.main import main

if __name__ == "__main__":
    main()
