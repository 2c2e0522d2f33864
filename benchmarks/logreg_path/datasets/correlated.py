"""Dense normal features, each correlated with the one before; the classes are a noisy signal above or below its median."""

from benchmarks.lasso.datasets import correlated


class Dataset(correlated.Dataset):
    """An autoregressive design."""

    parameters = {"n_samples, n_features, rho, levels": [(2000, 5000, 0.5, (10, 30))]}
