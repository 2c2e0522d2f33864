"""The lasso, by all solvers to one common duality gap, in benchopt's grammar."""
