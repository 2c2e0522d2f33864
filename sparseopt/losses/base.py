"""What a loss is: a convex smooth function of the coefficients that holds its data."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import scipy

from sparseopt._jit import Term

# Up to this size a matrix is formed for its eigenvalues.
_SMALL = 20


class Loss(Term):
    """A convex smooth function of the coefficients, with its data.

    The first group of methods is called by kernels, the second from Python.
    """

    #: Whether duality can bound problems with this loss.
    has_conjugate: ClassVar[bool] = False

    @abstractmethod
    def coordinate_slope(self, running, j):
        """Slope of f in w_j, read off the running vector."""

    @abstractmethod
    def move(self, running, j, step):
        """Update the running vector in place for w_j += step."""

    @abstractmethod
    def settle(self, running):
        """Minimise over the intercept, in place."""

    @abstractmethod
    def forward(self, w, eta):
        """The linear map of w that f depends on, into eta."""

    @abstractmethod
    def backward(self, v, eta, u, slope):
        """Gradient of f at v, whose image is eta, into `slope`."""

    @abstractmethod
    def bend(self, d, image):
        """Upper bound on the curvature of f along d, d'f''d, from the image of d."""

    @property
    @abstractmethod
    def n_features(self):
        """Number of coefficients."""

    @property
    @abstractmethod
    def feature_names(self):
        """Column names of the data frame that was given, or None."""

    @property
    @abstractmethod
    def n_entries(self):
        """Stored entries of the matrix."""

    @property
    @abstractmethod
    def dtype(self):
        """float32 or float64, as the data."""

    @property
    @abstractmethod
    def image_size(self):
        """Length of the vectors that `forward` fills."""

    @abstractmethod
    def image(self, w):
        """What `forward` makes of w, as a new vector."""

    @abstractmethod
    def start(self, w):
        """The running vector at w."""

    @abstractmethod
    def curvatures(self):
        """Upper bound on the second derivative of f in each coefficient."""

    @abstractmethod
    def evaluate(self, w):
        """f(w)."""

    @abstractmethod
    def gradient(self, w):
        """Gradient of f at w."""

    @abstractmethod
    def intercept_at(self, w):
        """The intercept that belongs to w; 0.0 where none was asked for."""

    @abstractmethod
    def restrict(self, columns):
        """The same loss with the coefficients outside of `columns` fixed at zero."""

    def lipschitz(self):
        """Largest curvature of f in any direction, or a bound on it (Lanczos, with a fixed start)."""
        return kept(self, "_lipschitz", self._largest_curvature)

    def _largest_curvature(self):
        p = self.n_features
        if p <= _SMALL:
            return float(np.linalg.eigvalsh(np.stack([self.hessian_bound(e) for e in np.eye(p, dtype=self.dtype)]))[-1])
        start = np.random.default_rng(0).standard_normal(p).astype(self.dtype)
        if not np.any(self.hessian_bound(start)):
            return 0.0
        operator = scipy.sparse.linalg.LinearOperator((p, p), matvec=self.hessian_bound, dtype=self.dtype)
        try:
            return float(scipy.sparse.linalg.eigsh(operator, k=1, v0=start, tol=1e-8, return_eigenvectors=False)[0])
        except scipy.sparse.linalg.ArpackNoConvergence:
            return self.rough_lipschitz(100)

    def rough_lipschitz(self, iterations):
        """Estimate of `lipschitz` from below, by power iteration with a fixed start."""
        direction = np.random.default_rng(0).standard_normal(self.n_features).astype(self.dtype)
        largest = 0.0
        for _ in range(iterations):
            length = np.linalg.norm(direction)
            if length == 0:
                break
            direction = self.hessian_bound(direction / length)
            largest = float(np.linalg.norm(direction))
        return largest

    @abstractmethod
    def hessian_bound(self, d):
        """H d for a matrix H that bounds the second derivative of f everywhere."""


def kept(term, name, compute):
    """A derived array, computed once for each instance; the instance is frozen."""
    if name not in term.__dict__:
        object.__setattr__(term, name, compute())
    return term.__dict__[name]


def rebuilt(loss, **changes):
    """Copy of a prepared loss with some fields replaced, past the door."""
    copy = object.__new__(type(loss))
    copy.__setstate__(loss.__getstate__() | changes)
    return copy
