"""Real data that come with scikit-learn, with all products of their features: columns that are nearly the same."""

import numpy as np
from benchopt import BaseDataset

from benchmarks.data import real


class Dataset(BaseDataset):
    """442 patients and 569 tumours."""

    name = "Real"
    parameters = {
        "source, degree, k": [
            ("diabetes", 2, 10),
            ("diabetes", 2, 20),
            ("diabetes", 3, 10),
            ("diabetes", 3, 20),
            ("breast_cancer", 2, 10),
            ("breast_cancer", 2, 20),
        ]
    }
    test_parameters = {"source, degree, k": [("diabetes", 2, 5)]}

    @property
    def group(self):
        """Each has a row of its own."""
        return f"{self.source}, degree {self.degree}, k {self.k}"

    def get_data(self):
        X, y = real(self.source, self.degree)
        _, first = np.unique(np.round(X, 9), axis=1, return_index=True)
        return {"X": np.asfortranarray(X[:, np.sort(first)]), "y": y - y.mean(), "k": self.k}
