"""Losses: the smooth term f(w), which holds its data.

A loss on samples is f(w) = min over b of sum_i s_i phi(y_i, x_i w + b), with weights
s_i = sample_weight_i / sum(sample_weight), so without weights least squares has the scale
1/(2n). The intercept b is zero unless asked for; where asked for it is minimised out, so
that f is a function of w alone for every solver and certificate.

Coordinate methods keep a running vector whose first entries are u_i, the slope of f in the
i-th fitted value: the slope of f in w_j is then x_j . u for every loss.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import scipy
from scipy import sparse

from sparseopt._jit import Term, exp
from sparseopt.designs import CSC, Dense, Design, centered, uncentered
from sparseopt.inputs import as_design, as_number, as_targets, as_weights, feature_names

# Up to this size a matrix is formed for its eigenvalues.
_SMALL = 20
# At most so many steps for an intercept: two or three of Newton from a start near by, some seventy
# where most are halvings.
_NEWTON_STEPS = 100


def has_vanished(slope, last, scale):
    """Whether a slope is rounding, in units of what it is a sum of; `last` is the one before."""
    return abs(slope) <= 1e-15 * scale or last <= abs(slope) <= 1e-10 * scale


def towards_root(b, slope, bend, low, high, is_slow):
    """Newton step to the root of an increasing slope, or the middle of the bracket where that fails or is slow."""
    new = b - slope / bend
    is_bracketed = low > -np.inf and high < np.inf
    if is_bracketed and (is_slow or not low < new < high):
        return low + (high - low) / 2
    return new


@dataclass(frozen=True)
class Uniform(Term):
    """The same weight 1/n for every sample."""

    values: np.floating

    def at(self, i):
        return self.values


@dataclass(frozen=True, eq=False)
class PerSample(Term):
    """A weight for each sample; they sum to one."""

    values: np.ndarray

    def at(self, i):
        return self.values[i]


@dataclass(frozen=True)
class NoConstant(Term):
    """The intercept of a loss that has none."""

    def best(self, loss, eta, b):
        return b

    def explained(self, mean):
        return mean * 0


@dataclass(frozen=True)
class FreeConstant(Term):
    """An intercept that is minimised out."""

    def best(self, loss, eta, b):
        """Minimiser over b of sum_i s_i phi(y_i, eta_i + b), by Newton steps within a bracket."""
        low, high, last = -np.inf, np.inf, np.inf
        for _ in range(_NEWTON_STEPS):
            slope, bend, scale = 0.0, 0.0, 0.0
            for i in range(loss.y.size):
                s = loss.slope_at(i, eta[i] + b)
                slope += s
                scale += abs(s)
                bend += loss.sample_weight.at(i) * loss.curvature(loss.y[i], eta[i] + b)
            if has_vanished(slope, last, scale):
                break
            low, high = (low, b) if slope > 0 else (b, high)
            b = towards_root(b, slope, max(bend, 1e-3 * loss.smoothness()), low, high, abs(slope) > last / 2)
            last = abs(slope)
        return b

    def explained(self, mean):
        """What the intercept takes off the weighted mean of squares; the weights sum to one."""
        return mean * mean


class Loss(Term):
    """A convex smooth function of the coefficients, with its data.

    The first group of methods is called by kernels, the second from Python.
    """

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
        return _kept(self, "_lipschitz", self._largest_curvature)

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


@dataclass(frozen=True, eq=False)
class SampleLoss(Loss):
    """A loss that is a weighted mean over samples; a subclass adds phi and its derivatives.

    `value`, `slope` and `curvature` take numbers and arrays alike.
    """

    X: Design
    y: np.ndarray
    sample_weight: Term | None = None
    intercept: bool = field(default=False, metadata={"compiled": False})
    #: The intercept as kernels see it.
    constant: Term = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    def __post_init__(self):
        _prepare(self, self.X, self.y)

    @abstractmethod
    def value(self, y, z):
        """phi(y, z) for a target y and a fitted value z."""

    @abstractmethod
    def slope(self, y, z):
        """Derivative of phi in z."""

    @abstractmethod
    def curvature(self, y, z):
        """Second derivative of phi in z, almost everywhere."""

    @abstractmethod
    def smoothness(self):
        """Upper bound on the second derivative of phi."""

    def slope_at(self, i, z):
        return self.sample_weight.at(i) * self.slope(self.y[i], z)

    def coordinate_slope(self, running, j):
        return self.X.pull(j, running)

    def move(self, running, j, step):
        n = self.y.size
        self.X.push_through(j, step, self, running[n + 1 :], running)

    def settle(self, running):
        n = self.y.size
        eta = running[n + 1 :]
        shift = self.constant.best(self, eta, running.dtype.type(0))
        if shift != 0:
            for i in range(n):
                eta[i] += shift
                running[i] = self.slope_at(i, eta[i])

    def forward(self, w, eta):
        self.X.forward(w, eta)

    def backward(self, v, eta, u, slope):
        n = self.y.size
        b = u.dtype.type(self.constant.best(self, eta, u[n]))
        u[n] = b
        for i in range(n):
            u[i] = self.slope_at(i, eta[i] + b)
        self.X.adjoint(u, slope)

    def bend(self, d, image):
        total, mean = image.dtype.type(0), image.dtype.type(0)
        for i in range(self.y.size):
            total += self.sample_weight.at(i) * image[i] * image[i]
            mean += self.sample_weight.at(i) * image[i]
        return self.smoothness() * max(total - self.constant.explained(mean), image.dtype.type(0))

    @property
    def n_features(self):
        return self.X.shape[1]

    @property
    def n_entries(self):
        return self.X.n_entries

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def image_size(self):
        return self.y.size + 1

    @property
    def feature_names(self):
        """Column names of the data frame that was given, or None."""
        return self.names

    def predict(self, w):
        """Fitted values X w + b."""
        eta = fitted(self, w)
        return eta + self._best_intercept(eta)

    def image(self, w):
        image = np.zeros(self.y.size + 1, dtype=self.dtype)
        image[:-1] = fitted(self, w)
        return image

    def start(self, w):
        n = self.y.size
        running = np.zeros(2 * n + 2, dtype=self.dtype)
        eta = fitted(self, w)
        b = self._best_intercept(eta)
        running[n + 1 : 2 * n + 1] = eta + b
        running[:n] = self.sample_weight.values * self.slope(self.y, eta + b)
        running[2 * n + 1] = b
        return running

    def curvatures(self):
        return _kept(
            self, "_curvatures", lambda: self.smoothness() * self.X.weighted_squares(self.sample_weight.values)
        )

    def evaluate(self, w):
        return float(np.sum(self.sample_weight.values * self.value(self.y, self.predict(w))))

    def gradient(self, w):
        return self.X.rmatvec(self.sample_weight.values * self.slope(self.y, self.predict(w)))

    def intercept_at(self, w):
        return float(self._best_intercept(fitted(self, w)))

    def _best_intercept(self, eta):
        if not self.intercept:
            return eta.dtype.type(0)
        b, low, high, last = 0.0, -np.inf, np.inf, np.inf
        for _ in range(_NEWTON_STEPS):
            slopes = self.sample_weight.values * self.slope(self.y, eta + b)
            slope = np.sum(slopes, dtype=np.float64)
            if has_vanished(slope, last, np.sum(np.abs(slopes))):
                break
            bend = np.sum(self.sample_weight.values * self.curvature(self.y, eta + b), dtype=np.float64)
            low, high = (low, b) if slope > 0 else (b, high)
            b = towards_root(b, slope, max(bend, 1e-3 * self.smoothness()), low, high, abs(slope) > last / 2)
            last = abs(slope)
        return eta.dtype.type(b)

    def hessian_bound(self, d):
        image = self.X.matvec(d)
        weights = self.sample_weight.values
        if self.intercept:
            image = image - np.sum(weights * image)
        return (self.smoothness() * self.X.rmatvec((weights * image).astype(self.dtype))).astype(self.dtype)

    def restrict(self, columns):
        return _rebuilt(self, X=self.X.restrict(np.asarray(columns)), names=None)


@dataclass(frozen=True, eq=False)
class LeastSquares(Loss):
    """Half the weighted mean of (x_i w + b - y_i)**2; the scale 1/(2n) of scikit-learn.

    Parameters
    ----------
    X : array, sparse matrix, data frame or Design of shape (n, p)
        Kept as lent where it is Fortran-ordered float32 or float64, or canonical CSC.
    y : array of shape (n,)
    sample_weight : array of shape (n,), optional
        Nonnegative; only their ratios matter.
    intercept : bool, default False
        Add an unpenalised constant. X is then centred on the fly, never in memory.

    Raises
    ------
    ValueError, TypeError
        Where the data is not finite, not real, malformed or out of scale.
    """

    X: Design
    y: np.ndarray
    sample_weight: Term | None = None
    intercept: bool = field(default=False, metadata={"compiled": False})
    target: np.ndarray = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    def __post_init__(self):
        _prepare(self, self.X, self.y)
        mean = 0.0
        if self.intercept:
            mean = self.y.dtype.type(np.sum(self.sample_weight.values * self.y, dtype=np.float64))
            object.__setattr__(self, "X", centered(self.X, self.sample_weight.values))
        target = self.y - mean
        if self.intercept:
            # A second pass takes off what rounding left of a large mean.
            target = target - np.sum(self.sample_weight.values * target)
            if np.abs(target).max() <= 4 * np.finfo(self.dtype).eps * abs(mean):
                target = np.zeros_like(target)
        object.__setattr__(self, "target", target.astype(self.dtype))

    def coordinate_slope(self, running, j):
        return self.X.pull(j, running)

    def move(self, running, j, step):
        self.X.push(j, step, self.sample_weight, running)

    def settle(self, running):
        """Centring has done it already."""

    def forward(self, w, eta):
        self.X.forward(w, eta)

    def backward(self, v, eta, u, slope):
        for i in range(self.target.size):
            u[i] = self.sample_weight.at(i) * (eta[i] - self.target[i])
        self.X.adjoint(u, slope)

    def bend(self, d, image):
        total = image.dtype.type(0)
        for i in range(self.target.size):
            total += self.sample_weight.at(i) * image[i] * image[i]
        return total

    @property
    def n_features(self):
        return self.X.shape[1]

    @property
    def n_entries(self):
        return self.X.n_entries

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def image_size(self):
        return self.y.size + 1

    @property
    def feature_names(self):
        """Column names of the data frame that was given, or None."""
        return self.names

    def predict(self, w):
        """Fitted values X w + b."""
        return fitted(self, w) + (self.y - self.target)

    def image(self, w):
        image = np.zeros(self.y.size + 1, dtype=self.dtype)
        image[:-1] = fitted(self, w)
        return image

    def start(self, w):
        running = np.zeros(self.y.size + 1, dtype=self.dtype)
        running[:-1] = self.sample_weight.values * (fitted(self, w) - self.target)
        return running

    def curvatures(self):
        return _kept(self, "_curvatures", lambda: self.X.weighted_squares(self.sample_weight.values))

    def evaluate(self, w):
        residual = fitted(self, w) - self.target
        return float(np.sum(self.sample_weight.values * residual * residual) / 2)

    def gradient(self, w):
        return self.X.rmatvec(self.sample_weight.values * (fitted(self, w) - self.target))

    def intercept_at(self, w):
        if not self.intercept:
            return 0.0
        mean = np.sum(self.sample_weight.values * self.y, dtype=np.float64)
        return float(mean - self.X.means.astype(np.float64) @ w)

    def hessian_bound(self, d):
        return self.X.rmatvec((self.sample_weight.values * self.X.matvec(d)).astype(self.dtype))

    def restrict(self, columns):
        return _rebuilt(self, X=self.X.restrict(np.asarray(columns)), names=None)


@dataclass(frozen=True, eq=False)
class Logistic(SampleLoss):
    """Weighted mean of log(1 + exp(-y_i z_i)) with y_i in {-1, 1} and z_i = x_i w + b.

    Parameters are those of `LeastSquares`; y may also be 0/1 or boolean.
    """

    def __post_init__(self):
        _prepare(self, self.X, self.y)
        labels = np.unique(self.y)
        if not (np.all(np.isin(labels, (-1, 1))) or np.all(np.isin(labels, (0, 1)))):
            shown = ", ".join(f"{label:g}" for label in labels[:4])
            raise ValueError(
                f"y must be binary, in {{-1, 1}} or {{0, 1}}, got the values {shown}...; encode the classes first."
            )
        if self.intercept and labels.size < 2:
            raise ValueError(
                "y has one class only, so that the intercept would be infinite; give both classes or intercept=False."
            )
        object.__setattr__(self, "y", np.where(self.y > 0, 1, -1).astype(self.dtype))

    def value(self, y, z):
        margin = y * z
        return np.log1p(exp(-abs(margin))) + (abs(margin) - margin) / 2

    def slope(self, y, z):
        one = y * y  # in the type of the data: y is -1 or 1
        return -y / (one + exp(y * z))

    def curvature(self, y, z):
        e = exp(-abs(z))
        return e / ((1 + e) * (1 + e))

    def smoothness(self):
        return 0.25


@dataclass(frozen=True, eq=False)
class Huber(SampleLoss):
    """Weighted mean of r**2 / 2 where |r| <= delta, delta |r| - delta**2 / 2 beyond (Huber, 1964).

    r_i = x_i w + b - y_i. Parameters are those of `LeastSquares`, and

    Parameters
    ----------
    delta : float > 0, default 1.35
        In the units of y. Huber's 1.345 keeps 95 % efficiency for normal errors of unit scale.
    """

    delta: float = 1.35

    def __post_init__(self):
        object.__setattr__(self, "delta", as_number(self.delta, "delta", above=0.0))
        _prepare(self, self.X, self.y)

    def value(self, y, z):
        a = abs(z - y)
        inner = np.minimum(a, self.delta)
        return inner * (a - inner / 2)

    def slope(self, y, z):
        return np.minimum(np.maximum(z - y, -self.delta), self.delta)

    def curvature(self, y, z):
        return 1.0 * (abs(z - y) <= self.delta)

    def smoothness(self):
        return 1.0


@dataclass(frozen=True, eq=False)
class Quadratic(Loss):
    """w'Qw / 2 + c'w with Q symmetric positive semidefinite.

    Parameters
    ----------
    Q : array or sparse matrix of shape (p, p)
    c : array of shape (p,)
    """

    Q: Design
    c: np.ndarray
    #: Quadratics have no intercept.
    intercept: bool = field(init=False, default=False, repr=False)

    def __post_init__(self):
        Q = as_design(self.Q, "Q")
        if Q.shape[0] != Q.shape[1]:
            raise ValueError(f"Q must be square, got shape {Q.shape}.")
        if not _is_symmetric(Q.matrix):
            raise ValueError("Q must be symmetric; pass (Q + Q.T) / 2, which has the same quadratic form.")
        diagonal = Q.matrix.diagonal()
        if np.any(diagonal < 0):
            j = int(np.flatnonzero(diagonal < 0)[0])
            raise ValueError(
                f"Q has a negative curvature: its diagonal entry {j} is {diagonal[j]:g}; a convex quadratic is required."
            )
        object.__setattr__(self, "Q", Q)
        object.__setattr__(self, "c", as_targets(self.c, Q.shape[0], Q.dtype, "c"))

    def coordinate_slope(self, running, j):
        return running[j]

    def move(self, running, j, step):
        self.Q.push(j, step, self, running)

    def at(self, i):
        """Weight of row i of Q in a move."""
        return self.c.dtype.type(1)

    def settle(self, running):
        """There is no intercept."""

    def forward(self, w, eta):
        self.Q.forward(w, eta)

    def backward(self, v, eta, u, slope):
        for j in range(slope.size):
            slope[j] = eta[j] + self.c[j]

    def bend(self, d, image):
        total = image.dtype.type(0)
        for j in range(d.size):
            total += d[j] * image[j]
        return total

    @property
    def n_features(self):
        return self.c.size

    @property
    def n_entries(self):
        return self.Q.n_entries

    @property
    def dtype(self):
        return self.Q.dtype

    @property
    def image_size(self):
        return self.c.size

    @property
    def feature_names(self):
        return None

    def image(self, w):
        return self.Q.matvec(w).astype(self.dtype)

    def start(self, w):
        return (self.Q.matvec(w) + self.c).astype(self.dtype)

    def curvatures(self):
        return np.ascontiguousarray(self.Q.matrix.diagonal())

    def evaluate(self, w):
        return float(w @ self.Q.matvec(w) / 2 + self.c @ w)

    def gradient(self, w):
        return self.Q.matvec(w) + self.c

    def intercept_at(self, w):
        return 0.0

    def hessian_bound(self, d):
        return self.Q.matvec(d)

    def restrict(self, columns):
        columns = np.asarray(columns)
        block = self.Q.matrix[:, columns][columns]
        if sparse.issparse(block):
            kind = self.Q.indices.dtype
            Q = CSC(block.data, block.indices.astype(kind), block.indptr.astype(kind), columns.size)
        else:
            Q = Dense(np.asfortranarray(block))
        # past the door: a part of Q is what Q is, and may be empty
        return _rebuilt(self, Q=Q, c=self.c[columns])


def _is_symmetric(matrix):
    largest = np.abs(matrix).max() if not sparse.issparse(matrix) else np.abs(matrix.data).max(initial=0.0)
    difference = abs(matrix - matrix.T)
    return difference.max() <= 100 * np.finfo(matrix.dtype).eps * largest


def _prepare(loss, X, y):
    """Canonical design, targets and weights of a loss on samples."""
    names = feature_names(X)
    design = uncentered(as_design(X))
    dtype = design.dtype
    targets = as_targets(y, design.shape[0], dtype)
    weight = loss.sample_weight
    if weight is None:
        weight = Uniform(dtype.type(1.0 / targets.size))
    elif not isinstance(weight, Uniform | PerSample):
        weight = PerSample(as_weights(weight, targets.size).astype(dtype))
    if not isinstance(loss.intercept, bool | np.bool_):
        raise TypeError(f"intercept must be True or False, got {loss.intercept!r}.")
    object.__setattr__(loss, "intercept", bool(loss.intercept))
    if isinstance(loss, SampleLoss):
        object.__setattr__(loss, "constant", FreeConstant() if loss.intercept else NoConstant())
    object.__setattr__(loss, "X", design)
    object.__setattr__(loss, "y", targets)
    object.__setattr__(loss, "sample_weight", weight)
    object.__setattr__(loss, "names", names)


def fitted(loss, w):
    """X w, remembered for the last w: objective, slope and certificate ask for it one after another.

    The vector is shared and read-only; one assignment replaces it, so that threads may share a loss.
    """
    last = loss.__dict__.get("_last_fitted")
    if last is not None and last[0].dtype == w.dtype and np.array_equal(last[0], w):
        return last[1]
    image = loss.X.matvec(w)
    image.flags.writeable = False
    object.__setattr__(loss, "_last_fitted", (w.copy(), image))
    return image


def _kept(term, name, compute):
    """A derived array, computed once for each instance; the instance is frozen."""
    if name not in term.__dict__:
        object.__setattr__(term, name, compute())
    return term.__dict__[name]


def _rebuilt(loss, **changes):
    """Copy of a prepared loss with some fields replaced, past the door."""
    copy = object.__new__(type(loss))
    copy.__setstate__(loss.__getstate__() | changes)
    return copy
