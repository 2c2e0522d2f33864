"""Sparse normal features at random places; the classes are a noisy signal above or below its median."""

from benchmarks.lasso.datasets import sparse


class Dataset(sparse.Dataset):
    """CSC matrices with twenty entries a column."""

    parameters = {
        "n_samples, n_features, density, levels": [
            (2000, 5000, 1e-2, (10, 30)),
            (20_000, 100_000, 1e-3, (10,)),
        ]
    }
