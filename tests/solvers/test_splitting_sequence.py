"""A sequence keeps its factor, and each of its solutions is that of a run from nothing."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.quadratic import linear_systems

RNG = np.random.default_rng(2)
P, M = 60, 12
A = sparse.csc_array(np.where(RNG.random((M, P)) < 0.2, RNG.standard_normal((M, P)), 0.0))
Q = sparse.diags_array([np.full(P - 1, -1.0), np.full(P, 2.2), np.full(P - 1, -1.0)], offsets=[-1, 0, 1]).tocsc()
SIDES = A @ RNG.standard_normal(P)


def problem(storage):
    rows = so.LinearConstraint(storage(A), np.r_[SIDES[:6], SIDES[6:] - 0.5], np.r_[SIDES[:6], SIDES[6:] + 0.5])
    return so.Problem(
        so.Quadratic(storage(Q), RNG.standard_normal(P)), so.L1(0.1), so.Intersection(rows, so.Box(-3, 3))
    )


def agrees(sequence, solution):
    oracle = so.solve(sequence.problem, so.InteriorPoint(), tol=1e-9)
    assert solution.status is oracle.status is so.Status.CONVERGED
    assert np.max(np.abs(solution.w - oracle.w)) <= 1e-5
    solution.certificate.verify(sequence.problem)


@pytest.mark.parametrize("storage", [sparse.csc_array, lambda matrix: matrix.toarray()], ids=["sparse", "dense"])
def test_each_solution_is_that_of_a_run_from_nothing(storage):
    sequence = so.SplittingSequence(problem(storage), tol=1e-7)
    agrees(sequence, sequence.solve())
    for _ in range(3):
        shift = 0.1 * RNG.standard_normal(M)
        sequence.update(c=RNG.standard_normal(P), row_lower=np.r_[SIDES[:6], SIDES[6:] - 0.5] + shift,
                        row_upper=np.r_[SIDES[:6], SIDES[6:] + 0.5] + shift)  # fmt: skip
        agrees(sequence, sequence.solve())
    sequence.update(lower=np.full(P, -1.5), penalty=so.L1(0.05))
    agrees(sequence, sequence.solve())
    # other rows are equalities: that needs another factor
    sequence.update(row_upper=np.r_[SIDES[:6] + 1.0, SIDES[6:] + 0.5])
    agrees(sequence, sequence.solve())


def test_the_same_data_again_take_no_factor_and_no_more_than_one_look(monkeypatch):
    sequence = so.SplittingSequence(problem(sparse.csc_array), so.OperatorSplitting(polish=False), tol=1e-6)
    first = sequence.solve()
    monkeypatch.setattr(linear_systems.SparseSystem, "factor", None)
    again = sequence.solve()
    assert again.iterations <= 25 < first.iterations


def test_targets_of_least_squares():
    X = RNG.standard_normal((30, P))
    rows = so.LinearConstraint(np.ones((1, P)), 0.0, 0.0)
    sequence = so.SplittingSequence(so.Problem(so.LeastSquares(X, X[:, 0]), so.L1(0.1), rows), tol=1e-7)
    agrees(sequence, sequence.solve())
    sequence.update(y=X[:, 1] - X[:, 2])
    agrees(sequence, sequence.solve())


def test_what_cannot_change_is_said():
    sequence = so.SplittingSequence(problem(sparse.csc_array))
    with pytest.raises(TypeError, match="'Q'"):
        sequence.update(Q=Q)
    with pytest.raises(ValueError, match="ridge of penalty"):
        sequence.update(penalty=so.Ridged(so.L1(0.1), 0.5))
    with pytest.raises(TypeError, match="MCP"):
        sequence.update(penalty=so.MCP(0.1))
    with pytest.raises(TypeError, match="targets"):
        sequence.update(y=np.zeros(P))
    solver = so.OperatorSplitting()
    with pytest.raises(ValueError, match="vectors may differ"):
        solver.resume(
            so.Problem(so.Quadratic(np.eye(3), np.zeros(3))), solver.init(problem(sparse.csc_array), np.zeros(P))
        )
    with pytest.raises(so.UnsupportedProblem, match="no quadratic loss"):
        so.SplittingSequence(so.Problem(so.Logistic(np.eye(4), [0, 1, 0, 1]), so.L1(0.1)))
