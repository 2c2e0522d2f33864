"""A small classifier with two hidden layers, and samples for it."""

import numpy as np
import pytest

from sparseopt.pruning import NumpyMLP


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in ((12, 9), (9, 6), (6, 3))]
    return NumpyMLP(weights, [rng.standard_normal(size) for size in (9, 6, 3)], "tanh", "softmax")


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(2)
    return rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12)) / 4
