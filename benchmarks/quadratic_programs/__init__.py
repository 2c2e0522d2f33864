"""Quadratic programs: how many are solved, to what residual, and in what time, beside the solvers of the field."""
