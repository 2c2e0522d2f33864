"""Dense normal features, each correlated with the one before, and a few true coefficients."""

from benchmarks.lasso.datasets import correlated


class Dataset(correlated.Dataset):
    """An autoregressive design."""

    parameters = {"n_samples, n_features, rho, levels": [(1000, 5000, 0.5, (100,))]}
