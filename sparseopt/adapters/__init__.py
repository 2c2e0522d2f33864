"""Adapters to other packages; each imports its package inside."""
