"""Paths of other losses and penalties, to one common duality gap, in benchopt's grammar."""
