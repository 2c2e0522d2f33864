"""Whether the gradient of a loss and the Jacobian of a constraint are those of their values."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.constraints.nonlinear import NonlinearConstraint
from sparseopt.finite_differences import SCHEMES, differentiate
from sparseopt.inputs import as_floats

# What finite differences of two sides get wrong, relative to the sizes of slopes and values.
_SLACK = 1e-6


def check_derivatives(term, w) -> None:
    """Check the gradient of a loss, or the Jacobian of a `NonlinearConstraint`, against finite differences.

    Parameters
    ----------
    term : Loss or NonlinearConstraint
        Above all one that is made of functions of yours; nothing is compiled.
    w : array of shape (p,)
        Where to look: no special point, such as zero, where a wrong formula may be right.

    Raises
    ------
    AssertionError
        With the entry and the two numbers that contradict each other.

    Notes
    -----
    Two-sided differences have an error of about 1e-10 of the slope, and more where the function curves strongly: an
    entry passes where both agree to 1e-6 of the largest slope, or to what one-sided differences differ by.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import Smooth
    >>> from sparseopt.testing import check_derivatives
    >>> check_derivatives(Smooth(lambda w: np.sum(w**4), lambda w: 4 * w**3, n_features=3), [1.0, -2.0, 0.5])
    """
    w = np.array(as_floats(w, "w"), dtype=np.float64)
    if isinstance(term, NonlinearConstraint):
        name, values = "jac of NonlinearConstraint", term.rows
        here = term.rows(w)
        given = term.jacobian(w, here)
        given = given.toarray() if sparse.issparse(given) else given
    else:
        name, values = f"the gradient of {type(term).__name__}", term.evaluate
        here = np.array([term.evaluate(w)])
        given = np.atleast_2d(np.asarray(term.gradient(w), dtype=np.float64))
    if not np.all(np.isfinite(here)):
        raise AssertionError(f"{name}: the value is {here} at w; choose a w where it is finite.")
    if given.shape != (here.size, w.size):
        raise AssertionError(f"{name} has shape {given.shape}; it must be {(here.size, w.size)}.")
    twice = differentiate(values, w, here, "3-point")
    once = differentiate(values, w, here, "2-point")
    rounding = SCHEMES["3-point"] ** 2 * np.abs(here)[:, None]
    allowed = (
        _SLACK * np.maximum(np.max(np.abs(twice), axis=1, keepdims=True), 1e-300) + np.abs(twice - once) + rounding
    )
    wrong = ~(np.abs(given - twice) <= allowed)
    if np.any(wrong):
        i, j = (int(part[0]) for part in np.nonzero(wrong))
        row = f"row {i}, " if isinstance(term, NonlinearConstraint) else ""
        raise AssertionError(
            f"{name}: entry {row}{j} is {given[i, j]:.9g} at w, finite differences give {twice[i, j]:.9g}; correct one of the functions."
        )
