"""When faults strike: drawn from the seed, written in a file, or as in a recorded run."""
