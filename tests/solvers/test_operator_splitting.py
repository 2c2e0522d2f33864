"""OperatorSplitting calls solved what is solved in absolute terms."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.proofs.kkt import kkt_residuals


@pytest.mark.parametrize(("polish", "tol"), [(False, 1e-2), (True, 1e-6)])
def test_a_large_objective_excuses_no_gap(polish, tol):
    """Support vectors with a hinge loss of thousands: a gap of 1 is small beside it, and not what was asked for."""
    rng = np.random.default_rng(8)
    n, m = 4, 60
    side = np.where(np.arange(m) < m // 2, 1.0, -1.0)
    data = rng.standard_normal((m, n)) + side[:, None] / n
    P = np.diag(np.r_[np.ones(n), np.zeros(m)])
    rows = so.LinearConstraint(np.hstack([side[:, None] * data, np.eye(m)]), 1.0, np.inf)
    box = so.Box(np.r_[np.full(n, -np.inf), np.zeros(m)], np.inf)
    problem = so.Problem(so.Quadratic(P, np.r_[np.zeros(n), np.full(m, 100.0)]), constraint=so.Intersection(rows, box))
    solution = so.solve(problem, so.OperatorSplitting(polish=polish), tol=tol)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective > 1000.0
    found = kkt_residuals(problem, solution.w, solution.duals)
    rounding = 1e-12 * solution.certificate.objective
    assert max(found.violation, found.dual, found.gap) <= tol + rounding
