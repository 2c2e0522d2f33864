"""The group lasso, to one common duality gap, in benchopt's grammar."""
