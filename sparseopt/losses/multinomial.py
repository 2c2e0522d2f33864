"""Multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, exp
from sparseopt.designs import Dense
from sparseopt.forms import DualRay
from sparseopt.losses.class_curvature import hold_rows, second_derivative, solve_links
from sparseopt.losses.labels import read_labels
from sparseopt.losses.outputs import Grid, OutputsLoss
from sparseopt.losses.samples import prepare_design, remembered

# At most so many Newton steps for the intercepts: a few from a start near by.
_NEWTON_STEPS = 100


@dataclass(frozen=True)
class NoConstants(Term):
    """The intercepts of a loss that has none."""

    def settle(self, loss, eta, u):
        """Nothing to do."""

    def explained(self, mean):
        return mean * 0


@dataclass(frozen=True)
class FreeConstants(Term):
    """An intercept for each class, minimised out."""

    tolerance: float

    def settle(self, loss, eta, u):
        """Minimise over the intercepts, which are the spare entries of u, by damped Newton steps.

        A step d is shortened by log(1 + r) / r with r = max d - min d: then the value falls without
        being looked at (generalised self-concordance; Sun and Tran-Dinh, 2019). The work space at the
        end of u holds the second derivative, the slope and the probabilities.
        """
        q, m = loss.places.q, loss.target.size // loss.places.q
        work = u[q * m :]
        last = np.inf
        for _ in range(_NEWTON_STEPS):
            loss.bend_constants(eta, u, work)
            largest = 0.0
            for k in range(q):
                largest = max(largest, abs(work[q * q + k]))
            if largest <= self.tolerance or last <= largest <= 1e4 * self.tolerance:
                break
            last = largest
            solve_in_place(work, q)
            low, high = work[q * q], work[q * q]
            for k in range(q):
                low, high = min(low, work[q * q + k]), max(high, work[q * q + k])
            reach = high - low
            if reach == 0:
                break
            damped = np.log1p(reach) / reach
            for k in range(q):
                u[(k + 1) * m - 1] -= damped * work[q * q + k]

    def explained(self, mean):
        """What an intercept takes off the weighted mean of squares; the weights sum to one."""
        return mean * mean


def solve_in_place(work, q):
    """Solve A x = b by Cholesky; `work` holds the lower half of A in rows, then b, which becomes x.

    A is singular along the vector of ones, on which b is orthogonal: a multiple of its square is added.
    """
    trace = work[0] * 0
    for k in range(q):
        trace += work[k * q + k]
    for k in range(q):
        for h in range(k + 1):
            work[k * q + h] += trace / (q * q)
    for k in range(q):
        for h in range(k + 1):
            total = work[k * q + h]
            for i in range(h):
                total -= work[k * q + i] * work[h * q + i]
            if h < k:
                work[k * q + h] = total / work[h * q + h]
            else:
                # a class without curvature is held by the multiple of its own that rounding leaves
                work[k * q + k] = np.sqrt(max(total, work[k * q + k] * 1e-7 + 1e-30))
    for k in range(q):
        for i in range(k):
            work[q * q + k] -= work[k * q + i] * work[q * q + i]
        work[q * q + k] /= work[k * q + k]
    for k in range(q - 1, -1, -1):
        for i in range(k + 1, q):
            work[q * q + k] -= work[i * q + k] * work[q * q + i]
        work[q * q + k] /= work[k * q + k]


@dataclass(frozen=True, eq=False)
class Multinomial(OutputsLoss):
    """Weighted mean of log(sum_k exp z_ik) - z_i,y_i with z_i = x_i W + b: softmax regression.

    Every class has its column of W (the symmetric parametrisation of glmnet), so coefficients have
    shape (p, K), intercepts (K,) with sum zero.

    Parameters
    ----------
    X : array, sparse matrix, data frame or Design of shape (n, p)
    y : array of shape (n,) or (n, K)
        Labels of any kind that sorts, whose sorted values are `classes`; or a row of K
        probabilities for each sample, such as 0/1 indicators.
    sample_weight : array of shape (n,), optional
        Nonnegative; only their ratios matter.
    intercept : bool, default False
        Add an unpenalised constant to each class.
    """

    #: The labels, one a column of W.
    classes: np.ndarray | None = field(init=False, default=None, repr=False, metadata={"compiled": False})
    constants: Term = field(init=False, repr=False)

    def __post_init__(self):
        X = prepare_design(self, self.X)
        classes, y, probabilities = read_labels(self.y, X.shape[0])
        target = np.zeros((classes.size, X.shape[0] + 1), dtype=X.dtype)
        target[:, :-1] = probabilities.T
        for name, value in (("y", y), ("classes", classes), ("target", target.ravel()), ("places", Grid(classes.size))):
            object.__setattr__(self, name, value)
        empty = np.flatnonzero(self._masses() == 0.0)
        if self.intercept and empty.size:
            raise ValueError(
                f"y: class {classes[empty[0]]!r} has no sample with a positive weight, so that its intercept would be "
                "infinite; drop the class or give intercept=False."
            )
        tolerance = 4.0 * float(np.finfo(X.dtype).eps)
        object.__setattr__(self, "constants", FreeConstants(tolerance) if self.intercept else NoConstants())

    def _masses(self):
        return np.sum(self.weights * self.targets, axis=0, dtype=np.float64)

    def refresh(self, eta, u):
        """Slopes in all fitted values, into u, whose spare entries are the intercepts."""
        q, m = self.places.q, self.target.size // self.places.q
        n = m - 1
        for i in range(n):
            top = eta[i] + u[n]
            for k in range(1, q):
                top = max(top, eta[k * m + i] + u[k * m + n])
            total = u.dtype.type(0)
            for k in range(q):
                e = exp(eta[k * m + i] + u[k * m + n] - top)
                u[k * m + i] = e
                total += e
            for k in range(q):
                u[k * m + i] = self.sample_weight.at(i) * (u[k * m + i] / total - self.target[k * m + i])

    def bend_constants(self, eta, u, work):
        """Second derivative and slope in the intercepts, which are the spare entries of u, into the work space."""
        q, m = self.places.q, self.target.size // self.places.q
        chance = q * q + q
        for k in range(chance):
            work[k] = 0
        for i in range(m - 1):
            top = eta[i] + u[m - 1]
            for k in range(1, q):
                top = max(top, eta[k * m + i] + u[(k + 1) * m - 1])
            total = u.dtype.type(0)
            for k in range(q):
                e = exp(eta[k * m + i] + u[(k + 1) * m - 1] - top)
                work[chance + k] = e
                total += e
            s = self.sample_weight.at(i)
            for k in range(q):
                p = work[chance + k] / total
                work[chance + k] = p
                work[q * q + k] += s * (p - self.target[k * m + i])
                work[k * q + k] += s * p
                for h in range(k + 1):
                    work[k * q + h] -= s * p * work[chance + h]

    def move(self, running, j, step):
        half = running.size // 2
        eta = running[half:]
        m = self.target.size // self.places.q
        first = self.places.output(j) * m
        self.X.push(self.places.feature(j), step, self, eta[first : first + m])
        self.refresh(eta, running[:half])

    def settle(self, running):
        half = running.size // 2
        self.constants.settle(self, running[half:], running[:half])
        self.refresh(running[half:], running[:half])

    def backward(self, v, eta, u, slope):
        self.constants.settle(self, eta, u)
        self.refresh(eta, u)
        self.pull_all(u, slope)

    def bend(self, d, image):
        """Half of the sum of squares around the mean over classes (Boehning, 1992)."""
        q, m = self.places.q, self.target.size // self.places.q
        zero = image.dtype.type(0)
        total = zero
        for k in range(q):
            squares, mean = zero, zero
            for i in range(m - 1):
                common = zero
                for h in range(q):
                    common += image[h * m + i]
                z = image[k * m + i] - common / q
                squares += self.sample_weight.at(i) * z * z
                mean += self.sample_weight.at(i) * z
            total += max(squares - self.constants.explained(mean), zero)
        return 0.5 * total

    def largest_bend(self):
        return 0.25

    def bound_outputs(self, Z):
        Z = Z - np.mean(Z, axis=1, keepdims=True)
        if self.intercept:
            Z = Z - np.sum(self.weights * Z, axis=0)
        return 0.5 * Z

    @property
    def image_size(self):
        """q blocks and the work space of the intercepts."""
        q = self.places.q
        return self.target.size + q * (q + 2)

    def probabilities(self, w):
        """Probability of each class for each sample, shape (n, K)."""
        return self._at(np.asarray(w)).P.T

    def predict(self, w):
        return self.fitted(w) + self._at(np.asarray(w)).intercepts

    def output_slopes(self, w):
        return self.probabilities(w) - self.targets

    def _at(self, w):
        """What belongs to w beside its fitted values, computed once."""
        return remembered(self, "_point", w, self._look)

    def _look(self, w):
        Z = np.ascontiguousarray(self.fitted(w).T)
        b = self._best_intercepts(Z)
        if self.intercept:
            Z = Z + b[:, None]
        Z = Z - np.sum(self._rows * Z, axis=0)  # small where the fit is good
        top = np.max(Z, axis=0)
        E = np.exp(Z - top)
        others = _sum_without_top(E, E == 1.0)
        value = np.sum(np.ravel(self.weights) * (top + np.log1p(others)))
        return _Point(b, E / (1.0 + others), float(value))

    @property
    def _rows(self):
        """What the outputs should be, a row for each class; a view."""
        return self.target.reshape(self.places.q, -1)[:, :-1]

    def start(self, w):
        w = np.asarray(w)
        point = self._at(w)
        u = self.as_image(self.weights * (point.P.T - self.targets))
        u[: self.target.size].reshape(self.places.q, -1)[:, -1] = point.intercepts
        return np.concatenate([u, self.as_image(self.fitted(w))])

    def evaluate(self, w):
        return self._at(np.asarray(w)).value

    def intercept_at(self, w):
        return np.array(self._at(np.asarray(w)).intercepts, dtype=np.float64)

    def _best_intercepts(self, Z):
        """The steps of `FreeConstants` in numpy, after one of iterative scaling, which is exact for rare classes."""
        q = self.places.q
        if not self.intercept:
            return np.zeros(q, dtype=Z.dtype)
        weights = np.ravel(self.weights)
        # columns far from zero move all samples alike: without that no class has all the chance to begin with
        common = np.mean(Z, axis=1)
        Z = Z - common[:, None]
        expected = np.sum(weights * _softmax(Z), axis=1, dtype=np.float64)
        # the step (Darroch and Ratcliff, 1972) never raises the value
        masses, tiny = self._masses(), np.finfo(np.float64).tiny
        b, last = np.log(masses / np.maximum(expected, tiny)), np.inf
        for _ in range(_NEWTON_STEPS):
            P = _softmax(Z + b[:, None])
            slope = np.sum(weights * (P - self._rows), axis=1, dtype=np.float64)
            largest = np.max(np.abs(slope))
            # a trial point may be so far out that fitted values are no numbers
            if not 1e-15 < largest < np.inf or last <= largest <= 1e-11:
                break
            last, mass = largest, np.sum(weights * P, axis=1, dtype=np.float64)
            links = np.asarray((weights * P) @ P.T, dtype=np.float64)
            H = np.diag(mass) - links
            step = np.linalg.lstsq(H + np.trace(H) / q**2, slope, rcond=1e-13)[0]
            if not np.max(np.abs(H @ step - slope)) <= 0.5 * largest:
                step = solve_links(links, slope)
            if not np.max(np.abs(step)) < 1e300:
                # one class has all the chance at every sample: there is no curvature to go by
                b = b + np.log(masses / np.maximum(mass, tiny))
                continue
            reach = np.max(step) - np.min(step)
            if not reach > 0.0:
                break
            b = b - step * (np.log1p(reach) / reach)
        b = b - common
        return (b - np.mean(b)).astype(Z.dtype)

    def hessian(self, w, columns):
        order = np.argsort(self.places.output(columns), kind="stable")
        H = np.empty((columns.size, columns.size))
        H[np.ix_(order, order)] = self._second_derivative(w, columns[order], np.dtype(np.float64))
        return H

    def arranged(self, columns):
        return columns[np.argsort(self.places.output(columns), kind="stable")]

    def model_hessian(self, w, columns, dtype):
        H = self._second_derivative(w, columns, dtype)
        hold_rows(H, self.places.feature(columns), self.places.q)
        return H

    def _second_derivative(self, w, columns, dtype):
        """In coefficients that are arranged."""
        rows, place = np.unique(self.places.feature(columns), return_inverse=True)
        X = self.X if rows.size == self.X.shape[1] else self.X.restrict(rows)
        A = X.values.T if isinstance(X, Dense) else X.to_array().T
        if self.intercept:
            # intercepts take up what columns have in common with ones, which would cost digits
            A = A - np.mean(A, axis=1, dtype=np.float64)[:, None]
        A = A.astype(dtype)[place]
        P, weights = self._at(np.asarray(w, dtype=np.float64)).P, np.ravel(self.weights)
        return second_derivative(A, self.places.output(columns), P, weights, intercept=self.intercept)

    def dual_ray(self, w):
        w = np.asarray(w)
        P, slope = self._at(w).P, self.gradient(w)
        if self.intercept:
            P = self._balanced(P)
            slope = self.pulled(self.weights * (P.T - self.targets))
        return _Chances(slope, P, np.ravel(self.weights), self._rows)

    def _balanced(self, P):
        """P mixed with one row for all samples so that its mean is that of the targets, as intercepts make it."""
        masses = self._masses()
        excess = np.sum(np.ravel(self.weights) * P, axis=1, dtype=np.float64) - masses
        excess -= np.mean(excess)
        part = float(np.max(np.abs(excess) / masses))
        if part == 0.0:
            return P
        part /= 1.0 + part
        row = np.maximum(masses - excess * ((1.0 - part) / part), 0.0)
        return (1.0 - part) * P + (part * row / np.sum(row))[:, None]


@dataclass(frozen=True, eq=False)
class _Point:
    """Intercepts, probabilities (a row for each class) and value at some coefficients."""

    intercepts: np.ndarray
    P: np.ndarray
    value: float


@dataclass(frozen=True, eq=False)
class _Chances(DualRay):
    """Slopes k (P - Y) of probabilities P: the conjugate is the sum of (k P + (1-k) Y) log(k P + (1-k) Y)."""

    slope: np.ndarray
    P: np.ndarray
    weights: np.ndarray
    targets: np.ndarray

    def conjugate(self, scale):
        Q = scale * self.P + (1.0 - scale) * self.targets
        logarithms = np.log(np.where(Q > 0.0, Q, 1.0))
        is_top = Q > 0.5
        logarithms = np.where(is_top, np.log1p(-np.minimum(_sum_without_top(Q, is_top, 0.0), 0.5)), logarithms)
        entropy = self.weights * Q * logarithms
        return float(np.sum(entropy)), float(np.sum(np.abs(entropy)))


def _sum_without_top(A, is_top, kept=1.0):
    """Sum of each column without a largest entry, as small as that is beside it; its equals count `kept`."""
    rest = np.sum(np.where(is_top, 0.0, A), axis=0)
    return rest + np.maximum(np.sum(is_top, axis=0) - 1, 0) * kept


def _softmax(Z):
    """Probabilities of the classes, which are the rows."""
    E = np.exp(Z - np.max(Z, axis=0))
    return E / np.sum(E, axis=0)
