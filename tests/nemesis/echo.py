"""A node that sends back what it hears, for tests that look at links."""

from __future__ import annotations

PORT = 7000

SERVER = f"""
import socket, threading
def serve(connection):
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)
server = socket.create_server(("0.0.0.0", {PORT}))
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
"""
