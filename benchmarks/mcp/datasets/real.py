"""Real data that come with scikit-learn, with all products of their features."""

from benchmarks.lasso.datasets import real


class Dataset(real.Dataset):
    """442 patients, 1797 images of digits (is it an eight?); columns of unit variance."""

    parameters = {"source, degree, levels": [("diabetes", 3, (10, 30)), ("digits", 2, (10,))]}
