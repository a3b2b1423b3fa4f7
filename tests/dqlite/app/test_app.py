"""Application nodes in this process, as clusters of one to seven."""
