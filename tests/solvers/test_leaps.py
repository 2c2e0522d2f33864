"""Supports that are gone through with leaps, against all supports one after another."""

from itertools import combinations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.trees import leaps


def drawn(seed, n=40, p=11, common=3.0):
    """Features that have much in common, so that no relaxation is near."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + common * random.standard_normal((n, 1))
    return X, X[:, ::2].sum(axis=1) * 0.1 + random.standard_normal(n)


def least(X, y, k, ridge=0.0, required=()):
    """The least objective, by the definition."""
    n, p = X.shape
    values = []
    for chosen in combinations(range(p), k):
        if set(required) <= set(chosen):
            A = X[:, chosen]
            w = np.linalg.solve(A.T @ A / n + ridge * np.eye(k), A.T @ y / n)
            rest = y - A @ w
            values.append(rest @ rest / (2 * n) + ridge * (w @ w) / 2)
    return min(values)


@pytest.fixture
def at_once(monkeypatch):
    """Nodes are gone through from the root on."""
    monkeypatch.setattr(leaps, "_START", {False: (0, 1 << 30), True: (0, 1 << 30)})


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_the_root_alone_finds_and_proves_the_best_support(k, ridge, at_once):
    X, y = drawn(k)
    problem = so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), ridge), so.Cardinality(k))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    optimum = least(X, y, k, ridge)
    assert solution.status is so.Status.CONVERGED
    assert solution.iterations == 1
    assert solution.certificate.lower_bound <= optimum * (1 + 1e-12)
    assert solution.certificate.objective == pytest.approx(optimum, rel=1e-9)


def test_required_features_are_in_and_few_choices_are_interrupted(at_once, monkeypatch):
    """A chunk of one entry stops the kernel after each move: what was begun is gone on with."""
    monkeypatch.setattr(leaps, "_CHUNK", 1)
    X, y = drawn(7)
    chosen = so.Intersection(so.Cardinality(5), so.Required((4, 9)), so.Forbidden((0,)))
    problem = so.Problem(so.LeastSquares(X, y), so.Zero(), chosen)
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    assert {4, 9} <= set(solution.support)
    others = np.delete(X, 0, axis=1)
    assert solution.certificate.objective == pytest.approx(least(others, y, 5, required=(3, 8)), rel=1e-9)
    assert solution.status is so.Status.CONVERGED


def test_a_poor_start_is_improved_by_the_supports_that_are_found(at_once, monkeypatch):
    """Without a search first, the supports that beat the start come from the kernel, one after another."""
    X, y = drawn(9)
    nothing = y @ y / 80, np.zeros(11)
    monkeypatch.setattr("sparseopt.solvers.branch_and_bound.best_on_support", lambda *_: nothing)
    problem = so.Problem(so.LeastSquares(X, y), so.Zero(), so.Cardinality(4))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    assert solution.certificate.objective == pytest.approx(least(X, y, 4), rel=1e-9)


def test_a_quadratic_without_data_is_gone_through(at_once):
    X, y = drawn(3)
    problem = so.Problem(so.Quadratic(X.T @ X / 40, -X.T @ y / 40), so.Zero(), so.Cardinality(4))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    assert solution.certificate.objective == pytest.approx(least(X, y, 4) - y @ y / 80, rel=1e-9)
    assert solution.status is so.Status.CONVERGED


def test_scratch_holds_nothing_that_is_read(at_once, monkeypatch):
    monkeypatch.setattr(
        leaps.np, "empty", lambda shape, dtype=float: np.full(shape, np.nan if dtype is float else -(2**40))
    )
    X, y = drawn(5)
    problem = so.Problem(so.LeastSquares(X, y), so.Zero(), so.Cardinality(5))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    assert solution.certificate.objective == pytest.approx(least(X, y, 5), rel=1e-9)


def test_nodes_that_take_too_much_are_branched_on(monkeypatch):
    """A budget that allows the smallest nodes only leaves the others to the relaxation, with the same answer."""
    monkeypatch.setattr(leaps, "_START", {False: (0, 1 << 13), True: (0, 1 << 13)})
    monkeypatch.setattr(leaps, "_LEAST", 1)
    monkeypatch.setattr(leaps, "_EACH", 1 << 10)
    X, y = drawn(11, p=16)
    problem = so.Problem(so.LeastSquares(X, y), so.Zero(), so.Cardinality(5))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    assert solution.iterations > 1
    assert solution.certificate.objective == pytest.approx(least(X, y, 5), rel=1e-9)
    assert solution.certificate.lower_bound <= least(X, y, 5) * (1 + 1e-12)


def test_all_pairs_of_the_diabetes_data_are_chosen_from_with_proof():
    """64 columns that are nearly dependent, eight of them, without a ridge: furnished by scikit-learn, finished in a moment."""
    datasets = pytest.importorskip("sklearn.datasets")
    raw, y = datasets.load_diabetes(return_X_y=True)
    products = [raw[:, i] * raw[:, j] for i in range(10) for j in range(i, 10) if (i, j) != (1, 1)]
    X = np.column_stack([raw, *products])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    problem = so.Problem(so.LeastSquares(X, y - y.mean()), so.Zero(), so.Cardinality(8))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-6)
    assert solution.status is so.Status.CONVERGED
