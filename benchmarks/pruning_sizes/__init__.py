"""Sparse matrices against dense ones in the networks that pruning leaves."""
