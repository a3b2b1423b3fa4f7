"""
A simulator of servers that run the real consensus code, in one process and in virtual time.

`frames.h` is how the harness speaks with it.
"""
