"""Least squares with the minimax concave penalty, to one common stationarity, in benchopt's grammar."""
