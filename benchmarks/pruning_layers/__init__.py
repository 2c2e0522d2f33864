"""Layers of a real transformer: how near the pruned ones come, against SparseGPT and ALPS."""
