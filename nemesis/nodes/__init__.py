"""Faults of processes: ended, paused, limited, upgraded, members no more; and who is down."""
