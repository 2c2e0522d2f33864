"""Two trees on one problem of few features, and branching on several of them at once."""

from itertools import combinations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.branch_and_bound import BranchAndBound
from sparseopt.solvers.trees import rival_trees


def hard(seed, n=25, p=14, k=4, ridge=0.01):
    """Features that are much alike, and a target that is mostly noise."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + 1.5 * random.standard_normal((n, 1))
    y = X[:, :k].sum(axis=1) + 4.0 * random.standard_normal(n)
    return so.Problem(so.LeastSquares(X, y - y.mean()), so.Ridged(so.Zero(), ridge), so.Cardinality(k))


def least(problem, k):
    """The least objective, by all supports."""
    X, y, ridge = problem.loss.X.matrix, problem.loss.y, problem.penalty.beta
    n, best = len(y), np.inf
    for support in combinations(range(X.shape[1]), k):
        part = X[:, support]
        w = np.linalg.solve(part.T @ part / n + ridge * np.eye(k), part.T @ y / n)
        best = min(best, float(y @ y / n - w @ (part.T @ y) / n) / 2)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_both_trees_together_prove_the_best_support(seed, monkeypatch):
    monkeypatch.setattr(rival_trees, "_AHEAD", 0)
    problem = hard(seed)
    solution = so.solve(problem, BranchAndBound(), tol=1e-9)
    best = least(problem, 4)
    assert solution.certificate.objective == pytest.approx(best, rel=1e-9)
    assert solution.certificate.lower_bound <= best * (1.0 + 1e-12)
    assert solution.certificate.relative_gap <= 1e-9


def test_the_account_says_how_much_each_tree_did(monkeypatch):
    monkeypatch.setattr(rival_trees, "_AHEAD", 0)
    solution = so.solve(hard(1), BranchAndBound(), tol=1e-9)
    assert "of single features" in solution.account
    assert "of all pairs" in solution.account


def test_a_second_tree_waits_until_the_first_has_proven_hard():
    assert "of all pairs" not in so.solve(hard(0, n=200, ridge=0.5), BranchAndBound(), tol=1e-6).account


def test_work_is_counted_and_not_timed(monkeypatch):
    monkeypatch.setattr(rival_trees, "_AHEAD", 0)
    runs = [so.solve(hard(2), BranchAndBound(), tol=1e-9) for _ in range(2)]
    assert runs[0].iterations == runs[1].iterations
    np.testing.assert_array_equal(runs[0].w, runs[1].w)


@pytest.mark.parametrize("loss", [so.LeastSquares, so.Logistic])
def test_a_proof_holds_where_several_features_were_branched_on_at_once(loss):
    random = np.random.default_rng(3)
    X = random.standard_normal((50, 80))
    y = X[:, :5].sum(axis=1) + 0.5 * random.standard_normal(50)
    y = y if loss is so.LeastSquares else np.sign(y)
    problem = so.Problem(loss(X, y), so.Ridged(so.Zero(), 0.02), so.Cardinality(5))
    solution = so.solve(problem, BranchAndBound(keep_proof=True), tol=1e-6)
    tree = solution.certificate.tree
    # those in between were not visited
    assert len(tree.nodes) > solution.iterations
    assert tree.fault(problem) is None
