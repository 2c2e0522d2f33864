"""How the cost of a solve grows with the entries of X, where the support stays the same."""
