"""Least squares with several responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.designs import centered
from sparseopt.forms import DualRay
from sparseopt.inputs import as_responses
from sparseopt.losses.outputs import Grid, OutputsLoss
from sparseopt.losses.samples import prepare_design


@dataclass(frozen=True, eq=False)
class MultiResponse(OutputsLoss):
    """Half the weighted mean of |x_i W + b - y_i|**2 over rows y_i of q responses.

    The scale 1/(2n) is that of scikit-learn's MultiTaskLasso. `LeastSquares` makes one of these where
    it is given several responses. Coefficients have shape (p, q), intercepts (q,).

    Parameters
    ----------
    X : array, sparse matrix, data frame or Design of shape (n, p)
    y : array of shape (n, q)
    sample_weight : array of shape (n,), optional
        Nonnegative; only their ratios matter.
    intercept : bool, default False
        Add an unpenalised constant to each response. X is then centred on the fly.
    """

    def __post_init__(self):
        X = prepare_design(self, self.X)
        y = as_responses(self.y, X.shape[0], X.dtype)
        object.__setattr__(self, "y", y)
        target = np.zeros((y.shape[1], y.shape[0] + 1), dtype=X.dtype)
        target[:, :-1] = y.T
        if self.intercept:
            object.__setattr__(self, "X", centered(X, self.sample_weight.values))
            mean = self._mean()
            rest = y - mean
            # A second pass takes off what rounding left of a large mean.
            rest = rest - np.sum(self.weights * rest, axis=0)
            is_constant = np.abs(rest).max(axis=0) <= 4 * np.finfo(X.dtype).eps * np.abs(mean)
            target[:, :-1] = np.where(is_constant, 0.0, rest).T
        object.__setattr__(self, "target", target.ravel())
        object.__setattr__(self, "places", Grid(y.shape[1]))

    def _mean(self):
        return np.sum(self.weights * self.y, axis=0, dtype=np.float64)

    def move(self, running, j, step):
        m = self.target.size // self.places.q
        first = self.places.output(j) * m
        self.X.push(self.places.feature(j), step, self.sample_weight, running[first : first + m])

    def settle(self, running):
        """Centring has done it already."""

    def backward(self, v, eta, u, slope):
        m = self.target.size // self.places.q
        for k in range(self.places.q):
            for i in range(m - 1):
                u[k * m + i] = self.sample_weight.at(i) * (eta[k * m + i] - self.target[k * m + i])
            u[(k + 1) * m - 1] = 0
        self.pull_all(u, slope)

    def bend(self, d, image):
        m = self.target.size // self.places.q
        total = image.dtype.type(0)
        for k in range(self.places.q):
            for i in range(m - 1):
                total += self.sample_weight.at(i) * image[k * m + i] * image[k * m + i]
        return total

    def largest_bend(self):
        return 1.0

    def bound_outputs(self, Z):
        return Z

    def output_slopes(self, w):
        return self.fitted(w) - self.targets

    def predict(self, w):
        return self.fitted(w) + (self.y - self.targets)

    def start(self, w):
        return self.as_image(self.weights * self.output_slopes(w))

    def evaluate(self, w):
        R = self.output_slopes(w)
        return float(np.sum(self.weights * R * R) / 2)

    def intercept_at(self, w):
        if not self.intercept:
            return np.zeros(self.places.q)
        return self._mean() - self.X.means.astype(np.float64) @ self.matrix_of(w)

    def hessian(self, w, columns):
        features, outputs = self.places.feature(columns), self.places.output(columns)
        rows, place = np.unique(features, return_inverse=True)
        part = self.X.restrict(rows).to_array()
        gram = part.T @ (self.weights * part)
        return np.where(outputs[:, None] == outputs, gram[np.ix_(place, place)], 0.0)

    def dual_ray(self, w):
        R = self.output_slopes(w)
        slope = self.gradient(w)
        if self.intercept:
            R = R - np.sum(self.weights * R, axis=0) / np.sum(self.weights * np.ones((len(R), 1)))
            slope = self.pulled(self.weights * R)
        return _Residual(slope, R, np.broadcast_to(self.weights, R.shape), self.targets)


@dataclass(frozen=True, eq=False)
class _Residual(DualRay):
    """Multiples of the residual R: the conjugate is the weighted sum of (k R)**2 / 2 + k R target."""

    slope: np.ndarray
    R: np.ndarray
    weights: np.ndarray
    targets: np.ndarray

    def conjugate(self, scale):
        squares, products = self._sums()
        value = scale * scale * squares / 2 + scale * products
        return value, scale * scale * squares / 2 + scale * float(np.sum(self.weights * np.abs(self.R * self.targets)))

    def best_scale(self, largest):
        """The conjugate is a parabola in the factor."""
        squares, products = self._sums()
        return float(np.clip(-products / squares, 0.0, largest)) if squares > 0.0 else largest

    def _sums(self):
        mass = self.weights * self.R
        return float(np.sum(mass * self.R)), float(np.sum(mass * self.targets))
