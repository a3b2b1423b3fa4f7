"""
etcd, with clients that are programs.

    dissever test examples/clients/etcd.py:WithShell -w register -f partition -n 3
    (cd examples/clients/go && go build -o client .)
    dissever test examples/clients/etcd.py:WithGo -w register -f partition -n 3
"""

from dissever import Processes, Program


class WithShell(Processes):
    """etcd, and a client in shell."""

    command = """
        etcd --name {node} --data-dir {data} --initial-cluster {peers}
        --listen-client-urls http://{address}:2379 --advertise-client-urls http://{address}:2379
        --listen-peer-urls http://{address}:2380
        --initial-advertise-peer-urls http://{address}:2380
    """
    peer = "{node}=http://{address}:2380"
    client_ports = (2379,)
    peer_ports = (2380,)
    client = Program("shell/client.sh", abilities=["ping"])


class WithGo(WithShell):
    """etcd, and a client in Go."""

    client = Program("go/client", abilities=["ping"])
