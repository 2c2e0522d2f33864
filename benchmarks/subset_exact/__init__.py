"""The best subset of least squares with its proof: who closes a gap, and in what time."""
