"""Pulls from a sketch of X: how far they may be off is known, and bounds allow for it."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.losses import first_look
from sparseopt.solvers.subsets import gram_models
from sparseopt.solvers.subsets.gram_models import WideGram
from sparseopt.solvers.subsets.pull_sketch import PullSketch
from sparseopt.solvers.trees.pull_views import WideView


@pytest.fixture(autouse=True)
def sketches_of_all(monkeypatch):
    """X may be as little as it likes, and G is not formed at once."""
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 0)
    monkeypatch.setattr(gram_models, "FEW", 0)


def drawn(kind, n=60, p=90, seed=0):
    """Columns that rounding to 16 bits treats in its own ways."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p))
    if kind == "spikes":
        X[:, 5:] *= random.random((n, p - 5)) < 0.1
    elif kind == "constant":
        # all roundings of a sum go the same way
        X[:, 5:] = 0.1
        X[0, 5:] = 3.0
    elif kind == "scales":
        X *= 10.0 ** random.uniform(-6, 0, p)
    elif kind == "shifted":
        X += 3.0
    elif kind == "flat":
        X[:, 6::7] = 0.0
    return X, X[:, :3].sum(axis=1) + random.standard_normal(n)


KINDS = ["normal", "spikes", "constant", "scales", "shifted", "flat"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_pull_is_more_wrong_than_it_is_said_to_be(kind, intercept, weighted):
    X, y = drawn(kind)
    weights = np.random.default_rng(1).uniform(0.1, 3.0, len(y)) if weighted else None
    model = WideGram(so.LeastSquares(X, y, weights, intercept=intercept))
    random = np.random.default_rng(2)
    ones = np.ones(len(y))
    for rest in (random.standard_normal(len(y)), ones, 1e-150 * ones, 1e6 * ones, np.eye(len(y))[3], 0.0 * ones):
        pulls, distance = model.rough_pulls(rest)
        exact = model.pulls(rest)
        assert np.all(np.abs(pulls - exact) <= distance * model.sizes)
        assert distance <= 1e-2 * np.linalg.norm(rest)


def test_only_dense_matrices_in_float64_have_one():
    X, y = drawn("normal")
    losses = [so.LeastSquares(X.astype(np.float32), y.astype(np.float32)), so.LeastSquares(sparse.csc_array(X), y)]
    models = [WideGram(loss) for loss in losses]
    for model in models:
        pulls, distance = model.rough_pulls(y)
        assert distance == 0.0
        assert np.array_equal(pulls, model.pulls(y))


@pytest.mark.parametrize("tol", [1e-2, 1e-9])
@pytest.mark.parametrize("kind", ["normal", "spikes", "shifted", "flat"])
def test_the_answer_is_that_of_exact_pulls(kind, tol, monkeypatch):
    X, y = drawn(kind)
    problem = so.Problem(so.LeastSquares(X, y, intercept=True), so.Ridged(so.Zero(), 0.1), so.Cardinality(3))
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=tol)
    monkeypatch.setattr(PullSketch, "of", lambda *_: None)
    known = so.solve(problem, so.BranchAndBound(), tol=tol)
    assert found.status is known.status is so.Status.CONVERGED
    assert np.array_equal(found.support, known.support)
    found.certificate.verify(problem)


@pytest.mark.parametrize("error", [1e-3, 0.03])
def test_bounds_hold_whatever_the_error_of_a_sketch(error, monkeypatch):
    """An error as large as it may be at all, put into the pulls: what is proven is still proven."""
    X, y = drawn("normal", n=40, p=60)
    problem = so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.2), so.Cardinality(3))
    known = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    pulls, calls = PullSketch.pulls, []

    def spoiled(self, u):
        found, distance = pulls(self, u)
        calls.append(u)
        noise = np.random.default_rng(len(calls)).choice([-1.0, 1.0], found.size)
        return found + error * noise * np.sqrt(np.mean(X * X, axis=0)), distance + error

    monkeypatch.setattr(PullSketch, "pulls", spoiled)
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6, max_iter=300)
    assert calls
    assert found.certificate.lower_bound <= known.certificate.objective * (1.0 + 1e-12)
    assert found.certificate.objective >= known.certificate.lower_bound * (1.0 - 1e-12)
    found.certificate.verify(problem)


@pytest.mark.parametrize("is_sketched", [True, False])
def test_the_first_look_refers_to_nothing_before_it(is_sketched, monkeypatch):
    """Also where most features are members from the start."""
    if not is_sketched:
        monkeypatch.setattr(PullSketch, "of", lambda *_: None)
    made = WideView._prepare

    def poisoned(self, p):
        made(self, p)
        self.reference[:], self.found[:] = np.nan, -(2**40)

    monkeypatch.setattr(WideView, "_prepare", poisoned)
    X, y = drawn("normal", n=20, p=24)
    chosen = so.Intersection(so.Cardinality(23), so.Required(range(22)))
    problem = so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.1), chosen)
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-9)
    assert found.status is so.Status.CONVERGED
    found.certificate.verify(problem)
