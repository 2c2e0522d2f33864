"""Heuristics for the best k features of least squares: whose residual is lower, and in what time."""
