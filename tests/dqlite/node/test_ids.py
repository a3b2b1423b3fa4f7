"""Ids of nodes."""

from dqlite import BOOTSTRAP_ID, generate_id
from dqlite.node import ids


def test_bootstrap_id_is_the_digest_that_the_library_defines_it_by() -> None:
    assert ids.digest("1", 0) == BOOTSTRAP_ID == 0x2DC171858C3155BE == 3297041220608546238


def test_ids_of_one_address_differ() -> None:
    found = {generate_id("127.0.0.1:9001") for _ in range(100)}

    assert len(found) == 100
    assert all(0 < each < 1 << 64 for each in found)
