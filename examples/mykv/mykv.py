"""mykv: how dissever runs its nodes, and how it asks them."""

import json
from http.client import HTTPConnection

from dissever import NotApplied, Processes


class Client:
    """Asks one node. After any exception but NotApplied nobody knows what became of a request."""

    def __init__(self, endpoint):
        self.connection = HTTPConnection(endpoint.address)

    def read(self, key):
        return self.ask("GET", f"/keys/{key}")["value"]

    def write(self, key, value):
        self.ask("PUT", f"/keys/{key}", {"value": value})

    def compare_and_set(self, key, old, new):
        answer = self.ask("PUT", f"/keys/{key}", {"value": new, "if": old})
        return "error" not in answer

    def ping(self):
        self.ask("GET", "/ping")

    def close(self):
        self.connection.close()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body))
        response = self.connection.getresponse()
        answer = json.load(response)
        if response.status == 503:
            raise NotApplied(answer["error"])
        if response.status not in (200, 412):
            raise OSError(f"{path}: {response.status} {answer}")
        return answer


class MyKv(Processes):
    """A key-value service: registers on a majority of the nodes."""

    command = (
        "{python} {here}/server.py --name {node} --listen {address}:8080 --peers {peers}"
        " --data {data}"
    )
    peer = "{node}={address}:8080"
    client_ports = (8080,)
    peer_ports = (8080,)
    client = Client
