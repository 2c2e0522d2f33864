"""The first cases of ``python -m benchmarks.soundness``, which runs ten thousand."""

from dataclasses import replace

import numpy as np
import pytest
from small_subsets import problem_of
from soundness import judge, refits_of

import sparseopt as so
from sparseopt.losses import first_look
from sparseopt.solvers.subsets import gram_models


@pytest.mark.parametrize("seed", range(40))
def test_no_certificate_is_wrong(seed):
    _, problem = problem_of(seed)
    found = refits_of(problem)
    for solver in (so.LocalSearch(), so.BranchAndBound(keep_proof=True)):
        assert judge(problem, found, solver).faults == []


def test_a_constant_column_gains_nothing_where_all_targets_are_zero():
    """Slopes come from what bounds keep away from zero there, and its own is rounding of these."""
    _, problem = problem_of(2_100_494)
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    solution.certificate.verify(problem)


def test_a_price_far_above_the_objective_leaves_room_for_the_rounding_of_gains():
    """A gain that exceeds the price by 3e-13 is a difference of numbers of 1e-4."""
    _, problem = problem_of(2_701_021)
    so.solve(problem, so.BranchAndBound(keep_proof=True)).certificate.verify(problem)


def test_pulls_of_a_wide_x_in_float32_are_float64(monkeypatch):
    """Means taken off entries in float32 left slopes of 2e-13, which bounds count in full where there is no ridge."""
    monkeypatch.setattr(gram_models, "FEW", 0)
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 0)
    _, problem = problem_of(13_300_511)
    so.solve(problem, so.BranchAndBound(keep_proof=True)).certificate.verify(problem)


def test_a_refit_may_begin_where_exponentials_are_zero():
    """At fitted values of -8900 a Poisson loss has no curvature in these numbers."""
    _, problem = problem_of(15_002_442)
    found = refits_of(problem)
    assert judge(problem, found, so.BranchAndBound()).faults == []


def test_a_certificate_that_is_wrong_is_found():
    """The judge is judged, by an optimum that is a little higher or lower than it is."""
    X = np.random.default_rng(0).standard_normal((9, 4))
    problem = so.Problem(so.LeastSquares(X, X[:, 0] + 0.3), so.Ridged(so.Zero(), 0.1), so.Cardinality(2))
    found = refits_of(problem)
    for solver in (so.LocalSearch(), so.BranchAndBound(keep_proof=True)):
        assert judge(problem, found, solver).faults == []
        higher, lower = (replace(found, values=factor * found.values) for factor in (1.01, 0.99))
        assert "below the optimum" in judge(problem, higher, solver).faults[0]
        assert bool(judge(problem, lower, solver).faults) == isinstance(solver, so.BranchAndBound)


def test_kicks_end_where_what_enters_is_held_at_zero():
    for seed in (71624, 71625):
        _, problem = problem_of(seed)
        found = so.solve(problem, so.LocalSearch(kicks=20), time_limit=20.0)
        assert found.status is so.Status.CONVERGED
