"""Paths of 100 lassos, all points to one common duality gap, in benchopt's grammar."""
