"""The diabetes data with all products of up to three features: real, small and ill conditioned."""

import numpy as np
from benchopt import BaseDataset
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler


class Dataset(BaseDataset):
    """442 patients; 10, 65 or 285 columns of unit variance."""

    name = "Diabetes"
    parameters = {"degree": [3]}
    parameter_template = "degree {degree}"
    test_parameters = {"degree": [1]}

    def get_data(self):
        X, y = load_diabetes(return_X_y=True)
        X = StandardScaler().fit_transform(PolynomialFeatures(self.degree, include_bias=False).fit_transform(X))
        return {"X": np.asfortranarray(X), "y": y - y.mean()}
