"""`python -m dissever.nemesis.toxiproxy`: get the Toxiproxy server, unless there is one."""

import sys
from pathlib import Path

from dissever.nemesis.toxiproxy.server import find, install


def main() -> int:
    """Print where it is; 1 with the reason on stderr when there is none."""
    found = find()
    try:
        print(found if isinstance(found, Path) else install())
    except OSError as error:
        print(f"no toxiproxy-server: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
