"""`dqlite-rundemo`: three nodes insert rows and die at random; nothing may be missing."""
