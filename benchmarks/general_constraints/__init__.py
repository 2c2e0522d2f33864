"""Nonlinear constraints: evaluations and seconds beside SciPy's solvers, and sparse problems that those do not state."""
