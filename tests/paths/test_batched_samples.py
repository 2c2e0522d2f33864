"""Paths of losses on samples in batches: the same solutions as one at a time, each with a certificate of its own."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.paths import batched_samples
from sparseopt.solvers.working.followed_samples import FollowedSamples

RNG = np.random.default_rng(5)
N, P = 60, 90
X = RNG.standard_normal((N, P))
X[:, 0] += 4.0  # a mean, which an intercept takes off
SIGNAL = X[:, 1:5] @ [1.0, -1.0, 0.7, 0.5]
THIN = sparse.csc_array(np.where(np.abs(X) > 1.0, X, 0.0))
WEIGHTS, OFFSETS, FACTORS = RNG.uniform(0.5, 1.5, N), 0.3 * RNG.standard_normal(N), RNG.uniform(0.5, 2.0, P)
WEIGHTS[7] = 0.0
LABELS = np.where(SIGNAL + RNG.standard_normal(N) > 0.0, 1.0, -1.0)
NOISY = SIGNAL + RNG.standard_normal(N)
COUNTS = RNG.poisson(np.exp(0.5 * SIGNAL)).astype(np.float64)
LOSSES = {
    "logistic": (so.Logistic, LABELS),
    "poisson": (so.Poisson, COUNTS),
    "gamma": (so.Gamma, np.exp(0.5 * NOISY)),
}
PENALTIES = {
    "lasso": so.L1,
    "elastic net": lambda alpha: so.Ridged(so.L1(alpha), 0.1),
    "adaptive": lambda alpha: so.Weighted(so.L1(alpha), FACTORS),
    "nonnegative": lambda alpha: so.Nonnegative(so.L1(alpha)),
}
# named, so that little data goes in batches as well
NEWTON = so.ProxNewton()
STORAGES = {"dense": np.asfortranarray(X), "csc": THIN}


def assert_is_the_path(problem, terms, tol):
    """Each point is within its tolerance, by a certificate that holds, and as low as the solution of its own problem."""
    assert batched_samples.takes(problem, terms, NEWTON)
    found = so.path(problem, terms, NEWTON, tol=tol)
    assert len(found) == len(terms)
    for term, solution in zip(terms, found, strict=True):
        here = so.Problem(problem.loss, term, problem.constraint)
        assert solution.certificate.relative_gap <= tol
        solution.certificate.verify(here)
        again = so.certify(here, solution.w)
        assert solution.certificate.objective == pytest.approx(again.objective, rel=1e-12, abs=1e-14)
        alone = so.solve(here, tol=tol)
        # both objectives are within their gaps of the same minimum
        slack = solution.certificate.gap + alone.certificate.gap + 1e-12
        assert abs(solution.certificate.objective - alone.certificate.objective) <= slack
        assert solution.intercept == pytest.approx(problem.loss.intercept_at(solution.w.astype(np.float64)), abs=1e-7)
    return found


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_path_in_batches_is_the_path_one_by_one(loss, storage, intercept):
    kind, y = LOSSES[loss]
    weighted = kind(STORAGES[storage], y, WEIGHTS, intercept=intercept, offset=OFFSETS)
    terms = [so.L1(alpha) for alpha in so.alpha_grid(weighted, 12, 0.1)]
    assert_is_the_path(so.Problem(weighted), terms, 1e-7)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_stays_float32(loss, storage):
    kind, y = LOSSES[loss]
    single = kind(STORAGES[storage].astype(np.float32), y, WEIGHTS, intercept=True)
    found = assert_is_the_path(so.Problem(single), [so.L1(a) for a in so.alpha_grid(single, 10, 0.1)], 1e-4)
    assert found.w.dtype == np.float32


@pytest.mark.parametrize("storage", ["dense", "csc"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_on_single_coefficients_are_followed(penalty, storage):
    loss = so.Logistic(STORAGES[storage], LABELS, intercept=True)
    terms = [PENALTIES[penalty](alpha) for alpha in so.alpha_grid(loss, 12, 0.1)]
    assert_is_the_path(so.Problem(loss), terms, 1e-8)


def test_a_box_holds_along_the_path():
    loss = so.Logistic(X, LABELS)
    terms = [so.L1(alpha) for alpha in so.alpha_grid(loss, 10)]
    found = assert_is_the_path(so.Problem(loss, constraint=so.Box(-0.2, 0.4)), terms, 1e-7)
    assert np.all((found.w >= -0.2) & (found.w <= 0.4))


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-9])
def test_dense_and_sparse_storage_give_the_same_path(tol):
    terms = [so.L1(alpha) for alpha in so.alpha_grid(so.Logistic(THIN, LABELS), 20, 0.05)]
    thin, full = (
        so.path(so.Problem(so.Logistic(data, LABELS)), terms, NEWTON, tol=tol) for data in (THIN, THIN.toarray())
    )
    for a, b in zip(thin, full, strict=True):
        slack = a.certificate.gap + b.certificate.gap + 1e-13
        assert abs(a.certificate.objective - b.certificate.objective) <= slack
    assert max(thin.largest_gap, full.largest_gap) <= tol


def test_a_point_that_resists_is_left_to_solve(monkeypatch):
    """With no tries allowed, all points go through `solve`; nothing else changes."""
    loss = so.Logistic(X, LABELS, intercept=True)
    terms = [so.L1(a) for a in so.alpha_grid(loss, 8, 0.1)]
    expected = so.path(so.Problem(loss), terms, NEWTON, tol=1e-10)
    monkeypatch.setattr(batched_samples, "_TRIES", -1)
    found = so.path(so.Problem(loss), terms, NEWTON, tol=1e-10)
    np.testing.assert_allclose(found.w, expected.w, atol=1e-4)
    assert found.largest_gap <= 1e-10


def test_a_point_whose_fitted_values_are_no_numbers_is_left_to_solve(monkeypatch):
    """Where steps run away, coefficients of zero may remain that are optimal; their intercept is a number all the same."""
    loss = so.Poisson(X, COUNTS, intercept=True)
    monkeypatch.setattr(FollowedSamples, "level", property(lambda followed: np.nan))
    found = assert_is_the_path(so.Problem(loss), [so.L1(a) for a in so.alpha_grid(loss, 6, 0.5)], 1e-6)
    assert np.all(np.isfinite(found.intercepts))


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_coefficients_that_are_no_numbers_are_left_to_solve(monkeypatch, beyond):
    """Steps that run away end in a solution that was found elsewhere, not in an error."""
    minimise = FollowedSamples.minimise

    def run_away(followed, *arguments):
        minimise(followed, *arguments)
        followed.w[:1] = beyond

    monkeypatch.setattr(FollowedSamples, "minimise", run_away)
    for intercept in (False, True):
        loss = so.Logistic(THIN, LABELS, intercept=intercept)
        assert_is_the_path(so.Problem(loss), [so.L1(a) for a in so.alpha_grid(loss, 6, 0.5)], 1e-6)


def test_strengths_may_stay_and_rise():
    loss = so.Logistic(THIN, LABELS)
    largest = so.alpha_max(loss)
    terms = [so.L1(part * largest) for part in (0.5, 0.5, 0.2, 0.3, 0.3, 0.1, 1.5, 0.1)]
    assert_is_the_path(so.Problem(loss), terms, 1e-7)


def test_columns_of_zeros_constants_and_copies_are_followed():
    odd = np.column_stack([X[:, :20], np.zeros(N), np.full(N, 1e3), X[:, :5], X[:, 1] * 1e-8])
    for data in (odd, sparse.csc_array(odd)):
        loss = so.Logistic(data, LABELS, intercept=True)
        terms = [so.L1(alpha) for alpha in so.alpha_grid(so.Logistic(X[:, :20], LABELS, intercept=True), 10, 0.1)]
        assert_is_the_path(so.Problem(loss), terms, 1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_large_constants_in_single_precision_have_the_slopes_of_the_data(loss):
    """An intercept that is settled to single precision leaves a slope in a column of thousands that is not rounding."""
    kind, y = LOSSES[loss]
    odd = np.column_stack([X[:, :20], np.full(N, 1e3)]).astype(np.float32)
    single = kind(odd, y, WEIGHTS, intercept=True)
    terms = [so.L1(alpha) for alpha in so.alpha_grid(kind(X[:, :20], y, WEIGHTS, intercept=True), 20, 0.1)]
    for term, solution in zip(terms, so.path(so.Problem(single), terms, tol=1e-3), strict=True):
        solution.certificate.verify(so.Problem(single, term))


def test_a_path_ends_at_its_time_limit_and_where_enough_is_explained():
    problem = so.Problem(so.Logistic(X, LABELS))
    terms = [so.L1(alpha) for alpha in so.alpha_grid(problem.loss, 30, 0.01)]
    assert len(so.path(problem, terms, NEWTON, time_limit=0.0)) < len(terms)
    short = so.path(problem, terms, NEWTON, explained=0.3)
    assert short.explained[-1] >= 0.3 > short.explained[-2]


def test_what_has_no_conjugate_or_another_solver_goes_one_by_one():
    loss = so.Logistic(X, LABELS)
    terms = [so.L1(0.1)]
    assert batched_samples.takes(so.Problem(loss), terms, so.ProxNewton())
    assert not batched_samples.takes(so.Problem(loss), terms, so.CoordinateDescent())
    assert not batched_samples.takes(so.Problem(loss), [so.MCP(0.1)], None)
    assert not batched_samples.takes(so.Problem(loss), [so.Cardinality(3)], None)
    # least squares have batches of their own, and curvatures that jump need a line search
    for other in (so.LeastSquares(X, NOISY), so.Huber(X, NOISY), so.SquaredHinge(X, LABELS), so.Quantile(X, NOISY)):
        assert not batched_samples.takes(so.Problem(other), terms, None)


def test_nothing_lent_is_changed():
    data, labels = X.copy(), LABELS.copy()
    so.path(so.Problem(so.Logistic(data, labels)), [so.L1(0.1), so.L1(0.05)])
    np.testing.assert_array_equal(data, X)
    np.testing.assert_array_equal(labels, LABELS)


def test_a_point_far_away_is_left_to_solve():
    """From zero to a weak penalty nearly all features would enter at once; `solve` lets the strength come down."""
    problem = so.Problem(so.Logistic(X, LABELS))
    largest = so.alpha_max(problem.loss)
    found = assert_is_the_path(problem, [so.L1(part * largest) for part in (0.05, 0.04, 0.035)], 1e-7)
    assert [solution.account.startswith("columns") for solution in found] == [False, True, True]


def test_coefficients_without_a_price_are_followed():
    factors = FACTORS.copy()
    factors[[2, 9]] = 0.0
    loss = so.Logistic(X, LABELS, intercept=True)
    terms = [so.Weighted(so.L1(alpha), factors) for alpha in so.alpha_grid(loss, 8, 0.2)]
    assert_is_the_path(so.Problem(loss), terms, 1e-6)
