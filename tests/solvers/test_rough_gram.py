"""The Gram matrix in float32: how wrong it may be is known, and bounds allow for it."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.subsets import gram_models
from sparseopt.solvers.subsets.gram_models import RoughGram, WideGram
from sparseopt.solvers.trees.quadratic_relaxation import QuadraticRelaxation
from sparseopt.subsets import SubsetProblem

RIDGE = so.Ridged(so.Zero(), 0.02)


def drawn(kind, n=120, p=250, seed=0):
    """Columns of which sums of products round in their own ways."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p))
    if kind == "constant":
        # all roundings of a sum go the same way
        X = np.full((n, p), 0.1) + np.where(random.random((n, p)) < 0.01, 1e-3, 0.0)
    elif kind == "scales":
        X *= 10.0 ** random.uniform(-8, 8, p)
    elif kind == "shifted":
        X += 1e4
    elif kind == "flat":
        X[:, ::7] = 0.0
    return X, X[:, :4] @ [1.0, -1.0, 0.7, 0.5] + random.standard_normal(n)


KINDS = ["normal", "constant", "scales", "shifted", "flat"]


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_entry_is_more_wrong_than_it_is_said_to_be(kind, intercept):
    X, y = drawn(kind)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    loss = so.LeastSquares(X, y, weights, intercept=intercept)
    model = RoughGram(loss)
    columns = model.columns(np.arange(model.n_features))
    exact = columns @ columns.T
    allowed = (model.roughness + model.rounding) * np.outer(model.sizes, model.sizes)
    assert np.all(np.abs(model.gram - exact) <= allowed)
    assert np.array_equal(model.gram, model.gram.T)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_from_x_is_exact(kind, intercept):
    X, y = drawn(kind)
    loss = so.LeastSquares(X, y, intercept=intercept)
    columns = (X - X.mean(axis=0) if intercept else X) / np.sqrt(len(y))
    features, values = np.array([3, 40, 41, 200]), np.array([0.5, -1.0, 2.0, 0.1])
    target = (y - y.mean() if intercept else y) / np.sqrt(len(y))
    rest, block = target - columns[:, features] @ values, columns[:, features].T @ columns[:, features]
    for model in (RoughGram(loss), WideGram(loss)):
        length = model.rounding * (np.sqrt(2.0 * model.constant) + np.abs(values) @ model.sizes[features])
        assert np.linalg.norm(model.residual(features, values) - rest) <= length
        assert np.all(np.abs(model.block(features) - block) <= 1e-13 * np.outer(*[model.sizes[features]] * 2))


@pytest.mark.parametrize("tol", [1e-2, 1e-9])
@pytest.mark.parametrize("kind", ["normal", "flat"])
def test_the_answer_is_that_of_the_matrix_in_float64(kind, tol, monkeypatch):
    X, y = drawn(kind)
    problem = so.Problem(so.LeastSquares(X, y, intercept=True), RIDGE, so.Cardinality(4))
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=tol)
    monkeypatch.setattr(RoughGram, "suits", lambda loss: False)
    known = so.solve(problem, so.BranchAndBound(), tol=tol)
    assert found.status is known.status is so.Status.CONVERGED
    assert np.array_equal(found.support, known.support)
    assert found.certificate.relative_gap <= tol
    assert found.certificate.lower_bound <= known.certificate.objective * (1.0 + 1e-14)
    found.certificate.verify(problem)


@pytest.mark.parametrize("tol", [1e-9, 1e-10])
@pytest.mark.parametrize("allowed", [6, 12])
def test_a_node_of_one_support_is_not_left_where_rough_pulls_have_led(allowed, tol):
    """What exact pulls say of it was held against its value by rough ones, and the node was closed below its minimum."""
    X, y = drawn("normal")
    constraint = so.Intersection(so.Cardinality(4), so.Forbidden(np.arange(allowed, 250)))
    problem = so.Problem(so.LeastSquares(X, y, intercept=True), RIDGE, constraint)
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=tol)
    assert found.status is so.Status.CONVERGED
    found.certificate.verify(problem)


@pytest.mark.parametrize("roughness", [1e-3, 0.05])
def test_bounds_hold_whatever_the_error_of_the_matrix(roughness, monkeypatch):
    """An error as large as it may be at all, put into the matrix: what is proven is still proven."""
    X, y = drawn("normal", n=40, p=60)
    monkeypatch.setattr(gram_models, "LEAST", 10)
    problem = so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.2), so.Cardinality(3))
    known = so.solve(problem, so.BranchAndBound(), tol=1e-9)
    make = RoughGram.__init__

    def spoiled(self, loss):
        make(self, loss)
        noise = np.random.default_rng(2).uniform(-1.0, 1.0, self.gram.shape)
        noise = np.triu(noise) + np.triu(noise, 1).T
        self.gram += (roughness * noise * np.outer(self.sizes, self.sizes)).astype(np.float32)
        self.roughness += roughness

    monkeypatch.setattr(RoughGram, "__init__", spoiled)
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6, max_iter=300)
    assert found.certificate.lower_bound <= known.certificate.objective * (1.0 + 1e-12)
    assert found.certificate.objective >= known.certificate.lower_bound * (1.0 - 1e-12)
    found.certificate.verify(problem)


def test_it_is_for_dense_wide_matrices_in_float64():
    X, y = drawn("normal")
    assert RoughGram.suits(so.LeastSquares(X, y))
    assert RoughGram.suits(so.LeastSquares(X + 1.0, y, intercept=True))
    others = [
        so.LeastSquares(X.astype(np.float32), y.astype(np.float32)),
        so.LeastSquares(sparse.csc_array(X), y),
        so.LeastSquares(X[:, :120], y),
        so.LeastSquares(1e13 * X, y),
        so.LeastSquares(X + 5.0, y, intercept=True),
        so.LeastSquares(X * np.where(np.arange(250) == 5, 1e-14, 1.0), y),
        so.Quadratic(np.eye(250), np.ones(250)),
    ]
    assert not any(RoughGram.suits(loss) for loss in others)


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0, 3.0])
def test_the_root_knows_nothing_of_what_a_look_at_it_has_fixed(noise):
    """Pulls of features that a look fixed out are those at another point: the root has them free again."""
    X, y = drawn("normal", n=60, p=80)
    loss = so.LeastSquares(X, X[:, :3] @ [3.0, -3.0, 3.0] + noise * y)
    subset = SubsetProblem.of(so.Problem(loss, so.Ridged(so.Zero(), 0.5), so.Cardinality(3)))
    model = RoughGram(loss)
    relaxation = QuadraticRelaxation(model, subset)
    height, _ = relaxation.evaluate([0, 1, 2])
    for _ in relaxation.look(height):
        pass
    assert relaxation.view.is_narrow, "the look has fixed most features out"
    relaxation.view.begin(relaxation.first_start, relaxation.first_status())
    w = relaxation.work.w
    exact = model.linear - model.gram.astype(np.float64) @ w
    assert np.allclose(relaxation.work.pull, exact, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("seed", [104, 107, 110, 128, 142])
def test_what_is_fixed_at_the_root_is_proven_after_a_look(seed):
    """Problems of more than 200 features, of which one was fixed by a pull from another point."""
    random = np.random.default_rng(seed)
    p, n, k = (int(random.integers(*ends)) for ends in ((201, 260), (40, 400), (1, 4)))
    X = random.standard_normal((n, p)) + random.choice([0, 0.7]) * random.standard_normal((n, 1))
    y = X[:, :3] @ random.standard_normal(3) + random.choice([0.1, 0.5, 1.0]) * random.standard_normal(n)
    problem = so.Problem(
        so.LeastSquares(X, y), so.Ridged(so.Zero(), random.choice([0.01, 0.1, 0.5])), so.Cardinality(k)
    )
    so.solve(problem, so.BranchAndBound(keep_proof=True), max_iter=300).certificate.verify(problem)


def test_a_second_look_fixes_no_more_than_the_first_has_left_room_for():
    """Of this problem a node fixes its last features in by pulls that are then made anew."""
    random = np.random.default_rng(2)
    X, places = np.empty((200, 500)), np.arange(8) * 62
    X[:, 0] = random.standard_normal(200)
    for j in range(1, 500):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * random.standard_normal(200)
    variance = np.sum(0.5 ** np.abs(np.subtract.outer(places, places)))
    y = X[:, places].sum(axis=1) + np.sqrt(variance / 3.0) * random.standard_normal(200)
    X -= X.mean(axis=0)
    X /= np.sqrt(np.mean(X * X, axis=0))
    problem = so.Problem(so.LeastSquares(X, y - y.mean()), so.Ridged(so.Zero(), 0.06), so.Cardinality(8))
    assert so.solve(problem, so.BranchAndBound(), tol=1e-4).status is so.Status.CONVERGED
