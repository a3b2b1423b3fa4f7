"""The application layer: a node that joins its cluster, keeps its role and opens databases."""
