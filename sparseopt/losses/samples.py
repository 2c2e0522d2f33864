"""Losses: the smooth term f(w), which holds its data.

A loss on samples is f(w) = min over b of sum_i s_i phi(y_i, x_i w + b + o_i), with weights
s_i = sample_weight_i / sum(sample_weight), so without weights least squares has the scale
1/(2n), and known offsets o_i, zero unless given. The intercept b is zero unless asked for; where
asked for it is minimised out, so that f is a function of w alone for every solver and certificate.

Coordinate methods keep a running vector whose first entries are u_i, the slope of f in the
i-th fitted value: the slope of f in w_j is then x_j . u for every loss.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import Design, uncentered
from sparseopt.inputs import as_design, as_targets, as_weights, feature_names
from sparseopt.losses.base import DesignLoss, kept, rebuilt

# At most so many steps for an intercept: two or three of Newton from a start near by, some seventy
# where most are halvings.
_NEWTON_STEPS = 100
# What is remembered for w = 0 has a name that ends so; points up to this size are compared by their bytes.
_AT_ZERO, _SHORT = "_at_zero", 10_000


def has_vanished(slope, last, scale):
    """Whether a slope is rounding, in units of what it is a sum of; `last` is the one before."""
    return abs(slope) <= 1e-15 * scale or last <= abs(slope) <= 1e-10 * scale


def towards_root(b, slope, bend, low, high, is_slow, stride):
    """`stride` Newton steps to the root of an increasing slope, or the middle of the bracket where that fails or is slow."""
    new = b - stride * slope / bend
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
class NoOffset(Term):
    """No offsets."""

    def shifted(self, i, z):
        return z

    def added_to(self, z):
        return z

    def taken_from(self, y):
        return y

    def at_rows(self, rows):
        return None


NO_OFFSET = NoOffset()


@dataclass(frozen=True, eq=False)
class Offset(Term):
    """A known number for each sample, which is added to its fitted value."""

    values: np.ndarray

    def shifted(self, i, z):
        return z + self.values[i]

    def added_to(self, z):
        """All fitted values with their offsets, in numpy."""
        return z + self.values

    def taken_from(self, y):
        return y - self.values

    def at_rows(self, rows):
        """The offsets of some rows, as a loss takes them."""
        return self.values[rows]


@dataclass(frozen=True)
class NoConstant(Term):
    """The intercept of a loss that has none."""

    def best(self, loss, eta, b):
        return b

    def settled(self, loss, eta):
        return 0.0

    def followed(self, mean):
        return mean * 0


@dataclass(frozen=True)
class FreeConstant(Term):
    """An intercept that is minimised out."""

    def best(self, loss, eta, b):
        """Minimiser over b of sum_i s_i phi(y_i, eta_i + b), by Newton steps within a bracket."""
        low, high, last, steepest, stride = -np.inf, np.inf, np.inf, 0.0, 1.0
        for _ in range(_NEWTON_STEPS):
            slope, bend, scale = 0.0, 0.0, 0.0
            for i in range(loss.y.size):
                s = loss.slope_at(i, eta[i] + b)
                slope += s
                scale += abs(s)
                bend += loss.curvature_at(i, eta[i] + b)
            if has_vanished(slope, last, scale):
                break
            low, high = (low, b) if slope > 0 else (b, high)
            steepest = max(steepest, abs(slope))
            # where the second derivative is next to nothing, no step is longer than the first could be
            least = 1e-3 * loss.smoothness() * abs(slope) / steepest
            is_slow = abs(slope) > last / 2
            # far out a slope may not change for thousands of steps
            stride = 2.0 * stride if is_slow else 1.0
            b = towards_root(b, slope, max(bend, least), low, high, is_slow, stride)
            last = abs(slope)
        return b

    def settled(self, loss, eta):
        """The same in numpy, in float64."""
        eta = loss.offset.added_to(eta)
        b, low, high, last, steepest, stride = 0.0, -np.inf, np.inf, np.inf, 0.0, 1.0
        for _ in range(_NEWTON_STEPS):
            slopes = loss.sample_weight.values * loss.slope(loss.y, eta + b)
            slope = np.sum(slopes, dtype=np.float64)
            if has_vanished(slope, last, np.sum(np.abs(slopes))):
                break
            bend = np.sum(loss.sample_weight.values * loss.curvature(loss.y, eta + b), dtype=np.float64)
            low, high = (low, b) if slope > 0 else (b, high)
            steepest = max(steepest, abs(slope))
            # where the second derivative is next to nothing, no step is longer than the first could be
            least = 1e-3 * loss.smoothness() * abs(slope) / steepest
            is_slow = abs(slope) > last / 2
            # far out a slope may not change for thousands of steps
            stride = 2.0 * stride if is_slow else 1.0
            b = towards_root(b, slope, max(bend, least), low, high, is_slow, stride)
            last = abs(slope)
        return b

    def followed(self, mean):
        """What the intercept takes off fitted values that change by this weighted mean."""
        return mean


@dataclass(frozen=True, eq=False)
class SampleLoss(DesignLoss):
    """A loss that is a weighted mean over samples; a subclass adds phi and its derivatives.

    `value`, `slope` and `curvature` take numbers and arrays alike.
    """

    X: Design
    y: np.ndarray
    sample_weight: Term | None = None
    intercept: bool = field(default=False, metadata={"compiled": False})
    offset: Term | None = field(default=None, kw_only=True)
    #: The intercept as kernels see it.
    constant: Term = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    def __post_init__(self):
        prepare(self, self.X, self.y)

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

    def value_and_slope(self, y, z):
        """Both for arrays in float64, in numpy, where a loss may compute once what they share."""
        values, slopes = self.value(y, z), self.slope(y, z)
        return np.asarray(values, dtype=np.float64), np.asarray(slopes, dtype=np.float64)

    def conjugate(self, v):
        """phi*(y_i, v_i) for each sample, in numpy; infinite where v_i is no slope of phi."""
        return np.full(v.size, np.inf)

    def slope_scale(self, v):
        """Largest factor up to 1 that brings v into the range of slopes of phi, which holds zero."""
        return 1.0

    def slope_at(self, i, z):
        """Slope of s_i phi in the i-th fitted value, at z without the offset."""
        return self.sample_weight.at(i) * self.slope(self.y[i], self.offset.shifted(i, z))

    def curvature_at(self, i, z):
        """Second derivative of s_i phi in the i-th fitted value, at z without the offset."""
        return self.sample_weight.at(i) * self.curvature(self.y[i], self.offset.shifted(i, z))

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
        mean = self.constant.followed(mean)
        total -= mean * mean
        return self.smoothness() * total if total > 0 else total * 0.0

    @property
    def image_size(self):
        return self.y.size + 1

    def predict(self, w):
        """Fitted values X w + b + offset."""
        eta = fitted(self, w)
        return self.offset.added_to(eta + self._best_intercept(eta))

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
        running[:n] = self.sample_weight.values * self.slope(self.y, self.offset.added_to(eta + b))
        running[2 * n + 1] = b
        return running

    def curvatures(self):
        return kept(self, "_curvatures", lambda: self.smoothness() * self.X.weighted_squares(self.sample_weight.values))

    def evaluate(self, w):
        # a logarithm of targets in single precision would be no better than these
        y = self.y.astype(np.float64, copy=False)
        return float(np.sum(self.sample_weight.values * self.value(y, self.predict(w))))

    def gradient(self, w):
        return remembered(self, "_gradient", w, self._gradient_at)

    def _gradient_at(self, w):
        return self.X.rmatvec(self.sample_weight.values * self.slope(self.y, self.predict(w)))

    def intercept_at(self, w):
        return float(self._best_intercept(fitted(self, w)))

    def _best_intercept(self, eta):
        return eta.dtype.type(self.constant.settled(self, eta))

    def hessian_bound(self, d):
        image = self.X.matvec(d)
        weights = self.sample_weight.values
        if self.intercept:
            image = image - np.sum(weights * image)
        return (self.smoothness() * self.X.rmatvec((weights * image).astype(self.dtype))).astype(self.dtype)

    def restrict(self, columns):
        return rebuilt(self, X=self.X.restrict(np.asarray(columns)), names=None)


def prepare(loss, X, y, *, as_design=as_design):
    """Canonical design, targets and weights of a loss on samples."""
    design, offset = prepare_design(loss, X, as_design=as_design), loss.offset
    n, dtype = design.shape[0], design.dtype
    known = loss.__dict__
    known["y"] = as_targets(y, n, dtype)
    if offset is None:
        known["offset"] = NO_OFFSET
    elif not isinstance(offset, NoOffset | Offset):
        known["offset"] = Offset(as_targets(offset, n, dtype, "offset"))
    if isinstance(loss, SampleLoss):
        object.__setattr__(loss, "constant", FreeConstant() if loss.intercept else NoConstant())


def prepare_design(loss, X, *, as_design=as_design):
    """Canonical design and weights, which are set; the design is returned, too."""
    names = None if type(X) is np.ndarray else feature_names(X)
    design = uncentered(as_design(X))
    n, dtype = design.shape[0], design.dtype
    weight = loss.sample_weight
    if weight is None:
        weight = Uniform(dtype.type(1.0 / n))
    elif not isinstance(weight, Uniform | PerSample):
        weight = PerSample(as_weights(weight, n).astype(dtype))
    if not isinstance(loss.intercept, bool | np.bool_):
        raise TypeError(f"intercept must be True or False, got {loss.intercept!r}.")
    loss.__dict__.update(intercept=bool(loss.intercept), X=design, sample_weight=weight, names=names)
    return design


def fitted(loss, w):
    """X w, remembered for the last w: objective, slope and certificate ask for it one after another."""
    return remembered(loss, "_fitted", w, loss.X.matvec)


def remembered(holder, name, w, compute):
    """compute(w), kept with a loss or a problem for the last w and for w = 0, which every run asks for.

    It is shared, an array is read-only; one assignment replaces it, so that threads may share the holder.
    """
    known = holder.__dict__
    mark = w.tobytes() if w.size <= _SHORT else w
    for place in (name, name + _AT_ZERO):
        if (last := known.get(place)) is not None and (
            last[0] == mark if type(mark) is bytes else _is_same(last[0], w)
        ):
            return last[1]
    return remember(holder, name, w, compute(w))


def remember(holder, name, w, image):
    """Keep what belongs to w."""
    if type(image) is np.ndarray:
        image.setflags(write=False)
    # the bytes of a short point are sooner compared, but those of a long one would be a copy for each look
    mark = w.tobytes() if w.size <= _SHORT else w.copy()
    is_zero = mark == bytes(len(mark)) if type(mark) is bytes else not w.any()
    holder.__dict__[name + _AT_ZERO if is_zero else name] = mark, image
    return image


def slope_at_zero(loss):
    """The gradient at w = 0; most losses have it from a look at their data, or from whoever asked first."""
    known = loss.__dict__.get("_gradient" + _AT_ZERO)
    return loss.gradient(np.zeros(loss.n_features)) if known is None else known[1]


def _is_same(w, other):
    # points that differ mostly do so among their first entries
    is_like = w.dtype == other.dtype and w.shape == other.shape and (w[:_SHORT] == other[:_SHORT]).all()
    return bool(is_like and (w == other).all())
