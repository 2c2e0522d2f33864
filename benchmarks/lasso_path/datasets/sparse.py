"""Sparse normal features at random places, and a few true coefficients."""

from benchmarks.lasso.datasets import sparse


class Dataset(sparse.Dataset):
    """A wide CSC matrix with about ten entries a column."""

    parameters = {"n_samples, n_features, density, levels": [(10_000, 50_000, 1e-3, (10,))]}
