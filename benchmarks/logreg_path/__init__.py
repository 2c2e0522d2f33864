"""Paths of 100 logistic regressions, all points to one common duality gap, in benchopt's grammar."""
