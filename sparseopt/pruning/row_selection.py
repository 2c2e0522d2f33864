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
from sparseopt.pruning.reconstruction import solve
from sparseopt.solve import solve as solve_problem
from sparseopt.solvers.branch_and_bound import BranchAndBound

# Rows that a kick exchanges, at most.
_KICK = 3


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
        inverse = solve(self.gram, np.eye(p))
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
            inverse = solve(H[np.ix_(support, support)], np.eye(support.size))
            W = inverse @ B[support]
            height = -np.sum(W * B[support]) / 2
            # A gain below this is lost in rounding.
            if height >= best - 1e-10 * abs(height):
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
        kept[self._searched(count, kicks)] = True
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

    def _searched(self, count, kicks):
        """Rows that survive elimination and exchanges, also from random changes of the best ones so far."""
        p, rng = len(self.gram), np.random.default_rng(0)
        best = self.exchanged(np.sort(self.elimination[0][p - count :]))
        for _ in range(kicks):
            others = np.setdiff1d(np.arange(p), best)
            size = min(_KICK, count, others.size)
            kicked = np.setdiff1d(best, rng.choice(best, size, replace=False))
            found = self.exchanged(np.union1d(kicked, rng.choice(others, size, replace=False)))
            if self.loss(found) < self.loss(best):
                best = found
        return best

    def loss(self, support) -> float:
        """Least value with these rows."""
        weights = solve(self.gram[np.ix_(support, support)], self.cross[support])
        return -float(np.sum(weights * self.cross[support])) / 2
