"""
The command line, by its script and as `python -m dissever`.

All else is imported inside of `main`, because that takes a moment, and Ctrl-C in that moment must
end the program as it does later: without a traceback.
"""

from __future__ import annotations

import sys

EXIT_FAILED = 3
"""As in `commands/output.py`, which may not have been imported yet."""


def main() -> None:
    """Run the command line, and exit with its status."""
    try:
        from dissever import cli

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
