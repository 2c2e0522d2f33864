"""Our loops against the same loops written by hand in one function of plain arrays."""
