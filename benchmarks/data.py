"""Designs and signals that the suites share, real data that come with scikit-learn, and files of a folder."""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks.grammar import LevelledDataset


def correlated(n, p, rho, rng):
    """Dense normal features, each correlated with the one before."""
    X = np.empty((n, p), order="F")
    X[:, 0] = rng.standard_normal(n)
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    return X


def sparse_normal(n, p, density, rng):
    """Normal entries at random places, as CSC."""
    entries = int(n * p * density)
    places = rng.integers(0, n, entries), rng.integers(0, p, entries)
    # the old matrix class: some of the solvers do not take sparse arrays
    X = sparse.csc_matrix((rng.standard_normal(entries), places), shape=(n, p))
    X.sum_duplicates()
    return X


def signal(X, k, rng):
    """X w for a w with k entries of -1 and 1."""
    p = X.shape[1]
    w = np.zeros(p)
    w[rng.choice(p, min(k, p // 10), replace=False)] = 1.0
    return X @ (w * rng.choice([-1.0, 1.0], p))


def group_signal(X, size, k, rng):
    """X w for a w with k groups of neighbours of normal numbers."""
    w = np.zeros((X.shape[1] // size, size))
    w[rng.choice(len(w), min(k, len(w) // 4), replace=False)] = rng.standard_normal((min(k, len(w) // 4), size))
    return X @ w.ravel()


def noisy(values, rng, ratio=5.0):
    """Values and normal noise; their variance is `ratio` times that of the noise."""
    noise = rng.standard_normal(values.shape)
    return values + noise * np.linalg.norm(values) / np.linalg.norm(noise) / np.sqrt(ratio)


def standardized(X):
    """Columns of mean 0 and variance 1, without those that are constant."""
    # in place as far as it goes: some of these are most of the memory
    X = np.array(X, dtype=np.float64, order="F")
    X -= X.mean(axis=0)
    size = np.sqrt(np.einsum("ij,ij->j", X, X) / len(X))
    varies = size > 1e-10 * size.max()
    X = X if varies.all() else np.asfortranarray(X[:, varies])
    X /= size[varies]
    return X


def real(source, degree):
    """(X, y) of a data set that comes with scikit-learn; X holds all products of up to `degree` features."""
    from sklearn import datasets
    from sklearn.preprocessing import PolynomialFeatures

    X, y = vars(datasets)[f"load_{source}"](return_X_y=True)
    if degree > 1:
        X = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
    return standardized(X), np.asarray(y, dtype=np.float64)


def stored(file):
    """X, y and whether y is classes, of an .npz or libsvm file; a dense X is standardised, a sparse one is as it is.

    An .npz file holds `X` or the CSC parts `data`, `indices`, `indptr`, `shape`, and `y`; `meta`, where it is
    there, is JSON with the `task`: binary, multiclass, regression or counts. Without it, two values are classes.
    """
    if file.suffix != ".npz":
        from sklearn.datasets import load_svmlight_file

        X, y = load_svmlight_file(str(file))
        return {"X": sparse.csc_matrix(X), "y": y, "has_classes": np.unique(y).size == 2}
    with np.load(file, allow_pickle=False) as parts:
        y = np.asarray(parts["y"], dtype=np.float64)
        task = json.loads(str(parts["meta"])).get("task") if "meta" in parts else None
        if "X" in parts:
            X = standardized(parts["X"])
        else:
            columns = (
                parts["data"].astype(np.float64),
                *(parts[name].astype(np.int32) for name in ("indices", "indptr")),
            )
            X = sparse.csc_matrix(columns, shape=tuple(parts["shape"]))
    return {"X": X, "y": y, "has_classes": task in {"binary", "multiclass"} if task else np.unique(y).size == 2}


def two_classes(y):
    """-1 and 1; where there are more than two values, whether y is above the median."""
    values = np.unique(y)
    return np.where(y == values[-1], 1.0, -1.0) if values.size == 2 else np.where(y > np.median(y), 1.0, -1.0)


class FolderDataset(LevelledDataset):
    """One file."""

    name = "File"
    parameters = {"file": [None]}
    parameter_template = "{file.name}"
    levels = (10, 100)

    def get_data(self):
        return stored(self.file)


def folder_datasets(folder):
    """The files of a folder that `stored` can read."""
    kinds = {".npz", ".svm", ".libsvm", ".txt", ".bz2"}
    files = sorted(file for file in Path(folder).iterdir() if file.suffix in kinds)
    return [FolderDataset.get_instance(file=file) for file in files]


def price_of_size(values, k):
    """The price in the middle of the range in which k features are optimal, of the least values of each size up to k + 2."""
    low = max(values[k] - values[k + 1], (values[k] - values[k + 2]) / 2)
    high = min((values[size] - values[k]) / (k - size) for size in range(k))
    return float(np.sqrt(max(low, 1e-12) * high)) if high > low else float(high)
