"""
The keeper: the process beside the harness that holds a cluster's namespaces.

The harness may have threads and must go on seeing its own network, so it never enters a namespace;
the keeper does. It is run as a script with `python -I -S`, uses the standard library only, and
imports its own modules relatively, because it must not know what the package around it is called.

Processes: `watchdog` (the harness's child) enters the namespaces and forks `serve`, which is PID 1
in there: when it ends, the kernel ends every process, interface and rule in the namespaces.
"""
