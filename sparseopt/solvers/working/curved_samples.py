"""Quadratic functions of the coefficients that block descent minimises: value and curvature of blocks.

Least squares and `Quadratic` are such functions. Any other loss on samples is replaced by its
Taylor polynomial of degree two at a point,

    sum_i g_i d_i + h_i d_i**2 / 2    for a change d = X (w - w_0) + b - b_0 of the fitted values,

with the intercept b minimised out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt._jit import Term
from sparseopt.designs import CSC, CenteredCSC, Design
from sparseopt.kernels.columns import multiply_blocks
from sparseopt.losses import Quadratic
from sparseopt.losses.samples import PerSample
from sparseopt.overlapping import Repeated

# A difference of squares below this part of them is computed anew, term by term.
_CANCELLED = 1e-3


@dataclass(frozen=True, eq=False)
class CurvedSamples(Term):
    """The polynomial; its running vector holds g_i + h_i d_i."""

    X: Design
    sample_weight: PerSample
    #: One over the sum of the curvatures with an intercept, zero without.
    yielding: float
    slopes: np.ndarray = field(repr=False, metadata={"compiled": False})

    def coordinate_slope(self, running, j):
        return self.X.pull(j, running)

    def move(self, running, j, step):
        self.X.push(j, step, self.sample_weight, running)

    def settle(self, running):
        """Minimise over the intercept."""
        if self.yielding > 0.0:
            n, total = self.sample_weight.values.size, 0.0
            for i in range(n):
                total += running[i]
            shift = running.dtype.type(total * self.yielding)
            for i in range(n):
                running[i] -= shift * self.sample_weight.at(i)

    def start(self):
        """The running vector at w_0."""
        return np.append(self.slopes, 0.0).astype(self.X.dtype)


def expand(loss, w, damping):
    """The polynomial of a loss on samples at w, each curvature at least `damping` of the bound on it."""
    z, y = loss.predict(w), loss.y.astype(np.float64)
    weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
    bends = np.asarray(loss.curvature(y, z), dtype=np.float64)
    bound = loss.smoothness()
    bends = np.maximum(bends, damping * (bound if np.isfinite(bound) else np.max(bends)))
    h = weights * bends
    return CurvedSamples(
        loss.X,
        PerSample(np.ascontiguousarray(h, dtype=loss.dtype)),
        float(1.0 / np.sum(h)) if loss.intercept else 0.0,
        np.asarray(weights * loss.slope(y, z)),
    )


def curvatures_of(model, partition, groups):
    """The second derivatives of a quadratic in the coefficients of each of some groups of one size, in float64."""
    if isinstance(model, Quadratic) or not isinstance(model.X, CSC | CenteredCSC):
        return np.stack([curvature_of(model, partition.columns(g)) for g in groups])
    X, shift = model.X, 1.0 if isinstance(model.X, CenteredCSC) else 0.0
    if isinstance(model, CurvedSamples):
        shift = model.yielding
    weights = np.broadcast_to(np.asarray(model.sample_weight.values, dtype=np.float64), X.n_rows)
    d = partition.start(groups[0] + 1) - partition.start(groups[0])
    features = partition.member(partition.start(groups)[:, None] + np.arange(d))
    blocks, sums = np.empty((groups.size, d, d)), np.empty((groups.size, d))
    multiply_blocks(X.data, X.indices, X.indptr, weights, features, np.zeros(X.n_rows), blocks, sums)
    if shift > 0.0:
        squares = np.diagonal(blocks, axis1=1, axis2=2).copy()
        blocks -= shift * sums[:, :, None] * sums[:, None, :]
        rest = np.diagonal(blocks, axis1=1, axis2=2)
        # where little is left of the squares, the difference is rounding
        for k in np.flatnonzero(np.any(rest < _CANCELLED * squares, axis=1)):
            blocks[k] = curvature_of(model, features[k])
    return blocks


def curvature_of(model, columns):
    """The second derivative of a quadratic in some coefficients, in float64."""
    if isinstance(model, Quadratic):
        block = model.Q.matrix[:, columns][columns]
        return np.asarray(block.toarray() if sparse.issparse(block) else block, dtype=np.float64)
    part, rows = model.X.restrict(columns).to_array(), np.asarray(model.sample_weight.values, dtype=np.float64)
    if isinstance(model, CurvedSamples) and model.yielding > 0.0:
        part = part - model.yielding * (rows @ part)
    if rows.ndim == 0:
        return rows * (part.T @ part)
    part = np.sqrt(rows)[:, None] * part
    return part.T @ part


def curvature_operator(model, columns):
    """The second derivative in many coefficients as a linear operator."""
    if isinstance(model, Quadratic):
        return sparse.linalg.aslinearoperator(model.Q.matrix[:, columns][columns].astype(np.float64))
    part, rows = model.X.restrict(columns), np.asarray(model.sample_weight.values, dtype=np.float64)
    yielding = model.yielding if isinstance(model, CurvedSamples) else 0.0

    def apply(d):
        image = rows * part.matvec(np.ravel(d))
        return part.rmatvec(image - yielding * np.sum(image) * rows)

    p = part.shape[1]
    return sparse.linalg.LinearOperator((p, p), matvec=apply, dtype=np.float64)


def height_of(model, features, w, running):
    """The value of a quadratic, up to a constant, from the running vector; the coefficients outside of `features` are zero."""
    if isinstance(model, Quadratic):
        return float(w @ (running + model.c)[features]) / 2
    rows, u = np.asarray(model.sample_weight.values, dtype=np.float64), _unshifted(model, running)
    if rows.ndim == 0:
        return float(u @ u / rows) / 2
    return float(np.sum(np.divide(u * u, rows, out=np.zeros_like(u), where=rows > 0.0))) / 2


def slopes_of(model, running):
    """The gradient of a quadratic in all coefficients, from the running vector."""
    if isinstance(model, Quadratic):
        return running.astype(np.float64)
    u = _unshifted(model, running)
    return np.asarray(model.X.rmatvec(u.astype(model.X.dtype)), dtype=np.float64)


def _unshifted(model, running):
    """The slope in each fitted value; a centred sparse design keeps a common shift apart."""
    u = running[:-1].astype(np.float64)
    design = model.X.inner if isinstance(model.X, Repeated) else model.X
    if isinstance(design, CenteredCSC):
        u -= np.asarray(model.sample_weight.values, dtype=np.float64) * running[-1]
    return u
