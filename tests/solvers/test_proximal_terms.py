"""Terms that tie coefficients together, as later penalties on groups will: one file, nothing else changes."""

import math
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(3)
X = RNG.standard_normal((50, 12))
Y = X[:, :3] @ [1.0, -2.0, 1.5] + 0.2 * RNG.standard_normal(50)


@dataclass(frozen=True)
class GroupLasso(so.ProximalTerm):
    """alpha times the sum of the norms of blocks of `size` coefficients (Yuan and Lin, 2006)."""

    alpha: float
    size: int
    is_convex = True

    def evaluate(self, w):
        total = 0.0
        for first in range(0, w.size, self.size):
            total += self._norm(w, first)
        return self.alpha * total

    def prox_into(self, v, step, out):
        for first in range(0, v.size, self.size):
            norm = self._norm(v, first)
            shrink = max(1.0 - step * self.alpha / norm, 0.0) if norm > 0.0 else 0.0
            for j in range(first, first + self.size):
                out[j] = shrink * v[j]

    def _norm(self, v, first):
        squares = 0.0
        for j in range(first, first + self.size):
            squares += v[j] * v[j]
        return math.sqrt(squares)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_a_group_lasso_is_a_class_of_its_own(storage):
    loss = so.LeastSquares(storage(X), Y, intercept=True)
    solution = so.solve(so.Problem(loss, GroupLasso(0.2, 3)), tol=1e-9)
    w, b = cp.Variable(12), cp.Variable()
    groups = sum(cp.norm(w[first : first + 3]) for first in range(0, 12, 3))
    oracle = cp.Problem(cp.Minimize(cp.sum_squares(X @ w + b - Y) / 100 + 0.2 * groups))
    oracle.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective == pytest.approx(oracle.value, rel=1e-8)
    assert solution.certificate.stationarity <= 1e-8
    assert solution.certificate.lower_bound == -np.inf


def test_what_moves_one_coordinate_at_a_time_refuses_it_in_words():
    with pytest.raises(so.UnsupportedProblem, match="ties coordinates together"):
        so.solve(so.Problem(so.LeastSquares(X, Y), GroupLasso(0.2, 3)), so.CoordinateDescent())


def test_a_run_that_diverges_returns_its_start_and_says_so():
    solution = so.solve(so.Problem(so.LeastSquares(X, Y), so.L1(0.1)), so.ProximalGradient(step_length=100.0))
    assert solution.status is so.Status.DIVERGED
    assert not np.any(solution.w)
