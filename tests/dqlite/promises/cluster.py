"""Three nodes of one library, for tests that share them."""

from dataclasses import dataclass
from typing import Final

from tests.dqlite.interop.tools import Programs, Running, join

LIBRARIES: Final = ("1.11.1", "1.18.7")
LATENCY_MS: Final = 20


def founded(programs: Programs, library: str, *options: str) -> list[Running]:
    """Three nodes that vote; the first led when it was founded."""
    nodes = [
        programs.node(library, number, *options, latency_ms=LATENCY_MS) for number in (1, 2, 3)
    ]
    for number, node in enumerate(nodes[1:], start=2):
        join([nodes[0].db], number, node.db)
    return nodes


@dataclass
class Cluster:
    """Nodes of one library; a test that stops some starts them again."""

    programs: Programs
    library: str
    nodes: list[Running]

    @property
    def servers(self) -> list[str]:
        return [node.db for node in self.nodes]
