"""442 patients with all products of ten features, nearly dependent: the problem of R's leaps, without a ridge."""

from benchopt import BaseDataset

from benchmarks.subset_exact.datasets.simulated import priced
from benchmarks.subset_heuristics.datasets.real import Dataset as Real


class Dataset(BaseDataset):
    """64 columns; what Furnival and Wilson's (1974) bound was made for."""

    name = "Diabetes"
    parameters = {"k": [5, 8, 10], "n_features": [64]}
    test_parameters = {"k": [3], "n_features": [64]}

    @property
    def group(self):
        """Each has a row of its own."""
        return f"diabetes, degree 2, k {self.k}, no ridge"

    def get_data(self):
        data = Real.get_instance(source="diabetes", degree=2, k=self.k).get_data()
        return priced(data["X"], data["y"], self.k, 0.0)
