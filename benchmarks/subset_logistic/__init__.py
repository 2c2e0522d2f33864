"""Best subsets of logistic regression: with the proof against El0ps, without it against abess."""
