"""A quadratic whose coefficients are in or out by blocks: rows of several responses, or groups of features.

    f(W) + ridge |W|**2 / 2 = constant - tr Q'W + tr W'HW / 2,    H = G + ridge

H and Q are kept as they are, for bounds, and in coordinates in which each block of (H^-1)_bb^-1 is the identity, for the
interior-point method: no more of that can be taken off a block, were it alone. More responses than coefficients are
turned so that those beyond are zero.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from sparseopt.losses import MultiResponse
from sparseopt.solvers.subsets.gram_models import gram_model, is_flat, rounding_of, sizes_of, whole_gram
from sparseopt.solvers.trees.block_interior import Blocks, is_definite

# Up to so many coefficients of one response, since nodes take its third power.
MOST = 500
# Rows of X that are read together.
_ROWS = 1 << 13
_EPS = float(np.finfo(np.float64).eps)
# A diagonal entry of this part keeps the inverse of a singular H finite.
_TINY = 1e-9
# Of inverses larger than this, relative to those of orthogonal columns, no more is known than that.
_STEEP = 1e7


class BlockModel:
    """The quadratic of a problem and its blocks.

    Attributes
    ----------
    H : array of shape (p, p)
        Zero in rows and columns of flat coefficients, but for the ridge.
    Q : array of shape (p, r)
    turn : array of shape (r, q) or None
        Turns coefficients of r responses into those of q.
    members : list of arrays
        Coefficients of each block that H depends on; the others are best at zero.
    sizes : array of shape (p,)
        What rounding of a product with a coefficient is relative to.
    """

    def __init__(self, gram, linear, constant, sizes, rounding, groups, ridge):
        p = len(gram)
        self.constant, self.ridge, self.turn = float(constant), float(ridge), None
        self.n_outputs = linear.shape[1]
        flat = is_flat(gram.diagonal(), sizes)
        self.H, self.Q = np.array(gram), np.array(linear)
        self.H[flat], self.H[:, flat], self.Q[flat] = 0.0, 0.0, 0.0
        self.rounding = rounding
        if self.n_outputs > p:
            basis, kept = np.linalg.qr(self.Q.T)  # Q = kept' basis'
            self.Q, self.turn = np.ascontiguousarray(kept.T), basis.T
            self.rounding = rounding + 4.0 * _EPS * np.sqrt(self.n_outputs) * np.sqrt(p)
        self.H[np.diag_indices(p)] += ridge
        self.sizes = np.sqrt(np.square(sizes) + ridge)
        self.n_coefficients = p
        self.members = [np.asarray(group)[~flat[group]] for group in groups]
        self.unit_of = np.empty(p, dtype=np.intp)
        for unit, group in enumerate(groups):
            self.unit_of[group] = unit
        self.length = np.sqrt(2.0 * self.constant)
        #: What rounding of H may hide of a curvature.
        self.slack = p * (4.0 * _EPS + self.rounding) * np.square(self.sizes)
        used = np.concatenate([np.empty(0, dtype=np.intp), *self.members])
        self.is_definite = used.size == 0 or is_definite(self.H[np.ix_(used, used)] - np.diag(self.slack[used]))
        self.are_single = all(block.size <= 1 for block in self.members)
        #: For each number of coefficients the most that their sizes times their distance from zero can be, relative to
        #: the root of twice the constant; infinite while unknown.
        self.reach = np.full(used.size + 1, np.inf)
        if self.is_definite:
            self._shape(used)

    def _shape(self, used):
        """Coordinates in which the curvature that a block has of its own is one."""
        H = self.H[np.ix_(used, used)]
        H[np.diag_indices(used.size)] += _TINY * H.diagonal()
        inverse = np.linalg.inv(H) if used.size else H
        place = np.full(self.n_coefficients, -1)
        place[used] = np.arange(used.size)
        # |w_j|**2 <= (H_S^-1)_jj w'H_S w, and (H_S^-1)_jj is no more than with all features
        steep = inverse.diagonal() * np.square(self.sizes[used])
        if np.all((steep > 0.0) & (steep < _STEEP)):
            self.reach = np.concatenate([[0.0], np.cumsum(np.sort(1.01 * np.sqrt(steep))[::-1])])
        self.T, self.S = np.zeros_like(self.H), np.zeros_like(self.H)
        #: The blocks (H^-1)_bb^-1 themselves, and a bound of the norms of the roots of their inverses.
        self.own, self.root = [], np.zeros(len(self.members))
        for unit, block in enumerate(self.members):
            part = inverse[np.ix_(place[block], place[block])]
            part = 0.5 * (part + part.T)
            factor = np.linalg.cholesky(part) if block.size else part
            self.T[np.ix_(block, block)] = factor
            back = np.linalg.inv(factor) if block.size else part
            own = back.T @ back
            self.own.append(0.5 * (own + own.T))
            self.S[np.ix_(block, block)] = self.own[-1]
            self.root[unit] = np.linalg.norm(factor)
        self.turned = self.T.T @ (self.H - np.diag(self.slack)) @ self.T
        self.turned = 0.5 * (self.turned + self.turned.T)
        self.pulled = self.T.T @ self.Q

    def part(self, units, is_in):
        """The coefficients of some units and their blocks, for the interior-point method."""
        members = [self.members[unit] for unit in units]
        used = np.concatenate([np.empty(0, dtype=np.intp), *members])
        starts = np.cumsum([0, *(block.size for block in members[:-1])])
        return used, Blocks(self.turned[np.ix_(used, used)], self.pulled[used], starts, is_in, self.constant)

    def first_share(self):
        """What is taken off each block at first, half of what is possible in equal parts; None where nothing is left."""
        used = np.concatenate([np.empty(0, dtype=np.intp), *self.members])
        if used.size == 0:
            return np.ones(len(self.members))
        least = float(np.linalg.eigvalsh(self.turned[np.ix_(used, used)])[0])
        return np.full(len(self.members), 0.5 * least) if least > 0.0 else None

    def bound(self, units, used, W, z, c):
        """constant - tr W'(H - C)W / 2 and the gain of each unit at coefficients W on `used`, and what rounding may take.

        Where W is the minimiser of the relaxation at z, t_b is C_b V_b with V_b = W_b / z_b, but for a rest r_b. So its
        gain is tr V'CV / 2 + tr V'r + tr r'C^-1 r / 2, in which rounding is small also where C_b is nearly singular.
        """
        counts = np.array([self.members[unit].size for unit in units])
        starts, grid, sizes = np.cumsum([0, *counts[:-1]]), np.ix_(used, used), self.sizes[used]
        share, part = np.repeat(c, counts)[:, None], np.repeat(z, counts)[:, None]
        norms = np.sqrt(np.einsum("ij,ij->i", W, W)) * sizes
        weight = float(norms.sum())
        V = W / part
        CW = share * (self.S[grid] @ W)
        CV = CW / part
        image = self.H[grid] @ W - CW
        rest = self.Q[used] - image - CV
        size = np.add.reduceat(norms, starts) / z
        error = 2.0 * self.rounding * (self.length + weight)
        wrong = error + 2.0 * self.rounding * size
        # |C^-1/2 r|, where C^-1 = T T' / c
        turned = self.T[grid].T @ rest
        root = np.sqrt(np.add.reduceat(np.einsum("ij,ij->i", turned, turned), starts))
        root += self.root[units] * wrong * np.sqrt(np.add.reduceat(sizes * sizes, starts))
        gains = np.add.reduceat(np.einsum("ij,ij->i", V, 0.5 * CV + rest), starts)
        gains += size * wrong + 0.5 * root * root / c
        base = self.constant - 0.5 * float(np.einsum("ij,ij->", W, image))
        return base, np.maximum(gains, 0.0), error * weight + 1e-15 * self.constant

    def coefficients(self, used, W):
        """All coefficients, in C order, from those of some in the turned responses."""
        full = np.zeros((self.n_coefficients, self.n_outputs))
        full[used] = W if self.turn is None else W @ self.turn
        return full.ravel()

    def evaluate(self, units):
        """The least objective with coefficients on some units, and all coefficients."""
        used = np.concatenate([np.empty(0, dtype=np.intp), *(self.members[unit] for unit in units)])
        H, Q = self.H[np.ix_(used, used)], self.Q[used]
        if used.size == 0:
            return self.constant, self.coefficients(used, Q)
        W, fault = lapack.dposv(H, Q, lower=1)[1:]
        if fault or not np.all(np.isfinite(W)):
            W = np.linalg.lstsq(H, Q, rcond=1e-12)[0]
        objective = self.constant - float(np.einsum("ij,ij->", W, Q)) + 0.5 * float(np.einsum("ij,ij->", W, H @ W))
        return objective, self.coefficients(used, W)


def block_model(loss, subset):
    """The model of a problem with rows or groups, in parts: a generator that returns it."""
    if isinstance(loss, MultiResponse):
        parts = yield from _of_responses(loss)
        units = [np.array([j]) for j in range(len(parts[0]))]
        return BlockModel(*parts, units, subset.ridge)
    model = yield from (whole_gram(loss) if hasattr(loss, "target") else gram_model(loss))
    parts = model.gram, model.linear[:, None], model.constant, model.sizes, model.rounding
    groups = [np.array([j]) for j in range(subset.n_features)] if subset.groups is None else subset.groups
    return BlockModel(*parts, groups, subset.ridge)


def _of_responses(loss):
    """Gram matrix, products with the targets, constant, sizes and rounding of several responses."""
    design, Y = loss.X, np.asarray(loss.targets, dtype=np.float64)
    n, p = design.shape
    weights = np.broadcast_to(np.ravel(np.asarray(loss.sample_weight.values, dtype=np.float64)), n)
    means = getattr(design, "means", np.zeros(p)).astype(np.float64)
    gram, linear = np.zeros((p, p)), np.zeros((p, Y.shape[1]))
    matrix = design.matrix.tocsr() if sparse.issparse(design.matrix) else design.matrix
    for first in range(0, n, _ROWS):
        rows = slice(first, first + _ROWS)
        block = matrix[rows]
        block = (block.toarray() if sparse.issparse(block) else block) - means
        weighted = weights[rows, None] * block
        gram += block.T @ weighted
        linear += weighted.T @ Y[rows]
        yield
    gram = 0.5 * (gram + gram.T)
    constant = 0.5 * float(np.sum(weights[:, None] * Y * Y))
    return gram, linear, constant, sizes_of(design, gram.diagonal()), rounding_of(n)
