"""The client: connections, requests, the search for the leader. It needs no libdqlite."""
