"""
The keeper: a process of its own that holds a cluster's namespaces.

The harness may have threads, and must keep its own network, so it never enters a namespace; the
keeper does. It is run as a script with `python -I -S`, uses the standard library only, and imports
its own modules relatively, since the package around it is not on its path.

Processes: `watchdog` (the harness's child) enters the namespaces and forks `serve`, which is PID 1
in there: when it ends, the kernel ends every process, interface and rule in the namespaces.
"""
