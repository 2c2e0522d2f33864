"""Dense features of unit variance, each correlated with the one before, and a few true coefficients."""

from benchmarks.data import standardized
from benchmarks.lasso.datasets import correlated


class Dataset(correlated.Dataset):
    """An autoregressive design; unit variance is what the peers' formulas expect of MCP."""

    parameters = {
        "n_samples, n_features, rho, levels": [
            (1000, 5000, 0.5, (10, 30)),
            (1000, 5000, 0.95, (10,)),
            (20_000, 500, 0.5, (30,)),
        ]
    }

    def get_data(self):
        data = correlated.Dataset.get_data(self)
        return data | {"X": standardized(data["X"])}
