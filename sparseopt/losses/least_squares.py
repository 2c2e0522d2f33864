"""Least squares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import CSC, CenteredDense, Design, centered
from sparseopt.inputs import as_unread_design, check_dense, feature_names
from sparseopt.losses.base import DesignLoss, kept, rebuilt
from sparseopt.losses.first_look import first_look, is_read_at_once, quick_look, sparse_look
from sparseopt.losses.multi_response import MultiResponse
from sparseopt.losses.samples import fitted, prepare, remember, remembered


class Residual(NamedTuple):
    """What objective, slope and certificate ask of one point, one after another."""

    #: Fitted values minus targets.
    values: np.ndarray
    #: The same times the weights: the slope in each fitted value.
    mass: np.ndarray
    #: The weighted sum of squares.
    squares: float


@dataclass(frozen=True, eq=False)
class LeastSquares(DesignLoss):
    """Half the weighted mean of (x_i w + b + offset_i - y_i)**2; the scale 1/(2n) of scikit-learn.

    Parameters
    ----------
    X : array, sparse matrix, data frame or Design of shape (n, p)
        Kept as lent where it is Fortran-ordered float32 or float64, or canonical CSC. Beside a dense float64 X of 10**5 to
        2**24 entries and more than 100 features, or 200 of few samples, a sketch in 16 bits, a quarter of its size, is kept
        for solvers.
    y : array of shape (n,)
        With several columns, one a response, this is `MultiResponse`.
    sample_weight : array of shape (n,), optional
        Nonnegative; only their ratios matter.
    intercept : bool, default False
        Add an unpenalised constant. X is then centred on the fly, never in memory.
    offset : array of shape (n,), optional
        Known part of each fitted value (keyword only); the same as a target of y - offset.

    Raises
    ------
    ValueError, TypeError
        Where the data is not finite, not real, malformed or out of scale.
    """

    X: Design
    y: np.ndarray
    sample_weight: Term | None = None
    intercept: bool = field(default=False, metadata={"compiled": False})
    offset: Term | None = field(default=None, kw_only=True, metadata={"compiled": False})
    #: y without the offset and its mean.
    target: np.ndarray = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    def __new__(cls, X=None, y=None, sample_weight=None, intercept=False, *, offset=None):
        """`MultiResponse` where y has several columns; arguments are absent where a copy is made."""
        if (type(y) is np.ndarray and y.ndim == 1) or np.ndim(y) != 2 or np.shape(y)[1] < 2:
            return object.__new__(cls)
        if offset is not None:
            raise ValueError("offset is for a single response; take it off y, which is the same for least squares.")
        return MultiResponse(X, y, sample_weight, intercept)

    def __post_init__(self):
        lent, is_centred = self.X, self.intercept
        if self.sample_weight is None and self.offset is None and (is_centred is False or is_centred is True):
            look = quick_look(lent, self.y, is_centred=is_centred)
            if look is not None:
                self.__dict__.update(look)
                return
        prepare(self, lent, self.y, as_design=as_unread_design)
        # what a run asks for many times
        self.__dict__.update(n_features=self.X.shape[1], dtype=self.y.dtype)
        target, weights = self.offset.taken_from(self.y), self.sample_weight.values
        if self.intercept:
            mean = self.y.dtype.type(np.sum(weights * target, dtype=np.float64))
            target = target - mean
            # A second pass takes off what rounding left of a large mean.
            target = target - np.sum(weights * target)
            if np.abs(target).max() <= 4 * np.finfo(self.dtype).eps * abs(mean):
                target = np.zeros_like(target)
        self.__dict__["target"] = target.astype(self.y.dtype, copy=False)
        if not isinstance(lent, Design):
            self._read(None if type(lent) is np.ndarray else feature_names(lent))
        if self.intercept and not isinstance(self.X, CenteredDense):
            object.__setattr__(self, "X", centered(self.X, weights))

    def __reduce_ex__(self, protocol):
        """A little loss is made again where it lands: the look at its data that short ways rest on is no field."""
        if self.little is None:
            return super().__reduce_ex__(protocol)
        return type(self), (self.X.values, self.y, None, self.intercept)

    def _read(self, names):
        """Look at what was lent, once: it is checked, and what solvers ask for first is kept."""
        design = self.X
        if type(design) is CSC and design.dtype == np.float64 and not self.intercept:
            curvatures, slopes, at_zero = sparse_look(design, self.sample_weight.values, self.target)
            self.__dict__.update(_curvatures=curvatures, _value_at_zero=at_zero)
            remember(self, "_gradient", np.zeros(self.n_features), slopes)
            return
        look = None
        if is_read_at_once(design):
            look = first_look(design, self.sample_weight.values, self.target, is_centred=self.intercept)
            design.know_squares(look.squares)
        check_dense(design, names=names)
        if look is None:
            return
        if self.intercept:
            object.__setattr__(self, "X", CenteredDense(design.values, look.means))
        self.__dict__.update(_first_look=look, _value_at_zero=look.at_zero)
        remember(self, "_gradient", np.zeros(self.n_features), look.slopes)

    def first_look(self):
        """What the first look at a dense X has found; it is taken now where the door did not need it."""
        look = self.__dict__.get("_first_look")
        if look is None:
            look = first_look(self.X, self.sample_weight.values, self.target, is_centred=self.intercept)
            remember(self, "_gradient", np.zeros(self.n_features), look.slopes)
        return look

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
    def image_size(self):
        return self.y.size + 1

    def predict(self, w):
        """Fitted values X w + b + offset."""
        return fitted(self, w) + (self.y - self.target)

    def image(self, w):
        image = np.zeros(self.y.size + 1, dtype=self.dtype)
        image[:-1] = fitted(self, w)
        return image

    def start(self, w):
        running = np.zeros(self.y.size + 1, dtype=self.dtype)
        running[:-1] = self.residual(w).mass
        return running

    def curvatures(self):
        return kept(self, "_curvatures", lambda: self.X.weighted_squares(self.sample_weight.values))

    def residual(self, w):
        """The `Residual` of w, remembered for the last w."""
        return remembered(self, "_residual", w, self._residual_at)

    def _residual_at(self, w):
        values = self.X.matvec(w) - self.target
        mass = self.sample_weight.values * values
        return Residual(values, mass, float(np.add.reduce(mass * values)))

    def evaluate(self, w):
        return self.residual(w).squares / 2

    def gradient(self, w):
        return remembered(self, "_gradient", w, self._gradient_at)

    def _gradient_at(self, w):
        return self.X.rmatvec(self.residual(w).mass)

    def intercept_at(self, w):
        return self.intercept_on(slice(None), w)

    def intercept_on(self, columns, w):
        """The intercept of some coefficients, where the others are zero."""
        if not self.intercept:
            return 0.0
        mean = np.sum(self.sample_weight.values * self.offset.taken_from(self.y), dtype=np.float64)
        return float(mean - self.X.means[columns].astype(np.float64) @ w)

    def hessian_bound(self, d):
        return self.X.rmatvec((self.sample_weight.values * self.X.matvec(d)).astype(self.dtype))

    def restrict(self, columns):
        return rebuilt(self, X=self.X.restrict(np.asarray(columns)), names=None)
