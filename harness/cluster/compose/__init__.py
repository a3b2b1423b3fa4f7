"""
Nodes as the services of a Compose project, which is somebody else's: nothing of it is changed.

`tool.py` calls `docker compose`, or docker-compose of old; `project.py` reads what it says of a
file; `service.py` is one node, its container and the host of ours that joins it; `cluster.py` puts
them together.
"""
