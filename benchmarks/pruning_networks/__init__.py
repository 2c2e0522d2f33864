"""Small subsets of all kinds against brute force: no certificate may be wrong."""
