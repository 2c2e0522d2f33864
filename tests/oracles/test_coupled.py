"""Losses of several outputs, and Cox, against CVXPY, scikit-learn and sums written out."""

import itertools
from dataclasses import replace

import cvxpy
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, MultiTaskLasso

import sparseopt as so
from sparseopt.penalties import GroupLasso, GroupMCP, SparseGroupLasso

RNG = np.random.default_rng(3)
N, P, Q = 40, 8, 3
X = RNG.standard_normal((N, P))
W = np.zeros((P, Q))
W[:2] = RNG.standard_normal((2, Q))
Y = X @ W + 2.0 + 0.3 * RNG.standard_normal((N, Q))
CLASSES = np.argmax(X @ W + RNG.gumbel(size=(N, Q)), axis=1)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
TIMES = np.ceil(5.0 * RNG.exponential(size=N) * np.exp(-X[:, 0]))
SEEN = RNG.random(N) < 0.7
STRATA = RNG.integers(0, 2, N)


def partial_likelihood(w, ties, weights=None, strata=None):
    """Minus its logarithm over n, written out event by event."""
    r = np.ones(N) if weights is None else weights / np.mean(weights)
    strata = np.zeros(N) if strata is None else strata
    total = 0.0
    for stratum, time in itertools.product(np.unique(strata), np.unique(TIMES)):
        died = (strata == stratum) & SEEN & (time == TIMES)
        at_risk = (strata == stratum) & (time <= TIMES)
        hazards = r * np.exp(X @ w)
        total -= np.sum((r * (X @ w))[died])
        for k in range(np.count_nonzero(died)):
            part = k / np.count_nonzero(died) if ties == "efron" else 0.0
            mean = np.mean(r[died])
            total += mean * np.log(np.sum(hazards[at_risk]) - part * np.sum(hazards[died]))
    return total / N


@pytest.mark.parametrize("strata", [None, STRATA], ids=["one stratum", "strata"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_cox_is_the_partial_likelihood(ties, weights, strata):
    loss = so.Cox(X, TIMES, SEEN, ties, weights, strata)
    for w in (np.zeros(P), RNG.standard_normal(P)):
        assert loss.evaluate(w) == pytest.approx(partial_likelihood(w, ties, weights, strata), rel=1e-12)


def test_sparse_cox_regression_is_that_of_cvxpy():
    w = cvxpy.Variable(P)
    terms = [cvxpy.log_sum_exp(X[TIMES[i] <= TIMES] @ w) - X[i] @ w for i in np.flatnonzero(SEEN)]
    oracle = cvxpy.Problem(cvxpy.Minimize(sum(terms) / N + 0.05 * cvxpy.norm1(w)))
    oracle.solve(solver="CLARABEL")
    solution = so.solve(so.Problem(so.Cox(X, TIMES, SEEN), so.L1(0.05)), tol=1e-9).require(gap=1e-9)
    assert solution.certificate.objective == pytest.approx(oracle.value, rel=1e-7)
    np.testing.assert_allclose(solution.w, w.value, atol=1e-4)


def test_events_repeated_are_events_weighted():
    """For Breslow's ties; the value differs by what the mean weight is."""
    counts = RNG.integers(1, 4, N)
    rows = np.repeat(np.arange(N), counts)
    weighted = so.Cox(X, TIMES, SEEN, sample_weight=counts)
    repeated = so.Cox(X[rows], TIMES[rows], SEEN[rows])
    w = RNG.standard_normal(P)
    np.testing.assert_allclose(weighted.gradient(w), repeated.gradient(w), rtol=1e-10)


def test_a_hazard_beyond_the_range_of_numbers_is_no_overflow():
    loss = so.Cox(1e4 * X, TIMES, SEEN)
    w = np.ones(P)
    assert np.isfinite(loss.evaluate(w))
    assert np.all(np.isfinite(loss.gradient(w)))
    running = loss.start(w)
    np.testing.assert_allclose([loss.coordinate_slope(running, j) for j in range(P)], loss.gradient(w))


@pytest.mark.parametrize("intercept", [False, True])
def test_row_sparse_regression_is_that_of_scikit_learn(intercept):
    penalty = GroupLasso(0.1, Q, weights=1.0)
    solution = so.solve(so.Problem(so.LeastSquares(X, Y, intercept=intercept), penalty), tol=1e-10)
    oracle = MultiTaskLasso(alpha=0.1, fit_intercept=intercept, tol=1e-12, max_iter=100_000).fit(X, Y)
    np.testing.assert_allclose(solution.w, oracle.coef_.T, atol=1e-6)
    np.testing.assert_allclose(solution.intercept, oracle.intercept_ if intercept else np.zeros(Q), atol=1e-6)
    assert solution.certificate.relative_gap <= 1e-10


def test_responses_without_a_common_penalty_are_regressions_of_their_own():
    problem = so.Problem(so.LeastSquares(X, Y, sample_weight=WEIGHTS, intercept=True), so.L1(0.1))
    together = so.solve(problem, tol=1e-10)
    for k in range(Q):
        alone = so.solve(
            so.Problem(so.LeastSquares(X, Y[:, k], sample_weight=WEIGHTS, intercept=True), so.L1(0.1)), tol=1e-10
        )
        np.testing.assert_allclose(together.w[:, k], alone.w, atol=1e-5)
        assert together.intercept[k] == pytest.approx(alone.intercept, abs=1e-5)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_sparse_multinomial_regression_is_that_of_scikit_learn(storage):
    solution = so.solve(so.Problem(so.Multinomial(storage(X), CLASSES, intercept=True), so.L1(0.03)), tol=1e-9)
    oracle = LogisticRegression(l1_ratio=1.0, C=1 / (0.03 * N), solver="saga", tol=1e-10, max_iter=100_000)
    oracle.fit(X, CLASSES)
    np.testing.assert_allclose(solution.w, oracle.coef_.T, atol=1e-4)
    intercepts = oracle.intercept_ - np.mean(oracle.intercept_)
    np.testing.assert_allclose(solution.intercept, intercepts, atol=1e-4)
    assert solution.certificate.proof == "duality"
    assert solution.certificate.relative_gap <= 1e-9


def test_two_classes_of_a_ridge_are_a_logistic_regression_of_half_its_strength():
    """The difference of two columns of size w / 2 each costs half of w."""
    labels = CLASSES == 0
    multinomial = so.solve(so.Problem(so.Multinomial(X, labels), so.Ridged(so.Zero(), 0.2)), tol=1e-10)
    logistic = so.solve(so.Problem(so.Logistic(X, labels), so.Ridged(so.Zero(), 0.1)), tol=1e-10)
    np.testing.assert_allclose(multinomial.w[:, 1] - multinomial.w[:, 0], logistic.w, atol=1e-4)


SOLVERS = [so.CoupledNewton(), so.CoordinateDescent(), so.ProximalGradient()]
LOSSES = [
    so.Cox(X, TIMES, SEEN, "efron", strata=STRATA),
    so.Cox(X, TIMES, SEEN, "efron", WEIGHTS),
    so.Multinomial(X, CLASSES, WEIGHTS, intercept=True),
    so.MultiResponse(sparse.csc_array(X), Y, WEIGHTS, intercept=True),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("penalty", [so.L1(0.05), so.Ridged(so.L1(0.02), 0.1), so.Nonnegative(so.L1(0.05))], ids=repr)
def test_solvers_agree_within_their_gaps(loss, penalty):
    problem = so.Problem(loss, penalty)
    solvers = [*SOLVERS, so.RowDescent()] if isinstance(loss, so.MultiResponse) else SOLVERS
    solutions = [so.solve(problem, solver, max_iter=100_000) for solver in solvers]
    objectives = [solution.require(gap=1e-6).certificate.objective for solution in solutions]
    assert max(objectives) - min(objectives) <= 2e-6 * abs(max(objectives))
    assert all(solution.status is so.Status.CONVERGED for solution in solutions)


@pytest.mark.parametrize("penalty", [GroupLasso(0.1, Q), SparseGroupLasso(0.1, Q), GroupMCP(0.1, Q)], ids=repr)
def test_rows_enter_together(penalty):
    solution = so.solve(so.Problem(so.LeastSquares(X, Y, intercept=True), penalty), so.RowDescent())
    assert solution.status is so.Status.CONVERGED
    assert 0 < solution.support.size < P
    assert np.array_equal(solution.support, np.flatnonzero(solution.w.any(axis=1)))


def free_of(kind, p):
    """Penalties that leave something free: coefficients, groups of them, or a common constant."""
    held = np.ones(p)
    held[[0, 3]] = 0.0
    match kind:
        case "coefficients":
            return so.Weighted(so.L1(0.05), held)
        case "signs":
            return so.Nonnegative(so.Weighted(so.L1(0.05), held))
        case "groups":
            return GroupLasso(0.05, 2, weights=held[::2])
    return so.TotalVariation(0.05)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kind", ["coefficients", "signs", "groups", "constant"])
def test_what_is_free_is_proven_all_the_same(loss, kind):
    problem = so.Problem(loss, free_of(kind, loss.n_features))
    solution = so.solve(problem, tol=1e-7, max_iter=20_000)
    assert solution.status is so.Status.CONVERGED
    noise = np.abs(RNG.standard_normal(loss.n_features))
    near, far = (so.certify(problem, np.ravel(solution.w) + size * noise).lower_bound for size in (1e-3, 1.0))
    # what is free settles by Newton steps, which reach their end from near by
    assert -np.inf < near <= solution.certificate.objective
    assert far <= solution.certificate.objective


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        (LOSSES[2], GroupLasso(0.1, np.arange(P * Q) % 7, [1.0, 0.0, 2.0, 1.0, 1.0, 1.0, 1.0])),
        (LOSSES[3], SparseGroupLasso(0.1, np.arange(P * Q) % 7)),
        (LOSSES[1], GroupLasso(0.05, 2, ridge=0.1)),
        (LOSSES[1], GroupLasso(0.05, 2, nonnegative=True)),
    ],
    ids=["free", "sparse", "ridge", "nonnegative"],
)
def test_groups_of_coupled_losses_have_one_minimum(loss, penalty):
    problem = so.Problem(loss, penalty)
    newton = so.solve(problem, so.CoupledNewton(), max_iter=30, tol=1e-9)
    gradient = so.solve(problem, so.ProximalGradient(), max_iter=100_000)
    assert newton.status is gradient.status is so.Status.CONVERGED
    gap = newton.certificate.objective - gradient.certificate.objective
    assert abs(gap) <= 1e-6 * gradient.certificate.objective


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_groups_of_columns_of_any_unit(unit):
    """The second derivative goes with the square of the unit, far beyond what users may lend."""
    plain, scaled = (so.Multinomial(size * X, CLASSES, intercept=True) for size in (1.0, unit))
    solved = [so.solve(so.Problem(loss, GroupLasso(0.3 * so.alpha_max(loss), Q))) for loss in (plain, scaled)]
    assert all(solution.status is so.Status.CONVERGED for solution in solved)
    assert solved[1].certificate.objective == pytest.approx(solved[0].certificate.objective, rel=2e-6)


def test_where_steps_make_no_progress_a_plain_method_has_the_rest(monkeypatch):
    monkeypatch.setattr("sparseopt.solvers.coupled_newton._go_towards", lambda part, new: 0.0)
    for penalty in (so.L1(0.05), GroupLasso(0.1, 2)):
        solution = so.solve(so.Problem(LOSSES[1], penalty), so.CoupledNewton())
        assert solution.status is so.Status.CONVERGED
        assert solution.account == "handed over to a plain method"


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_the_bound_of_cox_holds_with_columns_far_from_zero(ties):
    """A constant column has no slope, since slopes of samples sum to zero; what rounding left of that sum made one."""
    far = X + np.where(np.arange(P) < 3, 1e4, 0.0)
    far[:, 1] = 1e4
    loss = so.Cox(far, TIMES, SEEN, ties=ties)
    w = so.solve(so.Problem(so.Cox(X, TIMES, SEEN, ties=ties), so.L1(0.01))).w
    for scale in (0.3, 1.0, 1.7):
        # the shift by a constant loses digits of the fitted values, and no more
        assert abs(loss.gradient(scale * w)[1]) <= 1e-10
    found = so.solve(so.Problem(loss, so.L1(0.01))).certificate
    assert found.gap >= -1e-10 * found.objective


@pytest.mark.parametrize("far", [1e4, 1e6])
@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_the_bound_of_cox_holds_with_strata_far_from_each_other(ties, far):
    """What is added to a stratum cancels out: a column constant in each has no slope, and none has a bound of its rounding."""
    strata = np.arange(TIMES.size) % 3
    shifted = X.copy()
    shifted[:, 0] = far * (1.0 + strata)
    shifted[:, 1] += far * np.array([-0.6, 0.3, 1.1])[strata]
    near = X.copy()
    near[:, 0] = 0.0
    problem = so.Problem(so.Cox(shifted, TIMES, SEEN, strata=strata, ties=ties), so.L1(1e-3))
    best = so.solve(replace(problem, loss=so.Cox(near, TIMES, SEEN, strata=strata, ties=ties)), tol=1e-10).certificate
    found = so.solve(problem, tol=1e-8).certificate
    assert abs(problem.loss.gradient(found.w)[0]) <= 1e-14 * far
    # fitted values are as large as the columns, and are rounded
    rounding = 1e-14 * far * best.objective
    assert found.objective >= best.lower_bound - rounding
    assert found.lower_bound <= best.objective + rounding
    assert found.relative_gap <= 1e-8
