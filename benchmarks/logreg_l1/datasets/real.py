"""Real data that come with scikit-learn, with all products of two features."""

from benchmarks.lasso.datasets import real


class Dataset(real.Dataset):
    """569 tumours, and 1797 images of digits (is it an eight?); with three features a product, ten times the entries."""

    parameters = {
        "source, degree, levels": [
            ("breast_cancer", 2, (10, 30)),
            ("digits", 2, (10, 30)),
            ("breast_cancer", 3, (10, 30)),
        ]
    }
    test_parameters = {"source, degree, levels": [("breast_cancer", 1, (10,))]}
