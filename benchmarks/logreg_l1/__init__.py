"""Logistic regression with an L1 penalty, to one common duality gap, in benchopt's grammar."""
