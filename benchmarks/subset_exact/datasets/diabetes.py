"""442 patients with all products of ten features, nearly dependent: the problem of R's leaps, and one with a little ridge."""

from benchopt import BaseDataset

from benchmarks.subset_exact.datasets.simulated import priced
from benchmarks.subset_heuristics.datasets.real import Dataset as Real


class Dataset(BaseDataset):
    """64 columns; what Furnival and Wilson's (1974) bound was made for. l2 is given per sample."""

    name = "Diabetes"
    parameters = {
        # solvers of the perspective relaxation alone take part where there is a ridge
        "k, l2": [(5, 0.0), (8, 0.0), (10, 0.0), (5, 0.001), (10, 0.001)],
        "n_features": [64],
    }
    test_parameters = {"k, l2": [(3, 0.0)], "n_features": [64]}

    @property
    def group(self):
        """Each has a row of its own."""
        return f"diabetes, degree 2, k {self.k}, {f'l2 {self.l2}' if self.l2 else 'no ridge'}"

    def get_data(self):
        data = Real.get_instance(source="diabetes", degree=2, k=self.k).get_data()
        return priced(data["X"], data["y"], self.k, self.l2 * len(data["y"]))
