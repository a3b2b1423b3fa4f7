"""
Run one node: `python -m dqlite.node --id 1 --address 10.0.0.1:9001 --data-dir DIR`.

Prints one line of JSON on standard output once the node accepts connections, runs until SIGTERM or
SIGINT, stops cleanly. Auto recovery, which hides data loss, is off wherever it can be switched.

Exit status: 0 stopped on a signal, 1 could not start or stop (one line on standard error), 2 usage.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence

from dqlite.errors import NodeError
from dqlite.node import bindings
from dqlite.node.bindings import Capability, Library
from dqlite.node.ids import BOOTSTRAP_ID
from dqlite.node.options import NodeOptions, RoleManagement, SnapshotParams, TrailingStrategy
from dqlite.node.server import Node

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a node until a signal; return the exit status."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # inherited by the library's threads
    try:
        library = bindings.load()
        with Node(
            arguments.id,
            arguments.address,
            arguments.data_dir,
            _options(arguments, library),
            library=library,
        ) as node:
            print(json.dumps(_ready(node)), flush=True)
            signal.sigwait(_SIGNALS)
    except (NodeError, ValueError, OSError) as error:
        print(f"dqlite.node: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dqlite.node",
        description="Run a dqlite node until SIGTERM or SIGINT.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--id", type=_node_id, required=True, help="1 or 'bootstrap' founds a cluster"
    )
    parser.add_argument("--address", required=True, help="where others reach it: host:port")
    parser.add_argument("--data-dir", required=True, help="created if missing")
    parser.add_argument("--bind-address", help="where to listen, if not at the address; numeric")
    parser.add_argument("--network-latency-ms", type=int, help="one way; the base of timeouts")
    parser.add_argument("--snapshot-threshold", type=int, help="entries between snapshots")
    parser.add_argument("--snapshot-trailing", type=int, help="entries kept behind a snapshot")
    parser.add_argument(
        "--snapshot-strategy",
        choices=[strategy.name.lower() for strategy in TrailingStrategy],
        help="dynamic: keep fewer entries than that when the snapshot is smaller",
    )
    parser.add_argument(
        "--snapshot-compression", action=argparse.BooleanOptionalAction, default=None
    )
    parser.add_argument("--failure-domain", type=int, help="a tag that roles are spread over")
    parser.add_argument("--block-size", type=int, help="bytes of a write to the log")
    parser.add_argument("--busy-timeout-ms", type=int, help="a writer's wait for another")
    parser.add_argument("--pool-threads", type=int, help="threads for SQLite's work")
    parser.add_argument("--target-voters", type=int, help="have leaders keep so many voters")
    parser.add_argument("--target-standbys", type=int, help="have leaders keep so many stand-bys")
    parser.add_argument("--disk-mode", action="store_true", help="deprecated")
    parser.add_argument("--auto-recovery", action="store_true", help="allow it; hides data loss")
    parser.add_argument(
        "--unchecked", action="store_true", help="have the library meet damaged files: it may crash"
    )
    return parser


_EPILOG = """\
examples:
  python -m dqlite.node --id 1 --address 127.0.0.1:9001 --data-dir /tmp/n1
  python -m dqlite.node --id 2 --address node2.lan:9001 --bind-address 0.0.0.0:9001 --data-dir n2

What this libdqlite lacks is an error that names the version which has it. DQLITE_LIB is the path of
another one."""


def _node_id(text: str) -> int:
    return BOOTSTRAP_ID if text == "bootstrap" else int(text)


def _options(arguments: argparse.Namespace, library: Library) -> NodeOptions:
    os.makedirs(arguments.data_dir, exist_ok=True)  # noqa: PTH103 - pathlib costs as much, says more
    can_switch = Capability.AUTO_RECOVERY in library.capabilities()
    strategy = arguments.snapshot_strategy
    given = {
        "threshold": arguments.snapshot_threshold,
        "trailing": arguments.snapshot_trailing,
        "strategy": TrailingStrategy[strategy.upper()] if strategy else None,
    }
    snapshots = {name: value for name, value in given.items() if value is not None}
    targets = {"voters": arguments.target_voters, "standbys": arguments.target_standbys}
    roles = {name: count for name, count in targets.items() if count is not None}
    return NodeOptions(
        bind_address=arguments.bind_address,
        network_latency_ms=arguments.network_latency_ms,
        snapshot_params=SnapshotParams(**snapshots) if snapshots else None,
        failure_domain=arguments.failure_domain,
        auto_recovery=arguments.auto_recovery if can_switch else None,
        block_size=arguments.block_size,
        busy_timeout_ms=arguments.busy_timeout_ms,
        snapshot_compression=arguments.snapshot_compression,
        pool_threads=arguments.pool_threads,
        role_management=RoleManagement(**roles) if roles else None,
        disk_mode=arguments.disk_mode,
        check_files=not arguments.unchecked,
    )


def _ready(node: Node) -> dict[str, object]:
    identity = node.library.identity()
    return {
        "event": "ready",
        "id": node.id,
        "address": node.address,
        "bind_address": node.bind_address,
        "auto_recovery": node.options.auto_recovery,  # null: this build cannot switch it
        "library": {
            "path": identity.path,
            "sha256": identity.sha256,
            "version_number": identity.version_number,
        },
        "capabilities": sorted(each.name.lower() for each in node.library.capabilities()),
    }


if __name__ == "__main__":
    sys.exit(main())
