"""`python -m dissever` is the command line."""

from dissever.cli import main

main()
