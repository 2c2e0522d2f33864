"""Real data that come with scikit-learn, with all products of their features: ill conditioned, with columns alike."""

from benchmarks.data import real
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """442 patients, 1797 images of digits (is it an eight?), 569 tumours; columns of unit variance.

    The larger of two degrees has some twenty times as many entries, or more.
    """

    name = "Real"
    parameters = {
        "source, degree, levels": [
            ("diabetes", 3, (10, 100)),
            ("digits", 2, (10, 100)),
            ("breast_cancer", 2, (10, 100)),
            ("diabetes", 6, (10,)),
            ("digits", 3, (10,)),
            ("breast_cancer", 4, (10,)),
        ]
    }
    parameter_template = "{source}, degree {degree}"
    test_parameters = {"source, degree, levels": [("diabetes", 1, (10,))]}

    def get_data(self):
        X, y = real(self.source, self.degree)
        return {"X": X, "y": 2.0 * (y == 8) - 1.0 if self.source == "digits" else y}
