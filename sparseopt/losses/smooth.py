"""A smooth loss given by functions: a value and a gradient as plain Python, which nothing compiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sparseopt.finite_differences import SCHEMES, differentiate
from sparseopt.inputs import as_count, as_floats
from sparseopt.losses.base import Loss

_COMPILED = "Smooth is made of Python functions, which kernels cannot call; AugmentedLagrangian takes it."


@dataclass(frozen=True, eq=False)
class Smooth(Loss):
    """A smooth function of the coefficients, given by Python functions; it need not be convex.

    Parameters
    ----------
    fun : callable
        ``fun(w)``, a number, for a float64 vector w of `n_features` entries that is the function's to keep; with
        ``grad=True`` it returns the pair of the value and the gradient.
    grad : callable, True, "2-point" or "3-point", default "2-point"
        ``grad(w)``, a vector of `n_features` entries. True where `fun` returns it beside the value. Otherwise
        finite differences, as in SciPy: n_features (twice as many with "3-point") more calls of `fun` a gradient,
        which then has half (two thirds) of the digits.
    n_features : int
        Length of w.

    Raises
    ------
    TypeError, ValueError
        Here, where a part is of another kind; from `solve`, where a value is no number at its start or a gradient has
        another shape. `sparseopt.testing.check_derivatives` compares gradient and value.

    Notes
    -----
    What a function of yours raises, reaches you as it is. Where a value is NaN or infinite beyond the start, as
    outside of the domain of a logarithm, the step is shortened.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import L1, Problem, Smooth, solve
    >>> target = np.array([3.0, 0.1, -2.0])
    >>> loss = Smooth(lambda w: np.sum((w - target) ** 2) / 2, lambda w: w - target, n_features=3)
    >>> solve(Problem(loss, L1(1.0))).support
    array([0, 2])
    """

    fun: Callable = field(metadata={"compiled": False})
    grad: Callable | str | bool = field(default="2-point", metadata={"compiled": False})
    n_features: int = field(default=0, metadata={"compiled": False})
    #: A function of yours has the intercept that you give it.
    intercept: bool = field(init=False, default=False, repr=False)
    is_compiled: ClassVar[bool] = False
    has_bounded_curvature: ClassVar[bool] = False

    def __post_init__(self):
        if not callable(self.fun):
            raise TypeError(f"fun of Smooth must be a function of w, got {type(self.fun).__name__}.")
        is_known = self.grad is True or (isinstance(self.grad, str) and self.grad in SCHEMES)
        if not (callable(self.grad) or is_known):
            raise ValueError(
                f'grad of Smooth must be a function of w, True (fun returns both), "2-point" or "3-point", got {self.grad!r}.'
            )
        object.__setattr__(self, "n_features", as_count(self.n_features, "n_features of Smooth", least=1))

    def evaluate(self, w):
        value = self.fun(_lent(w))
        return _number(self._pair(value)[0] if self.grad is True else value)

    def gradient(self, w):
        if self.grad is True:
            slope = self._pair(self.fun(_lent(w)))[1]
        elif callable(self.grad):
            slope = self.grad(_lent(w))
        else:
            slope = differentiate(self.evaluate, _lent(w), self.evaluate(w), self.grad)[0]
        return self._checked(slope)

    def value_and_gradient(self, w):
        """Both, by one call of `fun` where it returns both."""
        if self.grad is True:
            value, slope = self._pair(self.fun(_lent(w)))
            return _number(value), self._checked(slope)
        value = self.evaluate(w)
        if callable(self.grad):
            return value, self._checked(self.grad(_lent(w)))
        return value, differentiate(self.evaluate, _lent(w), value, self.grad)[0]

    def _pair(self, both):
        if isinstance(both, tuple | list) and len(both) == 2:
            return both
        raise TypeError(
            f"fun of Smooth returned {type(both).__name__}; with grad=True it must return the pair of value and gradient."
        )

    def _checked(self, slope):
        slope = np.array(as_floats(slope, "the gradient that grad of Smooth returned"), dtype=np.float64)
        if slope.shape != (self.n_features,):
            raise ValueError(
                f"grad of Smooth returned an array of shape {slope.shape}; it must return ({self.n_features},), one slope for each coefficient."
            )
        return slope

    @property
    def feature_names(self):
        return None

    @property
    def n_entries(self):
        return self.n_features

    @property
    def dtype(self):
        return np.dtype(np.float64)

    @property
    def image_size(self):
        return 0

    def intercept_at(self, w):
        return 0.0

    def restrict(self, columns):
        columns, p = np.asarray(columns), self.n_features

        def filled(part):
            w = np.zeros(p)
            w[columns] = part
            return w

        return Smooth(
            lambda part: self.evaluate(filled(part)), lambda part: self.gradient(filled(part))[columns], columns.size
        )

    def curvatures_near(self, w):
        return np.array([self.hessian_near(w, e)[j] for j, e in enumerate(np.eye(self.n_features))])

    def hessian_near(self, w, d):
        length = float(np.linalg.norm(d))
        if length == 0.0:
            return np.zeros_like(w)
        reach = SCHEMES["3-point"] * max(1.0, float(np.max(np.abs(w), initial=0.0))) / length
        return (self.gradient(w + reach * d) - self.gradient(w - reach * d)) / (2.0 * reach)

    def _uncompiled(self, *arguments):
        raise TypeError(_COMPILED)

    coordinate_slope = move = settle = forward = backward = bend = _uncompiled
    image = start = curvatures = hessian_bound = _uncompiled


def _number(value):
    """What the function returned as a float, or an error in words."""
    if isinstance(value, float):
        return float(value)
    if value is None:
        raise TypeError("fun of Smooth returned None; it must return one number.")
    array = as_floats(value, "what fun of Smooth returned")
    if array.size != 1:
        raise ValueError(f"fun of Smooth returned an array of shape {array.shape}; it must return one number.")
    return float(array.reshape(()))


def _lent(w):
    """A vector that the function may keep or change."""
    return np.array(w, dtype=np.float64)
