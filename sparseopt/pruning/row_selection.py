"""The best k rows of a matrix of weights: subset selection with several responses and one Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from sparseopt.certificate import Certificate, certify
from sparseopt.constraints import RowCardinality
from sparseopt.losses import LeastSquares
from sparseopt.problem import Problem
from sparseopt.pruning.reconstruction import inverted, solve
from sparseopt.solve import solve as solve_problem
from sparseopt.solvers.branch_and_bound import BranchAndBound

# Rows that a kick exchanges, at most.
_KICK = 3
# Relative gain below which an exchange is rounding.
_LITTLE = 1e-10
# Exchanges at most for each row: only rounding could lead in circles.
_MOST = 50


@dataclass(frozen=True, eq=False)
class Choice:
    """Kept rows as booleans, and what is proven of them, if anything."""

    kept: np.ndarray
    certificate: Certificate | None = None


@dataclass(frozen=True, eq=False)
class RowSelection:
    """Subset selection over rows of W: tr(W'HW)/2 - tr(B'W), with a Gram matrix H and the cross moments B."""

    gram: np.ndarray
    cross: np.ndarray

    @cached_property
    def elimination(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows from the first to go to the last, and the loss of each as it goes."""
        p = len(self.gram)
        inverse = inverted(self.gram)
        W = inverse @ self.cross
        left, order, losses = np.ones(p, bool), np.empty(p, np.intp), np.empty(p)
        for step in range(p):
            # of a row that goes: |w_j|^2 / (2 [H^-1]_jj), the others refitted
            costs = np.full(p, np.inf)
            costs[left] = np.einsum("ij,ij->i", W[left], W[left]) / inverse.diagonal()[left] / 2
            j = int(np.argmin(costs))
            order[step], losses[step], left[j] = j, costs[j], False
            column = inverse[:, j] / inverse[j, j]
            W = W - np.outer(column, W[j])
            inverse = inverse - np.outer(column, inverse[j])
        return order, losses

    def problem(self, count) -> tuple[Problem, np.ndarray]:
        """The same as least squares on as many samples as rows, and its cross moments.

        Its value is the loss that all rows together would not have.
        """
        p = len(self.gram)
        factor = scipy.linalg.cholesky(self.gram, lower=True)
        targets = scipy.linalg.solve_triangular(factor, self.cross, lower=True)
        if targets.shape[1] > p:
            # Only the inner products of the targets' rows matter: as many responses as rows will do.
            U, size, _ = np.linalg.svd(targets, full_matrices=False)
            targets = U * size
        cross = factor @ targets
        targets = targets[:, 0] if targets.shape[1] == 1 else targets
        loss = LeastSquares(np.sqrt(p) * factor.T, np.sqrt(p) * targets)
        return Problem(loss, constraint=RowCardinality(count)), cross

    def exchanged(self, support) -> np.ndarray:
        """The support after exchanges of one row for another, each time the best, until none gains."""
        H, B = self.gram, self.cross
        support, before, best, diagonal = np.asarray(support), support, np.inf, H.diagonal()
        while True:
            inverse = inverted(H[np.ix_(support, support)])
            W = inverse @ B[support]
            height = -np.sum(W * B[support]) / 2
            if height >= best - _LITTLE * abs(height):
                return before
            best, before = height, support
            others = np.setdiff1d(np.arange(len(H)), support)
            if others.size == 0:
                return support
            # Without row j the slope at i is s_i + (P_ji / C_jj) w_j and its curvature d_i + P_ji^2 / C_jj.
            P, C = inverse @ H[np.ix_(support, others)], inverse.diagonal()[:, None]
            slopes = B[others] - H[np.ix_(others, support)] @ W
            d = diagonal[others] - np.einsum("ij,ij->j", P, H[np.ix_(support, others)])
            size, ratio = np.einsum("ij,ij->i", W, W)[:, None], P / C
            gain = np.einsum("ij,ij->i", slopes, slopes) + ratio * (2 * W @ slopes.T + ratio * size)
            gain = gain / (d + ratio * P) - size / C
            j, i = np.unravel_index(np.argmax(gain), gain.shape)
            support = np.sort(np.append(np.delete(support, j), others[i]))

    def best(self, count, kicks, proof_time) -> Choice:
        """The best rows that are found; with time for a proof, their certificate."""
        p = len(self.gram)
        kept = np.zeros(p, dtype=bool)
        if count == p:
            return Choice(~kept)
        kept[kicked(self, p, count, kicks)] = True
        if not proof_time:
            return Choice(kept)
        problem, cross = self.problem(count)
        w = np.zeros(cross.shape)
        w[kept] = solve(self.gram[np.ix_(kept, kept)], cross[kept])
        w = w.reshape(problem.shape)
        exact = BranchAndBound()
        if exact.rejects(problem) is not None:
            return Choice(kept, certify(problem, w))
        found = solve_problem(problem, exact, w, time_limit=proof_time)
        better = np.asarray(found.w.reshape(p, -1).any(axis=1))
        # Rows that are worth nothing are zero; they are kept all the same, the count being given.
        spare = [j for j in self.elimination[0][::-1] if not better[j]]
        better[spare[: count - int(better.sum())]] = True
        return Choice(better, found.certificate)

    def loss(self, support) -> float:
        """Least value with these rows."""
        weights = solve(self.gram[np.ix_(support, support)], self.cross[support])
        return -float(np.sum(weights * self.cross[support])) / 2


def kicked(selection, size, count, kicks) -> np.ndarray:
    """What survives elimination and exchanges, also from random changes of the best that was found so far."""
    rng = np.random.default_rng(0)
    best = selection.exchanged(np.sort(selection.elimination[0][size - count :]))
    for _ in range(kicks):
        others = np.setdiff1d(np.arange(size), best)
        moved = min(_KICK, count, others.size)
        left = np.setdiff1d(best, rng.choice(best, moved, replace=False))
        found = selection.exchanged(np.union1d(left, rng.choice(others, moved, replace=False)))
        if selection.loss(found) < selection.loss(best):
            best = found
    return best


def many_selections(gram, cross, count) -> np.ndarray:
    """Rows by elimination and exchanges for many small problems at once, of shape (problems, count), sorted.

    Parameters
    ----------
    gram : array of shape (problems, p, p)
        Positive definite.
    cross : array of shape (problems, p, q)
    count : int
        Rows to keep, below p.
    """
    size, p = gram.shape[:2]
    each, rows = np.arange(size), np.arange(p)
    inverse = np.linalg.inv(gram)
    W = inverse @ cross
    left = np.ones((size, p), bool)
    for _ in range(p - count):
        spread = np.where(left, inverse[:, rows, rows], 1.0)
        j = np.argmin(np.where(left, np.sum(W * W, axis=2) / spread, np.inf), axis=1)
        column = inverse[each, :, j] / inverse[each, j, j][:, None]
        W = W - column[:, :, None] * W[each, j][:, None]
        inverse = inverse - column[:, :, None] * inverse[each, j][:, None]
        left[each, j] = False
    order = np.argsort(~left, axis=1, kind="stable")
    support, others = order[:, :count], order[:, count:]
    for _ in range(_MOST * p):
        (j, i), moved = _best_exchanges(gram, cross, support, others)
        if not moved.any():
            break
        b, j, i = each[moved], j[moved], i[moved]
        support[b, j], others[b, i] = others[b, i], support[b, j]
    return np.sort(support, axis=1)


def _best_exchanges(gram, cross, support, others):
    """Place of the row that goes and of the one that comes, for each problem, and whether that gains."""
    each = np.arange(len(gram))[:, None]
    within = gram[each[:, :, None], support[:, :, None], support[:, None]]
    between = gram[each[:, :, None], support[:, :, None], others[:, None]]
    inverse = np.linalg.inv(within)
    W, P = inverse @ cross[each, support], inverse @ between
    C = np.diagonal(inverse, axis1=1, axis2=2)[:, :, None]
    slopes = cross[each, others] - between.transpose(0, 2, 1) @ W
    d = gram[each, others, others] - np.sum(P * between, axis=1)
    size, ratio = np.sum(W * W, axis=2)[:, :, None], P / C
    gain = np.sum(slopes * slopes, axis=2)[:, None] + ratio * (2 * W @ slopes.transpose(0, 2, 1) + ratio * size)
    gain = gain / (d[:, None] + ratio * P) - size / C
    flat = gain.reshape(len(gain), -1)
    best = np.argmax(flat, axis=1)
    gained = flat[each[:, 0], best]
    height = np.sum(W * cross[each, support], axis=(1, 2))
    return np.unravel_index(best, gain.shape[1:]), gained > _LITTLE * height
