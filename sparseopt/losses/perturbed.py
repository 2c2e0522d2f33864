"""Least squares under the worst perturbation of the features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.inputs import as_floats
from sparseopt.losses.base import LossTerm
from sparseopt.losses.least_squares import LeastSquares
from sparseopt.losses.worst_case import WorstCase


@dataclass(frozen=True, eq=False)
class Perturbed(LossTerm):
    """Least squares under the worst perturbation of each column of X, of a bounded size.

    The largest value of sum_i s_i (y_i - (x_i + d_i) w - b)**2 / 2 over perturbations d with
    sum_i s_i d_ij**2 <= radius_j**2 for each feature j is

        (rho(w) + sum_j radius_j |w_j|)**2 / 2,    rho(w)**2 = sum_i s_i (y_i - x_i w - b)**2

    (Xu, Caramanis and Mannor, 2010, with weights s): as for a lasso, a coefficient is worth its uncertainty or zero, and
    the radius is in the units of the feature, whatever the noise. Of several groups it is the worst group under the worst
    perturbation of its samples.

    Where a group is fitted without a residual its norm has no slope, and the certificate may prove little.

    Parameters
    ----------
    loss : LeastSquares or WorstCase of these
        Without baselines.
    radius : float >= 0, or array of shape (p,)
        Largest root mean square of the perturbation of each feature.

    Raises
    ------
    ValueError, TypeError
        Where the loss is another, or a radius is negative or not finite.
    """

    loss: LeastSquares | WorstCase = field(metadata={"compiled": False})
    radius: np.ndarray = field(metadata={"compiled": False})

    def __post_init__(self):
        loss = self.loss
        if isinstance(loss, LeastSquares):
            loss = WorstCase((replace(loss, intercept=False),), loss.intercept)
        if not isinstance(loss, WorstCase) or not isinstance(loss.losses[0], LeastSquares):
            raise TypeError(f"Perturbed takes LeastSquares, or a WorstCase of these, got {type(loss).__name__}.")
        if loss.baselines.any():
            raise ValueError("Perturbed takes no baselines: the worst perturbation of a difference has no formula.")
        radius = np.asarray(as_floats(self.radius, "radius"), dtype=np.float64)
        if radius.ndim and radius.shape != (loss.n_features,):
            raise ValueError(
                f"radius has shape {radius.shape} for {loss.n_features} features; give one number, or one each."
            )
        if not np.all(np.isfinite(radius)) or np.any(radius < 0.0):
            raise ValueError("radius must be finite and nonnegative; it is a size.")
        radius = np.broadcast_to(radius, (loss.n_features,)).copy()
        radius.flags.writeable = False
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "radius", radius)

    @property
    def n_features(self):
        return self.loss.n_features

    @property
    def n_groups(self):
        """Number of groups."""
        return self.loss.n_groups

    @property
    def intercept(self):
        """Whether there is one."""
        return self.loss.intercept

    @property
    def feature_names(self):
        return self.loss.feature_names

    @property
    def dtype(self):
        return self.loss.dtype

    def length(self, w):
        """rho(w) + sum_j radius_j |w_j|, the root of twice the loss."""
        w = np.asarray(w, dtype=np.float64)
        return float(np.sqrt(2.0 * max(self.loss.evaluate(w), 0.0)) + self.radius @ np.abs(w))

    def evaluate(self, w):
        return self.length(w) ** 2 / 2.0

    def gradient(self, w):
        """A subgradient."""
        w = np.asarray(w, dtype=np.float64)
        rho = np.sqrt(2.0 * max(self.loss.evaluate(w), 0.0))
        slope = self.loss.gradient(w) / rho if rho > 0.0 else np.zeros_like(w)
        return self.length(w) * (slope + self.radius * np.sign(w))

    def intercept_at(self, w):
        return self.loss.intercept_at(w)

    def perturbation(self, w):
        """The worst perturbation for w, a row for each sample of the groups, one after another.

        Parameters
        ----------
        w : array of shape (p,)

        Returns
        -------
        array of shape (n, p)
        """
        w, stack = np.asarray(w, dtype=np.float64), self.loss.stack
        r = stack.y - stack.offset - stack.A @ w - self.intercept_at(w)
        sizes = np.sqrt(np.add.reduceat(stack.weights * r * r, stack.starts[:-1]))
        sizes = np.repeat(np.where(sizes > 0.0, sizes, 1.0), np.diff(stack.starts))
        return -(r / sizes)[:, None] * (self.radius * np.sign(w))

    def restrict(self, columns):
        return Perturbed(self.loss.restrict(columns), self.radius[columns])
