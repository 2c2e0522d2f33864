"""Portfolios of at most k assets: seconds to a proven gap, beside SCIP."""
