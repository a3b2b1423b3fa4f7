"""The examples on the page about the client run as they stand there, against a real node."""

import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "dqlite" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.cluster
def test_examples_print_what_the_page_says(program: Any) -> None:
    program.start(1)
    addresses = {
        "127.0.0.1:9001": program.addresses[1],
        "127.0.0.1:9002": free_address(),  # nobody serves these two
        "127.0.0.1:9003": free_address(),
    }
    printed = []
    for example in EXAMPLES:
        for known, real in addresses.items():
            example = example.replace(known, real)
        done = subprocess.run(
            [sys.executable, "-c", example], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)

    assert printed == [
        "('n', 'who') ((1, 'Ada'),)\n",
        "1 Ada\n",
        "('i',) (1,) 254\n",
    ]
