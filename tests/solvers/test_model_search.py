"""Local search under losses on samples: its formulas, its refits, and data without a minimiser."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.subsets.model_search import ModelSearch
from sparseopt.solvers.subsets.sample_fit import fit_support
from sparseopt.solvers.subsets.sample_view import SampleView
from sparseopt.subsets import SubsetProblem


def drawn(seed, n=60, p=12):
    """Logistic data with correlated columns."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + 0.7 * random.standard_normal((n, 1))
    z = X[:, 0] - X[:, 1] + 0.5 * X[:, 2]
    return so.Logistic(X, np.where(random.random(n) < 1.0 / (1.0 + np.exp(-z)), 1.0, -1.0), intercept=True)


def test_exchanges_are_exact_where_the_loss_is_its_model():
    """Huber's loss with a large delta is least squares: what the model promises, the refit keeps."""
    random = np.random.default_rng(0)
    X, y = random.standard_normal((40, 8)), random.standard_normal(40)
    loss = so.Huber(X, y, delta=1e3, intercept=True)
    search = ModelSearch(loss, SubsetProblem(8, 3, ridge=0.1))
    search.begin_at(np.array([1, 4, 6]))
    model, before = search.model(), search.fit.objective
    moves = [move for move in search._moves(model) if move[2] >= 0]
    assert moves
    for change, i, j in moves:
        after = search._exchanged(i, j, model).objective
        assert after - before == pytest.approx(change, abs=1e-12)


@pytest.mark.parametrize("bounds", [None, (-0.3, 0.6)])
@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_a_refit_is_stationary(bounds, l1):
    loss, support = drawn(1), np.array([0, 1, 2, 5])
    lower, upper = (None, None) if bounds is None else (np.full(12, bounds[0]), np.full(12, bounds[1]))
    subset = SubsetProblem(12, 4, ridge=0.01, l1=l1, lower=lower, upper=upper)
    fit = fit_support(SampleView(loss), subset, support, np.zeros(4), 0.0)
    penalty = so.Ridged(so.L1(l1) if l1 else so.Zero(), 0.01)
    part = so.Problem(loss.restrict(support), penalty, None if bounds is None else so.Box(*bounds))
    best = so.solve(part, tol=1e-12)
    assert fit.objective == pytest.approx(best.certificate.objective, rel=1e-11)
    assert np.allclose(fit.x, best.w, atol=1e-6)


def test_kicks_find_the_best_subset():
    for seed in range(4):
        problem = so.Problem(drawn(seed), so.Ridged(so.Zero(), 0.01), so.Cardinality(4))
        proven = so.solve(problem, so.BranchAndBound(), tol=1e-7)
        ours = so.solve(problem, so.LocalSearch(kicks=10, seed=0))
        assert ours.certificate.objective == pytest.approx(proven.certificate.objective, rel=2e-7)


def test_a_search_begins_where_it_is_told_and_is_never_worse():
    problem = so.Problem(drawn(5), so.Ridged(so.L0(0.01), 0.01))
    w0 = np.zeros(12)
    w0[[7, 9]] = 1.0
    assert so.solve(problem, so.LocalSearch(), w0).certificate.objective <= problem.objective(np.zeros(12))


def test_separated_samples_are_called_so():
    random = np.random.default_rng(0)
    X = random.standard_normal((20, 5))
    problem = so.Problem(so.Logistic(X, np.sign(X[:, 3])), so.Zero(), so.Cardinality(1))
    found = so.solve(problem, so.LocalSearch())
    assert found.status is so.Status.STALLED
    assert "add a ridge" in found.account
    assert np.all(np.isfinite(found.w))


def test_hierarchies_are_proven_and_not_searched():
    hierarchy = so.Intersection(so.Cardinality(2), so.StrongHierarchy({1: [0]}))
    problem = so.Problem(drawn(0), so.Ridged(so.Zero(), 0.1), hierarchy)
    with pytest.raises(so.UnsupportedProblem, match="single features"):
        so.solve(problem, so.LocalSearch())
    assert so.solve(problem, so.BranchAndBound()).status is so.Status.CONVERGED


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_a_search_that_begins_at_a_relaxation_ends_where_no_exchange_gains(ridge):
    """And at no higher an objective than where it had begun to grow."""
    random = np.random.default_rng(4)
    X = random.standard_normal((250, 400)) + 0.7 * random.standard_normal((250, 1))
    z = 2.0 * X[:, :4].sum(axis=1)
    loss = so.Logistic(X, np.where(random.random(250) < 1.0 / (1.0 + np.exp(-z)), 1.0, -1.0), intercept=True)
    search = ModelSearch(loss, SubsetProblem(400, 4, ridge=ridge))
    grown = search.best
    for _ in search.run():
        grown = search.best
    solution = so.solve(so.Problem(loss, so.Ridged(so.Zero(), ridge) if ridge else so.Zero(), so.Cardinality(4)))
    assert solution.status is so.Status.CONVERGED
    assert solution.support.size == 4
    assert solution.certificate.objective <= grown.objective * (1 + 1e-9)
