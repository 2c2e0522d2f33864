"""Parts of searches for supports: quadratics on features, swaps, and fits on one support."""
