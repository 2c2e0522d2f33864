"""ProxNewton: the same minimum as other programs and other solvers, on easy and on extreme data."""

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, PoissonRegressor

import sparseopt as so
from sparseopt.testing import check_solver

RNG = np.random.default_rng(3)
N, P = 120, 40
X = RNG.standard_normal((N, P)) + 0.3
W = np.zeros(P)
W[[1, 8, 30]] = 1.0, -0.7, 0.4
SCORE = X @ W
LABELS = np.where(SCORE + RNG.standard_normal(N) > 0.3, 1.0, -1.0)
Y = SCORE + RNG.standard_t(2, N)
COUNTS = RNG.poisson(np.exp(np.clip(SCORE, -3.0, 3.0))).astype(float)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
OFFSET = np.sin(np.arange(N))


def losses(**options):
    return [
        so.Logistic(X, LABELS, **options),
        so.Huber(X, Y, delta=0.5, **options),
        so.Poisson(X, COUNTS, **options),
        so.Gamma(X, COUNTS + 0.5, **options),
        so.SquaredHinge(X, LABELS, **options),
        so.Quantile(X, Y, quantile=0.3, smoothing=0.1, **options),
    ]


ALL = [*losses(), *losses(intercept=True, sample_weight=WEIGHTS, offset=OFFSET)]


def named(loss):
    return f"{type(loss).__name__}-{loss.intercept}"


@dataclass(frozen=True, eq=False)
class LogCosh(so.SampleLoss):
    """A loss as a user writes it."""

    def value(self, y, z):
        return np.log(np.cosh(z - y))

    def slope(self, y, z):
        return np.tanh(z - y)

    def curvature(self, y, z):
        return 1.0 - np.tanh(z - y) ** 2

    def smoothness(self):
        return 1.0


@pytest.mark.parametrize("loss", ALL, ids=named)
def test_it_is_the_default_and_proves_its_minimum(loss):
    for part in (0.5, 0.05, 0.005):
        problem = so.Problem(loss, so.L1(part * so.alpha_max(loss)))
        assert isinstance(so.default_solver(problem), so.ProxNewton)
        solution = so.solve(problem, tol=1e-8)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.relative_gap <= 1e-8


@pytest.mark.parametrize("loss", ALL, ids=named)
def test_dense_sparse_and_double_precision_agree(loss):
    """Two points with a gap of at most e differ in the objective by at most e."""
    penalty, values = so.Ridged(so.L1(0.1 * so.alpha_max(loss)), 0.05), []
    stored = sparse.csc_array(np.where(np.abs(X) > 0.8, X, 0.0))
    for design in (stored, stored.toarray()):
        for solver in (so.ProxNewton(), so.ProxNewton(single_precision=False)):
            moved = type(loss)(design, loss.y, **options_of(loss))
            solution = so.solve(so.Problem(moved, penalty), solver, tol=1e-9)
            assert solution.status is so.Status.CONVERGED
            values.append(solution.certificate.objective)
    np.testing.assert_allclose(values, values[0], rtol=2e-9)


def options_of(loss):
    options = {"intercept": loss.intercept}
    if loss.intercept:
        options |= {"sample_weight": WEIGHTS, "offset": OFFSET}
    if isinstance(loss, so.Huber):
        options["delta"] = loss.delta
    if isinstance(loss, so.Quantile):
        options |= {"quantile": loss.quantile, "smoothing": loss.smoothing}
    return options


def test_logistic_regression_is_scikit_learns():
    theirs = LogisticRegression(l1_ratio=1, C=1 / (0.05 * N), solver="saga", tol=1e-10, max_iter=100_000)
    theirs.fit(X, LABELS)
    ours = so.solve(so.Problem(so.Logistic(X, LABELS, intercept=True), so.L1(0.05)), so.ProxNewton(), tol=1e-12)
    np.testing.assert_allclose(ours.w, theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_[0], atol=1e-5)


def test_poisson_with_a_ridge_is_scikit_learns():
    theirs = PoissonRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-10).fit(X, COUNTS, sample_weight=WEIGHTS)
    loss = so.Poisson(X, COUNTS, sample_weight=WEIGHTS, intercept=True)
    ours = so.solve(so.Problem(loss, so.Ridged(so.Zero(), 0.1)), so.ProxNewton(), tol=1e-12)
    np.testing.assert_allclose(ours.w, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_, atol=1e-5)


def test_a_box_and_signs_hold():
    loss = so.Logistic(X, LABELS, intercept=True)
    for penalty, box in ((so.Nonnegative(so.L1(0.01)), None), (so.L1(0.01), so.Box(-0.1, 0.2))):
        problem = so.Problem(loss, penalty, box)
        solution = so.solve(problem, so.ProxNewton(), np.full(P, 0.05), tol=1e-8)
        assert solution.status is so.Status.CONVERGED
        assert problem.violation(solution.w) == 0.0
        other = so.solve(problem, so.CoordinateDescent(), tol=1e-8)
        np.testing.assert_allclose(solution.certificate.objective, other.certificate.objective, rtol=2e-8)


@pytest.mark.parametrize("penalty", [so.MCP(0.05), so.SCAD(0.05), so.Ridged(so.MCP(0.05), 0.01)], ids=repr)
@pytest.mark.parametrize("loss", [ALL[0], ALL[6], ALL[1], ALL[8]], ids=named)
def test_folded_concave_penalties_end_no_higher_than_coordinate_descent(loss, penalty):
    problem = so.Problem(loss, penalty)
    ours = so.solve(problem, so.ProxNewton(), tol=1e-7)
    theirs = so.solve(problem, so.CoordinateDescent(), tol=1e-7)
    assert ours.status is so.Status.CONVERGED
    assert ours.certificate.objective <= theirs.certificate.objective * (1 + 1e-6)


@pytest.mark.parametrize("rare", [2, 5])
def test_imbalanced_classes(rare):
    labels = np.where(np.arange(N) < rare, 1.0, -1.0)
    loss = so.Logistic(X, labels, intercept=True)
    for part in (0.5, 0.05, 1e-3):
        assert so.solve(so.Problem(loss, so.L1(part * so.alpha_max(loss)))).status is so.Status.CONVERGED


def test_separable_classes():
    loss = so.Logistic(X, np.sign(SCORE), intercept=True)
    for part in (1e-2, 1e-4, 1e-6):
        assert so.solve(so.Problem(loss, so.L1(part * so.alpha_max(loss)))).status is so.Status.CONVERGED


@pytest.mark.parametrize("scale", [1e-60, 1e-8, 1e8, 1e60])
@pytest.mark.parametrize("intercept", [False, True])
def test_scales_of_the_columns_do_not_matter(scale, intercept):
    solved = []
    for factor in (1.0, scale):
        loss = so.Logistic(np.tile(X, (20, 2)) * factor, np.tile(LABELS, 20), intercept=intercept)
        solution = so.solve(so.Problem(loss, so.L1(0.1 * so.alpha_max(loss))))
        assert solution.status is so.Status.CONVERGED
        solved.append(solution.certificate.objective)
    np.testing.assert_allclose(solved[0], solved[1], rtol=2e-6)


@pytest.mark.parametrize("stretch", [1.0, 100.0])
@pytest.mark.parametrize("times", [1.0, 1e6])
@pytest.mark.parametrize("intercept", [False, True])
def test_large_counts(stretch, times, intercept):
    loss = so.Poisson(stretch * X, times * COUNTS, intercept=intercept)
    for part in (0.1, 1e-3):
        problem = so.Problem(loss, so.L1(part * so.alpha_max(loss)))
        assert so.solve(problem, so.ProxNewton()).status is so.Status.CONVERGED


@pytest.mark.parametrize("shift", [-600.0, 600.0])
def test_offsets_beyond_the_range_of_numbers_end(shift):
    for offset in (np.full(N, shift), np.where(np.arange(N) % 2, shift, -shift)):
        loss = so.Poisson(X, COUNTS, offset=offset)
        problem = so.Problem(loss, so.L1(0.1 * so.alpha_max(loss)))
        solution = so.solve(problem, so.ProxNewton(), max_iter=200)
        assert np.all(np.isfinite(solution.w))
        assert solution.certificate.objective <= problem.objective(np.zeros(P))


@pytest.mark.parametrize("smoothing", [1e-1, 1e-2, 1e-3])
def test_a_narrow_quantile_takes_hundreds_of_steps_not_thousands(smoothing):
    loss = so.Quantile(X, Y, smoothing=smoothing, intercept=True)
    solution = so.solve(so.Problem(loss, so.L1(0.1 * so.alpha_max(loss))), so.ProxNewton())
    assert solution.status is so.Status.CONVERGED
    assert solution.iterations < 500


def test_a_loss_of_the_user():
    loss = LogCosh(X, Y, intercept=True)
    for design in (X, sparse.csc_array(X)):
        solution = so.solve(so.Problem(LogCosh(design, Y, intercept=True), so.L1(0.05)))
        other = so.solve(so.Problem(loss, so.L1(0.05)), so.CoordinateDescent())
        np.testing.assert_allclose(solution.w, other.w, atol=1e-4)


def test_a_wide_problem_is_screened_in_single_precision():
    """400,000 entries: enough for the sketch of X; the gap is one of float64 data all the same."""
    wide = RNG.standard_normal((200, 2000))
    labels = np.sign(wide[:, :5] @ np.ones(5) + RNG.standard_normal(200))
    for intercept in (False, True):
        loss = so.Logistic(wide, labels, intercept=intercept)
        problem = so.Problem(loss, so.L1(0.05 * so.alpha_max(loss)))
        values = [so.solve(problem, so.ProxNewton(single_precision=single), tol=1e-10) for single in (True, False)]
        assert all(solution.status is so.Status.CONVERGED for solution in values)
        assert set(values[0].support) == set(values[1].support)
    single = so.Problem(so.Logistic(wide.astype(np.float32), labels), so.L1(0.01))
    assert so.solve(single, tol=1e-4).status is so.Status.CONVERGED


def test_limits_hold():
    wide = RNG.standard_normal((500, 4000))
    loss = so.Logistic(wide, np.sign(RNG.standard_normal(500)))
    problem = so.Problem(loss, so.L1(1e-3 * so.alpha_max(loss)))
    so.solve(problem, max_iter=2)
    assert so.solve(problem, max_iter=5).iterations <= 6
    start = time.perf_counter()
    solution = so.solve(problem, tol=1e-14, time_limit=0.1)
    assert solution.status in (so.Status.TIME_LIMIT, so.Status.CONVERGED, so.Status.STALLED)
    assert time.perf_counter() - start < 2.0


def test_a_path_goes_on_from_the_solution_before():
    loss = so.Logistic(X, LABELS, intercept=True)
    found = so.path(so.Problem(loss, so.L1(1.0)), [so.L1(alpha) for alpha in so.alpha_grid(loss, 10)])
    assert found.largest_gap <= 1e-6
    assert all(later.support.size >= first.support.size - 3 for first, later in pairwise(found))


def test_it_keeps_the_laws_with_weights_offsets_and_penalties():
    penalty = so.Weighted(so.L1(0.05), np.linspace(0.1, 2.0, P))
    check_solver(so.ProxNewton(), [so.Problem(loss, penalty) for loss in ALL])


def test_what_it_refuses_in_words():
    squares = so.Problem(so.LeastSquares(X, Y), so.L1(0.1))
    assert "WorkingSet" in so.ProxNewton().rejects(squares)
    groups = so.Problem(so.Logistic(X, LABELS), so.GroupLasso(0.1, 5))
    assert "ties coordinates" in so.ProxNewton().rejects(groups)
    assert so.ProxNewton().rejects(replace(groups, penalty=so.L1(0.1))) is None


@pytest.mark.parametrize("option", [{"shrink": 1.0}, {"concave_shrink": 0.0}, {"fewest": 0}, {"growth": -1.0}])
def test_options_are_checked_at_the_door(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        so.ProxNewton(**option)


def test_a_start_outside_of_the_domain_is_brought_into_it():
    problem = so.Problem(so.Logistic(X, LABELS), so.Nonnegative(so.L1(0.01)))
    solution = so.solve(problem, so.ProxNewton(), np.full(P, -1.0))
    assert solution.status is so.Status.CONVERGED
    assert np.min(solution.w) >= 0.0


def test_a_gram_matrix_that_is_too_large_is_left_to_coordinate_descent(monkeypatch):
    monkeypatch.setattr("sparseopt.solvers.working.sample_models._LARGEST_GRAM", 5)
    loss = so.Logistic(X, LABELS)
    solution = so.solve(so.Problem(loss, so.L1(0.05 * so.alpha_max(loss))), so.ProxNewton())
    assert solution.status is so.Status.CONVERGED
    assert "CoordinateDescent" in solution.account


def test_a_path_sketches_x_once_and_keeps_nothing(monkeypatch):
    """The sketch lasts as long as the path, however it ends."""
    from sparseopt.solvers.working import sample_models

    wide = RNG.standard_normal((200, 600))
    loss = so.Logistic(wide, np.sign(wide[:, 0] + RNG.standard_normal(200)))
    made = []
    make = sample_models.ColumnSketch
    monkeypatch.setattr(
        sample_models, "ColumnSketch", lambda *columns, **options: made.append(1) or make(*columns, **options)
    )
    # convex ones are solved in batches, which have no sketch
    penalties = [so.MCP(alpha) for alpha in so.alpha_grid(loss, 10, 0.3)]
    found = so.path(so.Problem(loss), penalties)
    assert all(solution.status is so.Status.CONVERGED for solution in found)
    assert len(made) == 1
    assert "_copies" not in vars(loss.X)
    so.path(so.Problem(loss), penalties, callback=lambda k, _: k == 2)
    assert "_copies" not in vars(loss.X)


def far_from_zero(mean, **options):
    """A problem of 400 x 1000, large enough for a sketch, with a support of a tenth."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((400, 1000))
    score = wide[:, :20].sum(axis=1) + rng.standard_normal(400)
    labels = np.where(score > np.median(score), 1.0, -1.0)
    loss = so.Logistic(wide + mean, labels, **options)
    return so.Problem(loss, so.L1(0.1 * so.alpha_max(loss)))


def test_columns_far_from_zero_are_not_sketched():
    """In units of their length they are nearly the same, and float32 cannot tell them apart either."""
    solution = so.solve(far_from_zero(1e3), so.ProxNewton(), max_iter=100)
    assert solution.status is so.Status.CONVERGED
    assert "float64" in solution.account


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6])
def test_with_an_intercept_it_does_not_matter_where_columns_lie(mean):
    solution = so.solve(far_from_zero(mean, intercept=True), so.ProxNewton())
    assert solution.status is so.Status.CONVERGED
    assert "float32" in solution.account
    assert solution.iterations <= 20


def test_a_run_that_ends_as_a_model_is_given_up_says_so_much():
    """Classes of different size and columns nearly the same: float32 is left in the step that converges."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((400, 1000))
    labels = np.where(wide[:, :20].sum(axis=1) + rng.standard_normal(400) > -2.0, 1.0, -1.0)
    loss = so.Logistic(wide + 1e3, labels)
    solution = so.solve(so.Problem(loss, so.L1(0.1 * so.alpha_max(loss))), so.ProxNewton())
    assert solution.status is so.Status.CONVERGED
    assert "models in" in solution.account


def test_models_are_minimised_where_columns_have_much_in_common():
    """There an epoch of small moves does not tell that the minimum of a model is near; steps would be many and short."""
    assert so.solve(far_from_zero(3.0), so.ProxNewton()).iterations <= 25


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6, 1e-9])
def test_it_goes_as_fine_as_the_gap_needs(tol):
    """One look at all features is enough where the distance to stationarity foretells the gap."""
    loss = so.Logistic(X, LABELS)
    problem = so.Problem(loss, so.L1(0.05 * so.alpha_max(loss)))
    solution = so.solve(problem, so.ProxNewton(), tol=tol)
    assert solution.certificate.relative_gap <= tol
    assert solution.iterations <= so.solve(problem, so.ProxNewton(), tol=1e-12).iterations


def test_columns_are_multiplied_in_blocks(monkeypatch):
    """Small enough that there are many."""
    monkeypatch.setattr("sparseopt.solvers.working.sample_models._CACHED", 64)
    for design in (X, X.astype(np.float32)):
        loss = so.Logistic(design, LABELS, sample_weight=WEIGHTS, intercept=True)
        problem = so.Problem(loss, so.L1(0.02 * so.alpha_max(loss)))
        tol = 1e-9 if design is X else 1e-4
        solution = so.solve(problem, so.ProxNewton(), tol=tol)
        assert solution.status is so.Status.CONVERGED
        assert "CoordinateDescent" not in solution.account
