"""What a loss is: a convex function of the coefficients that holds its data, and mostly smooth."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy

from sparseopt._jit import Term

# Up to this size a matrix is formed for its eigenvalues.
_SMALL = 20


class LossTerm(Term):
    """A convex function of the coefficients, with its data: what problems and certificates ask of every loss."""

    #: Of least squares with a dense float64 X so small that calls take longer than what they do, and one weight for all
    #: samples: X as it is, its means (zeros where they stay), and slopes and loss at w = 0.
    little: ClassVar[tuple | None] = None
    #: Whether kernels can call its methods; not those of functions that a user gave as they are.
    is_compiled: ClassVar[bool] = True

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
    def dtype(self):
        """float32 or float64, as the data."""

    @abstractmethod
    def evaluate(self, w):
        """f(w)."""

    @abstractmethod
    def gradient(self, w):
        """Gradient of f at w; a subgradient where there is none."""

    @abstractmethod
    def intercept_at(self, w):
        """The intercept that belongs to w; 0.0 where none was asked for."""

    @abstractmethod
    def restrict(self, columns):
        """The same loss with the coefficients outside of `columns` fixed at zero."""

    def value_at_zero(self):
        """f(0), computed once."""
        known = self.__dict__
        if "_value_at_zero" not in known:
            known["_value_at_zero"] = self.evaluate(np.zeros(self.n_features))
        return known["_value_at_zero"]

    @property
    def shape(self):
        """Shape in which users see the coefficients; solvers see one vector, in C order."""
        return (self.n_features,)


class Loss(LossTerm):
    """A convex smooth function of the coefficients, with its data.

    The first group of methods is called by kernels, the second from Python.
    """

    #: Whether duality can bound problems with this loss.
    has_conjugate: ClassVar[bool] = False
    #: Whether `curvatures`, `lipschitz`, `bend` and `hessian_bound` are finite everywhere. Where they are not,
    #: solvers ask for the curvature near a point, and for that of a move once it is known.
    has_bounded_curvature: ClassVar[bool] = True

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

    def bend_from(self, eta, u, d, image):
        """Upper bound on the curvature along d, up to d, from the point whose image is eta and whose `backward` filled u."""
        return self.bend(d, image)

    def coordinate_bend(self, running, j, bound):
        """Curvature to try first for a move of w_j; `bound` is that of `curvatures`."""
        return bound

    def move_bend(self, running, j, step, bend):
        """Upper bound on the curvature along a move w_j += step that was planned with `bend`."""
        return bend

    @property
    @abstractmethod
    def n_entries(self):
        """Stored entries of the matrix."""

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

    def lipschitz(self):
        """Largest curvature of f in any direction, or a bound on it (Lanczos, with a fixed start)."""
        if not self.has_bounded_curvature:
            return np.inf
        return kept(self, "_lipschitz", lambda: self._largest_curvature(self.hessian_bound))

    def lipschitz_near(self, w):
        """`lipschitz` where it is finite; otherwise the largest curvature at w."""
        if self.has_bounded_curvature:
            return self.lipschitz()
        return self._largest_curvature(lambda d: self.hessian_near(w, d))

    def _largest_curvature(self, product):
        p = self.n_features
        if p <= _SMALL:
            return float(np.linalg.eigvalsh(np.stack([product(e) for e in np.eye(p, dtype=self.dtype)]))[-1])
        start = np.random.default_rng(0).standard_normal(p).astype(self.dtype)
        if not np.any(product(start)):
            return 0.0
        operator = scipy.sparse.linalg.LinearOperator((p, p), matvec=product, dtype=self.dtype)
        try:
            return float(scipy.sparse.linalg.eigsh(operator, k=1, v0=start, tol=1e-8, return_eigenvectors=False)[0])
        except scipy.sparse.linalg.ArpackNoConvergence:
            return self._power(product, 100)

    def rough_lipschitz(self, iterations, w=None):
        """Estimate of `lipschitz_near` (zero, where no w is given) from below, by power iteration with a fixed start."""
        w = np.zeros(self.n_features, dtype=self.dtype) if w is None else w
        return self._power(lambda d: self.hessian_near(w, d), iterations)

    def _power(self, product, iterations):
        direction = np.random.default_rng(0).standard_normal(self.n_features).astype(self.dtype)
        largest = 0.0
        for _ in range(iterations):
            length = np.linalg.norm(direction)
            if length == 0:
                break
            direction = product(direction / length)
            largest = float(np.linalg.norm(direction))
        return largest

    def curvatures_near(self, w):
        """`curvatures` where they are finite; otherwise those at w."""
        return self.curvatures()

    def hessian_near(self, w, d):
        """`hessian_bound` where it is finite; otherwise f''(w) d."""
        return self.hessian_bound(d)

    @abstractmethod
    def hessian_bound(self, d):
        """H d for a matrix H that bounds the second derivative of f everywhere."""


class DesignLoss(Loss):
    """A loss on a design X; what else it keeps of the data frame that was given are its `names`."""

    @cached_property
    def n_features(self):
        return self.X.shape[1]

    @property
    def n_entries(self):
        return self.X.n_entries

    @cached_property
    def dtype(self):
        return self.X.dtype

    @property
    def feature_names(self):
        """Column names of the data frame that was given, or None."""
        return self.names


class DualLoss(DesignLoss):
    """A loss F(X w) that knows the conjugate of F itself, for one that is no sum over single samples."""

    has_conjugate = True

    @abstractmethod
    def dual_ray(self, w):
        """The `DualRay` of the slope of F at X w."""

    @abstractmethod
    def hessian(self, w, columns):
        """Second derivative of f at w in the given coefficients, in float64."""

    def arranged(self, columns):
        """The coefficients in the order in which `model_hessian` takes them."""
        return columns

    def model_hessian(self, w, columns, dtype):
        """`hessian` as a model needs it: in some precision, and curved a little where no slope ever points."""
        return self.hessian(w, columns).astype(dtype)


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
