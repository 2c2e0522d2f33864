"""The digits with all products of two pixels: real and large, with many columns alike."""

import numpy as np
from benchopt import BaseDataset
from sklearn.datasets import load_digits
from sklearn.preprocessing import PolynomialFeatures, StandardScaler


class Dataset(BaseDataset):
    """1797 images of 64 pixels, and whether each shows an eight."""

    name = "Digits"
    parameters = {"degree": [2]}
    parameter_template = "degree {degree}"
    test_parameters = {"degree": [1]}

    def get_data(self):
        pixels, digit = load_digits(return_X_y=True)
        X = PolynomialFeatures(self.degree, include_bias=False).fit_transform(pixels)
        X = StandardScaler().fit_transform(X[:, X.std(axis=0) > 0])
        y = np.where(digit == 8, 1.0, -1.0)
        return {"X": np.asfortranarray(X), "y": y - y.mean()}
