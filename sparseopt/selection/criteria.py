"""Information criteria: the likelihood of each solution of a path, less a price for its size."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from sparseopt.inputs import as_count, as_number
from sparseopt.losses import LeastSquares, SampleLoss
from sparseopt.path import Path
from sparseopt.selection.rows import row_weights


@dataclass(frozen=True, eq=False)
class InformationCriteria:
    """AIC, BIC, EBIC and GIC of each solution of a path; the smaller the better.

    Attributes
    ----------
    path : Path
    deviance : array of shape (penalties,)
        Minus twice the log-likelihood, up to a constant.
    degrees_of_freedom : array of shape (penalties,)
        Support sizes.
    aic, bic, ebic, gic : arrays of shape (penalties,)
        Infinite where the support is so large that no degrees of freedom are left for the variance.
    """

    path: Path
    deviance: np.ndarray = field(repr=False)
    degrees_of_freedom: np.ndarray = field(repr=False)
    aic: np.ndarray = field(repr=False)
    bic: np.ndarray = field(repr=False)
    ebic: np.ndarray = field(repr=False)
    gic: np.ndarray = field(repr=False)

    @property
    def best_aic(self):
        """Index of the solution with the least AIC."""
        return int(np.argmin(self.aic))

    @property
    def best_bic(self):
        """Index of the solution with the least BIC."""
        return int(np.argmin(self.bic))

    @property
    def best_ebic(self):
        """Index of the solution with the least EBIC."""
        return int(np.argmin(self.ebic))

    @property
    def best_gic(self):
        """Index of the solution with the least GIC."""
        return int(np.argmin(self.gic))

    def __repr__(self):
        best = {"AIC": self.best_aic, "BIC": self.best_bic, "EBIC": self.best_ebic, "GIC": self.best_gic}
        shown = ", ".join(f"{name} at {i} with support {self.degrees_of_freedom[i]}" for name, i in best.items())
        return f"InformationCriteria({len(self.path)} solutions: least {shown})"


def information_criteria(path, loss, *, noise_variance=None, gamma=1.0, n_features=None) -> InformationCriteria:
    """AIC (Akaike, 1974), BIC (Schwarz, 1978), EBIC (Chen and Chen, 2008) and GIC (Fan and Tang, 2013) along a path.

    A coefficient costs 2, log(n), log(n) and its share of 2 gamma log(number of supports of that size), and
    log(log(n)) log(p). Degrees of freedom are support sizes, which is unbiased for the lasso (Zou, Hastie and
    Tibshirani, 2007). A ridge makes them fewer and a search over subsets more, so that the
    criteria are then rules of thumb.

    Parameters
    ----------
    path : Path
        Of a problem with this loss.
    loss : LeastSquares or SampleLoss
        For least squares the deviance is n log(mean square), or n mean square / noise_variance;
        for all others 2 n loss(w).
    noise_variance : float > 0, optional
        Of least squares; None where it is unknown, and must be fitted.
    gamma : float in [0, 1], default 1
        Of the EBIC: 0 is the BIC, 1 suits any number of columns.
    n_features : int, optional
        Number of columns p among which was chosen, where the loss has only those that a screening left: the
        prices of EBIC and GIC are those of the whole search. By default that of the loss.

    Returns
    -------
    InformationCriteria
    """
    if not isinstance(path, Path):
        raise TypeError(f"path must be a Path, got {type(path).__name__}; give the result of sparseopt.path.")
    if not isinstance(loss, LeastSquares | SampleLoss):
        raise TypeError(f"loss must be a loss on samples, got {type(loss).__name__}; only they have a likelihood.")
    p, size = loss.n_features, path.support_sizes
    if path[0].w.size != p:
        raise ValueError(f"path has {path[0].w.size} coefficients and loss has {p} columns; give the loss of the path.")
    if not 0.0 <= as_number(gamma, "gamma") <= 1.0:
        raise ValueError(f"gamma must lie in [0, 1], got {gamma:g}.")
    if n_features is not None:
        p = as_count(n_features, "n_features", least=p)
    n = np.count_nonzero(row_weights(loss))
    values = np.array([loss.evaluate(solution.w.astype(np.float64)) for solution in path])
    deviance, is_saturated = 2.0 * n * values, np.zeros(size.size, dtype=bool)
    if noise_variance is not None:
        if not isinstance(loss, LeastSquares):
            raise ValueError(
                f"noise_variance belongs to LeastSquares, and the loss is {type(loss).__name__}; leave it out."
            )
        deviance = deviance / as_number(noise_variance, "noise_variance", above=0.0)
    elif isinstance(loss, LeastSquares):
        with np.errstate(divide="ignore"):  # a perfect fit has an infinite likelihood
            deviance = n * np.log(2.0 * values)
        is_saturated = size + loss.intercept >= n
    ways = (
        scipy.special.gammaln(p + 1) - scipy.special.gammaln(size + 1) - scipy.special.gammaln(p - size + 1)
    )  # logarithm of the number of such supports

    def priced(price):
        return np.where(is_saturated, np.inf, deviance + price)

    bic = size * np.log(n)
    # the first logarithm is below 1, or not a number, for fewer than 16 rows
    gic = size * np.log(max(np.log(n), np.e)) * np.log(p)
    prices = (2.0 * size, bic, bic + 2.0 * gamma * ways, gic)
    return InformationCriteria(path, deviance, size, *map(priced, prices))
