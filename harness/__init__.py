"""The ground floor: history, generators, interpreter, plan, store, and where nodes run."""
