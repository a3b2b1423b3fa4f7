"""The commands, a file for each or for a few of one kind. They print, and decide nothing."""
