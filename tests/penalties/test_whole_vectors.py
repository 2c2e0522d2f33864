"""SLOPE, total variation, fused and exclusive lasso against slow twins and CVXPY, and what their constructors refuse."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(4)
N, P = 40, 12
X = RNG.standard_normal((N, P))
Y = X @ np.repeat([1.0, 0.0, -1.0, 0.0], 3) + 0.3 * RNG.standard_normal(N)
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]


def prox(term, v, step=1.0):
    w = np.empty_like(v)
    term.private(v.size).prox_into(v, step, w)
    return w


def sorted_l1(w, alphas):
    """The largest of all orders: alphas that decrease make it a maximum of linear functions."""
    return sum(
        (alphas[k] - (alphas[k + 1] if k + 1 < alphas.size else 0.0)) * cp.sum_largest(cp.abs(w), k + 1)
        for k in range(alphas.size)
    )


def exclusive(w, alpha):
    return alpha / 2 * sum(cp.square(cp.norm1(w[np.flatnonzero(np.equal(LABELS, g))])) for g in range(3))


ALPHAS = np.linspace(0.3, 0.05, P)
TERMS = {
    "SLOPE": (so.SLOPE(ALPHAS), lambda w: sorted_l1(w, ALPHAS)),
    "TotalVariation": (so.TotalVariation(0.2), lambda w: 0.2 * cp.norm1(cp.diff(w))),
    "FusedLasso": (so.FusedLasso(0.1, 0.2), lambda w: 0.1 * cp.norm1(w) + 0.2 * cp.norm1(cp.diff(w))),
    "ExclusiveLasso": (so.ExclusiveLasso(0.2, LABELS), lambda w: exclusive(w, 0.2)),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_a_regression_agrees_with_cvxpy(name, storage, intercept):
    term, expression = TERMS[name]
    solution = so.solve(so.Problem(so.LeastSquares(storage(X), Y, intercept=intercept), term), tol=1e-9)
    w, b = cp.Variable(P), cp.Variable() if intercept else 0.0
    oracle = cp.Problem(cp.Minimize(cp.sum_squares(X @ w + b - Y) / (2 * N) + expression(w)))
    oracle.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert solution.certificate.objective == pytest.approx(oracle.value, rel=1e-7)
    assert solution.certificate.lower_bound <= oracle.value * (1 + 1e-7)
    assert solution.certificate.stationarity <= 1e-3


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(
    "loss",
    [
        so.Logistic(X, Y > 0, intercept=True),
        so.Huber(X, Y, delta=0.3),
        so.LeastSquares(X, Y, sample_weight=np.arange(1.0, N + 1)),
        so.LeastSquares(X[:8], Y[:8]),
        so.Quadratic(X.T @ X / N, -X.T @ Y / N),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_other_losses_are_certified(name, loss):
    solution = so.solve(so.Problem(loss, TERMS[name][0]), tol=1e-7)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert -1e-12 <= solution.certificate.relative_gap <= 1e-7


@pytest.mark.parametrize("seed", range(5))
def test_the_prox_of_slope_is_the_best_over_all_orders(seed):
    """Slow twin: for the right order of sizes and set of ties the prox is a mean over each tie."""
    random = np.random.default_rng(seed)
    v, alphas = random.standard_normal(4), np.sort(random.uniform(0, 1, 4))[::-1]
    best = np.inf
    for cuts in itertools.product([False, True], repeat=3):
        pools = np.append(0, np.cumsum(cuts))
        order = np.argsort(-np.abs(v))
        means = np.array([np.mean((np.abs(v[order]) - alphas)[pools == g]) for g in pools])
        w = np.empty(4)
        w[order] = np.maximum(means, 0.0) * np.sign(v[order])
        best = min(best, so.SLOPE(alphas).evaluate(w) + np.sum((w - v) ** 2) / 2)
    w = prox(so.SLOPE(alphas), v)
    assert so.SLOPE(alphas).evaluate(w) + np.sum((w - v) ** 2) / 2 <= best + 1e-12


@pytest.mark.parametrize("height", [0.1, 1.0, 30.0])
def test_the_prox_of_the_total_variation_is_the_dual_projection(height):
    """Slow twin: w = v - D'u with u of least norm(v - D'u) in a box, by many projected gradient steps."""
    v = np.cumsum(RNG.standard_normal(30))
    u = np.zeros(29)
    for _ in range(20_000):
        u = np.clip(u + 0.25 * np.diff(v + np.diff(u, prepend=0.0, append=0.0)), -height, height)
    np.testing.assert_allclose(
        prox(so.TotalVariation(1.0), v, height), v + np.diff(u, prepend=0.0, append=0.0), atol=1e-6
    )


def test_a_long_smooth_signal_takes_linear_time():
    """Direct methods take quadratic time on a slope: some 10**9 operations here instead of 10**5."""
    v = np.linspace(0.0, 1.0, 4000) ** 2
    w = prox(so.TotalVariation(1.0), v)
    assert so.TotalVariation(1.0).convex_form(4000).subgradient_distance(w, w - v).max() <= 1e-10


def test_a_term_without_memory_returns_nan_rather_than_noise():
    w = np.empty(3)
    so.TotalVariation(1.0).prox_into(np.arange(3.0), 1.0, w)
    assert np.all(np.isnan(w))


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e8, 1e100])
@pytest.mark.parametrize("name", ["SLOPE", "TotalVariation", "FusedLasso"])
def test_units_are_free(name, scale):
    term, v = TERMS[name][0], RNG.standard_normal(P)
    np.testing.assert_allclose(prox(term, scale * v, scale), scale * prox(term, v), rtol=1e-12, atol=1e-15 * scale)


def test_the_usual_sequences():
    np.testing.assert_allclose(so.SLOPE.oscar(1.0, 0.5, 3).alphas, [2.0, 1.5, 1.0])
    np.testing.assert_allclose(so.SLOPE.benjamini_hochberg(2.0, 2, q=0.2).alphas, [3.2897072539, 2.5631031311])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: so.SLOPE([1.0, 2.0]), "must not increase"),
        (lambda: so.SLOPE([1.0, -1.0]), "nonnegative"),
        (lambda: so.SLOPE([np.nan, 0.0]), "finite"),
        (lambda: so.SLOPE([]), "one a coefficient"),
        (lambda: so.SLOPE.benjamini_hochberg(1.0, 3, q=1.5), "below 1"),
        (lambda: so.TotalVariation(-1.0), "at least 0"),
        (lambda: so.FusedLasso(1.0, np.nan), "finite"),
        (lambda: so.ExclusiveLasso(np.inf, 2), "finite"),
        (lambda: so.Problem(so.LeastSquares(X, Y), so.SLOPE([1.0])), "1 alphas for 12"),
        (lambda: so.Problem(so.LeastSquares(X, Y), so.ExclusiveLasso(1.0, 5)), "12"),
        (lambda: so.LogSum(1.0, 0.0), "greater than 0"),
        (lambda: so.LHalf(-1.0), "at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("v", [1.0, -1e5, 1e-9, 5.6e16])
def test_the_prox_of_an_exclusive_lasso_ends_however_long_the_step(v):
    """The threshold is the entry itself to rounding, so that it counts as above and below in turn."""
    out = np.empty(1)
    so.ExclusiveLasso(28141.5, 1).prox_into(np.array([v]), 1e12, out)
    assert abs(out[0]) <= 1e-15 * abs(v)
