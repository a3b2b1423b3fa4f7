"""Faults of packets between nodes, by nft and tc."""
