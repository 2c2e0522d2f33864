"""Paths in batches: the same solutions as one at a time, each with a certificate of its own."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.paths import batched_path

RNG = np.random.default_rng(7)
X = RNG.standard_normal((60, 150))
Y = X[:, :6] @ RNG.standard_normal(6) + 0.3 * RNG.standard_normal(60)
WEIGHTS = RNG.uniform(0.0, 2.0, 150)
WEIGHTS[3] = 0.0
PENALTIES = {
    "lasso": so.L1,
    "elastic net": lambda alpha: so.Ridged(so.L1(alpha), 0.3),
    "adaptive": lambda alpha: so.Weighted(so.L1(alpha), WEIGHTS),
    "nonnegative": lambda alpha: so.Nonnegative(so.L1(alpha)),
}
# named, so that little data goes in batches as well
WORKING = so.WorkingSet()
STORAGES = {
    "dense": np.asfortranarray(X),
    "csc": sparse.csc_array(np.where(np.abs(X) > 1.2, X, 0.0)),
    "float32": X.astype(np.float32),
}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_path_in_batches_is_the_path_one_by_one(penalty, storage, intercept):
    tol = 1e-5 if storage == "float32" else 1e-8
    loss = so.LeastSquares(STORAGES[storage], Y, RNG.uniform(0.5, 1.5, Y.size), intercept=intercept)
    terms = [PENALTIES[penalty](alpha) for alpha in so.alpha_grid(loss, 12, 0.05)]
    assert batched_path.takes(so.Problem(loss), terms, WORKING)
    found = so.path(so.Problem(loss), terms, WORKING, tol=tol)
    assert len(found) == len(terms)
    for term, solution in zip(terms, found, strict=True):
        problem = so.Problem(loss, term)
        solution.certificate.verify(problem)
        alone = so.solve(problem, so.CoordinateDescent(), tol=tol)
        # both objectives are within their gaps of the same minimum
        slack = (solution.certificate.gap + alone.certificate.gap) + 1e-12
        assert abs(solution.certificate.objective - alone.certificate.objective) <= slack
        assert solution.certificate.relative_gap <= tol


def test_a_box_holds_along_the_path():
    loss = so.LeastSquares(X, Y)
    box = so.Box(-0.2, 0.4)
    found = so.path(so.Problem(loss, constraint=box), [so.L1(a) for a in so.alpha_grid(loss, 10)], tol=1e-8)
    assert found.largest_gap <= 1e-8
    assert np.all((found.w >= -0.2) & (found.w <= 0.4))


def test_a_point_that_resists_is_left_to_solve(monkeypatch):
    """With no tries allowed, every second point goes through `solve`; nothing else changes."""
    loss = so.LeastSquares(X, Y)
    terms = [so.L1(a) for a in so.alpha_grid(loss, 8)]
    expected = so.path(so.Problem(loss), terms, WORKING, tol=1e-10)
    monkeypatch.setattr(batched_path, "_TRIES", -1)
    found = so.path(so.Problem(loss), terms, WORKING, tol=1e-10)
    np.testing.assert_allclose(found.w, expected.w, atol=1e-5)
    assert found.largest_gap <= 1e-10


def test_the_deviance_explained_grows_and_ends_the_path():
    loss = so.LeastSquares(X, Y, intercept=True)
    terms = [so.L1(a) for a in so.alpha_grid(loss, 20)]
    whole = so.path(so.Problem(loss), terms, WORKING)
    assert whole.explained[0] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(whole.explained) > -1e-9)
    short = so.path(so.Problem(loss), terms, WORKING, explained=0.5)
    assert short.explained[-1] >= 0.5
    assert short.explained[-2] < 0.5


def test_a_callback_sees_each_solution_and_may_end_the_path():
    loss = so.LeastSquares(X, Y)
    seen = []

    def stop(position, solution):
        seen.append((position, solution.support.size))
        return position == 4

    found = so.path(so.Problem(loss), [so.L1(a) for a in so.alpha_grid(loss, 9)], WORKING, callback=stop)
    assert len(found) == 5
    assert [position for position, _ in seen] == [0, 1, 2, 3, 4]


def test_nothing_lent_is_changed():
    data, target = X.copy(), Y.copy()
    so.path(so.Problem(so.LeastSquares(data, target)), [so.L1(0.5), so.L1(0.1)])
    np.testing.assert_array_equal(data, X)
    np.testing.assert_array_equal(target, Y)


def test_alpha_max_of_groups_and_of_whole_vectors_leaves_nothing():
    loss = so.LeastSquares(X, Y)
    for penalty in (so.GroupLasso(1.0, 5), so.SLOPE(np.linspace(2.0, 1.0, 150))):
        largest = so.alpha_max(loss, penalty)
        assert penalty.convex_form(150).largest_scale(-loss.gradient(np.zeros(150)) / largest) >= 1.0 - 1e-9
        assert penalty.convex_form(150).largest_scale(-1.01 * loss.gradient(np.zeros(150)) / largest) < 1.0


def test_a_path_whose_columns_cost_more_than_their_gram_matrix_goes_on_with_that():
    rng = np.random.default_rng(5)
    tall = sparse.random_array((6000, 150), density=0.1, rng=rng, format="csc")
    loss = so.LeastSquares(tall, tall @ rng.standard_normal(150) + rng.standard_normal(6000))
    found = so.path(so.Problem(loss), [so.L1(a) for a in so.alpha_grid(loss, 40, 1e-3)], WORKING, tol=1e-8)
    assert found[0].account.startswith("residuals")
    assert found[-1].account.startswith("Gram matrix")
    assert found.largest_gap <= 1e-8
    found[-1].certificate.verify(so.Problem(loss, found.terms[-1]))
