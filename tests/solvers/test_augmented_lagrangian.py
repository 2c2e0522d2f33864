"""Nonlinear constraints and losses of the user's own: against published optima, SciPy, CVXPY and all supports."""

import itertools
import sys
import warnings
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from scipy import optimize

import sparseopt as so

sys.path.append(str(Path(__file__).parents[1] / "oracles"))
from hock_schittkowski import EXAMPLES, slopes
from more_hock_schittkowski import EXAMPLES as ALL

TOL = 1e-8
# Where a search from the published start ends at another stationary point than the published one.
ELSEWHERE = {"HS33": -4.0}
# Where the path leads to a point at which the violation is stationary.
TRAPPED = {"HS93"}


def problem_of(example):
    """An example in our words."""
    rows = [
        so.NonlinearConstraint(c, lower, upper, lambda x, c=c: slopes(c, x)) for c, lower, upper in example.constraints
    ]
    loss = so.Smooth(
        lambda x: float(example.objective(x)), lambda x: slopes(example.objective, x)[0], n_features=example.start.size
    )
    return so.Problem(loss, constraint=[*rows, so.Box(example.lower, example.upper)])


def by_scipy(example, method):
    """The optimal value that SciPy finds."""
    options = {
        "SLSQP": {"ftol": 1e-14, "maxiter": 1000},
        "trust-constr": {"gtol": 1e-9, "xtol": 1e-12, "maxiter": 2000},
    }
    rows = [
        optimize.NonlinearConstraint(c, lower, upper, jac=lambda x, c=c: slopes(c, x))
        for c, lower, upper in example.constraints
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are nearly linear
        return optimize.minimize(
            example.objective,
            example.start,
            jac=lambda x: slopes(example.objective, x)[0],
            method=method,
            bounds=optimize.Bounds(example.lower, example.upper),
            constraints=rows,
            options=options[method],
        ).fun


@pytest.mark.parametrize("name", [name for name in ALL if name not in TRAPPED])
def test_an_example_of_nonlinear_programming_is_solved(name):
    example = EXAMPLES[name]
    problem = problem_of(example)
    solution = so.solve(problem, w0=example.start, tol=TOL)
    assert solution.status is so.Status.CONVERGED
    found = solution.certificate
    assert found.proof == "stationarity"
    assert found.lower_bound == -np.inf
    assert max(found.violation, found.complementarity) <= TOL
    assert found.stationarity <= 2 * TOL
    best = ELSEWHERE.get(name, example.best)
    if best is None:
        best = min(by_scipy(example, method) for method in ("SLSQP", "trust-constr"))
    # published values have eight digits or so; a violation of tol may lower the objective by tol times a multiplier
    allowed = 1e-6 * max(1.0, abs(best)) + TOL * np.abs(solution.duals.rows).sum()
    assert found.objective <= best + allowed
    if example.best is not None:
        assert found.objective >= best - allowed


def test_a_stationary_violation_is_called_by_its_name():
    """Of number 93 the product of all coefficients, which has no slope at zero."""
    example = EXAMPLES["HS93"]
    solution = so.solve(problem_of(example), w0=example.start)
    assert solution.status is so.Status.LOCALLY_INFEASIBLE
    assert "Other points may satisfy" in solution.status.value
    assert solution.certificate.violation > 1.0


def test_nothing_feasible_is_not_said_to_be_proven():
    nowhere = so.NonlinearConstraint(lambda w: w @ w, -np.inf, -1.0, lambda w: 2 * w)
    solution = so.solve(so.Problem(so.LeastSquares(np.eye(3), [1.0, 2.0, 3.0]), constraint=nowhere))
    assert solution.status is so.Status.LOCALLY_INFEASIBLE
    assert solution.certificate.proof == "stationarity"
    with pytest.raises(so.NotCertified, match="violation"):
        solution.require()


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((80, 12))
    y = np.where(X[:, 0] - X[:, 1] + 0.5 * X[:, 2] + 0.5 * rng.standard_normal(80) > 0, 1.0, -1.0)
    group = X[:, 2] + 0.3 * rng.standard_normal(80) > 0
    return X, y, group


def test_a_lasso_in_a_ball_agrees_with_cvxpy(people):
    X, y, _ = people
    ball = so.NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0, lambda w: 2 * w)
    solution = so.solve(so.Problem(so.Logistic(X, y), so.L1(0.02), ball), tol=TOL)
    w = cp.Variable(12)
    losses = cp.sum(cp.logistic(-cp.multiply(y, X @ w))) / 80
    oracle = cp.Problem(cp.Minimize(losses + 0.02 * cp.norm1(w)), [cp.sum_squares(w) <= 1])
    oracle.solve(solver=cp.CLARABEL)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective == pytest.approx(oracle.value, abs=1e-6)
    assert solution.duals.rows == pytest.approx(np.ravel(oracle.constraints[0].dual_value), abs=1e-5)
    assert np.all(solution.w[np.abs(w.value) < 1e-5] == 0.0)


def test_fair_logistic_regression_agrees_with_cvxpy(people):
    """The two groups' mean predicted logits differ by at most 0.1, squared: a convex nonlinear row."""
    X, y, group = people
    apart = X[group].mean(axis=0) - X[~group].mean(axis=0)
    fair = so.NonlinearConstraint(lambda w: (apart @ w) ** 2, -np.inf, 0.01, lambda w: 2 * (apart @ w) * apart)
    solution = so.solve(so.Problem(so.Logistic(X, y), so.L1(0.02), fair), tol=TOL)
    w = cp.Variable(12)
    losses = cp.sum(cp.logistic(-cp.multiply(y, X @ w))) / 80
    oracle = cp.Problem(cp.Minimize(losses + 0.02 * cp.norm1(w)), [cp.square(apart @ w) <= 0.01])
    oracle.solve(solver=cp.CLARABEL)
    assert solution.certificate.objective == pytest.approx(oracle.value, abs=1e-6)
    assert solution.certificate.violation <= TOL
    assert solution.duals.rows[0] > 0.0


def test_a_fairness_of_probabilities_holds_with_few_coefficients(people):
    """Not convex: the groups' mean predicted probabilities; the multipliers are those that certify finds by itself."""
    X, y, group = people

    def apart(w):
        p = 1.0 / (1.0 + np.exp(-X @ w))
        return p[group].mean() - p[~group].mean()

    fair = so.NonlinearConstraint(apart, -0.02, 0.02, "3-point")
    problem = so.Problem(so.Logistic(X, y), so.L1(0.03), fair)
    solution = so.solve(problem, tol=1e-7)
    assert solution.status is so.Status.CONVERGED
    assert abs(apart(solution.w)) <= 0.02 + 1e-7
    assert solution.support.size < 12
    alone = so.certify(problem, solution.w)
    assert alone.stationarity <= 1e-5
    assert alone.duals.rows == pytest.approx(solution.duals.rows, abs=1e-4)


def test_rows_and_a_logistic_loss_get_a_bound():
    """Functions of ours keep their proof: a gap by the multipliers."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 8)), rng.standard_normal(50) > 0
    problem = so.Problem(so.Logistic(X, y), so.L1(0.02), so.LinearConstraint(np.ones((1, 8)), 0.5, 0.5))
    solution = so.solve(problem, tol=TOL)
    assert repr(so.AugmentedLagrangian()) == solution.solver
    assert solution.certificate.proof == "kkt"
    assert abs(solution.certificate.gap) <= 1e-6
    solution.certificate.verify(problem)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sparse_principal_components_agree_with_all_supports(k):
    rng = np.random.default_rng(5)
    factor = np.zeros(8)
    factor[[1, 4, 6]] = 1.0
    data = rng.standard_normal((40, 1)) * factor * 2.0 + rng.standard_normal((40, 8))
    S = data.T @ data / 40
    sphere = so.NonlinearConstraint(lambda w: w @ w, 1.0, 1.0, lambda w: 2 * w)
    loss = so.Smooth(lambda w: -w @ S @ w, lambda w: -2 * S @ w, n_features=8)
    problem = so.Problem(loss, constraint=[sphere, so.Cardinality(k)])
    solution = so.solve(problem, w0=np.full(8, 8**-0.5), tol=TOL)
    best = max(np.linalg.eigvalsh(S[np.ix_(c, c)])[-1] for c in itertools.combinations(range(8), k))
    assert solution.status is so.Status.CONVERGED
    assert solution.support.size <= k
    assert -solution.certificate.objective == pytest.approx(best, abs=1e-6)


def portfolio(n=8):
    """Entropy-regularised returns, at most a risk of 0.12: value, gradient, covariance, and rows."""
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((n, 2))
    C = 0.02 * factors @ factors.T + np.diag(0.01 + 0.05 * rng.random(n))
    mean, scale = 0.1 * rng.random(n), 1e-3

    def value(w):
        return -mean @ w + scale * np.sum(w * np.log(w + 1e-6))

    def gradient(w):
        return -mean + scale * (np.log(w + 1e-6) + w / (w + 1e-6))

    def risk(w):
        return np.sqrt(w @ C @ w)

    rows = [
        so.LinearConstraint(np.ones((1, n)), 1.0, 1.0),
        optimize.NonlinearConstraint(risk, -np.inf, 0.12, jac=lambda w: C @ w / np.sqrt(w @ C @ w)),
        optimize.Bounds(np.zeros(n), np.ones(n)),
    ]
    return value, gradient, risk, rows


def test_a_portfolio_of_few_assets_agrees_with_all_supports():
    """SLSQP on each of the 56 supports of three assets is the oracle."""
    value, gradient, risk, rows = portfolio()
    problem = so.Problem(so.Smooth(value, gradient, 8), constraint=[*rows, so.Cardinality(3)])
    solution = so.solve(problem, w0=np.full(8, 1 / 8), tol=1e-7)
    best = np.inf
    for support in itertools.combinations(range(8), 3):
        upper = np.zeros(8)
        upper[list(support)] = 1.0
        found = optimize.minimize(
            value,
            upper / 3,
            jac=gradient,
            method="SLSQP",
            bounds=optimize.Bounds(np.zeros(8), upper),
            constraints=[
                {"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
                {"type": "ineq", "fun": lambda w: 0.12 - risk(w)},
            ],
            options={"ftol": 1e-12},
        )
        if found.success:
            best = min(best, found.fun)
    assert solution.status is so.Status.CONVERGED
    assert solution.support.size <= 3
    assert solution.certificate.objective == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    "penalty",
    [so.MCP(0.05), so.SCAD(0.05), so.LogSum(0.02, 0.1), so.LHalf(0.02), so.L0(0.01), so.Ridged(so.L0(0.01), 0.1)],
    ids=repr,
)
def test_penalties_that_are_not_convex_end_stationary(people, penalty):
    X, y, _ = people
    ball = so.NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0, lambda w: 2 * w)
    problem = so.Problem(so.Logistic(X, y), penalty, ball)
    solution = so.solve(problem, w0=np.full(12, 0.1), tol=1e-7)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.stationarity <= 1e-6
    assert solution.certificate.violation <= 1e-7
    assert 0 < solution.support.size < 12
    worse = so.certify(problem, 0.9 * solution.w)
    assert worse.objective > solution.certificate.objective


def test_a_weighted_penalty_and_a_group_penalty_are_taken(people):
    X, y, _ = people
    ball = so.NonlinearConstraint(lambda w: w @ w, -np.inf, 0.5, lambda w: 2 * w)
    for penalty in (so.Weighted(so.L1(0.02), np.arange(12.0)), so.GroupLasso(0.05, 4)):
        solution = so.solve(so.Problem(so.Logistic(X, y), penalty, ball), tol=1e-6)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.stationarity <= 1e-5


def test_a_thousand_coefficients_without_a_matrix_of_them():
    """Beyond 300 the curvature is kept by its last changes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1000))
    y = X[:, :3] @ [1.0, -2.0, 1.5]
    ball = so.NonlinearConstraint(lambda w: w @ w, -np.inf, 4.0, lambda w: 2 * w)
    solution = so.solve(so.Problem(so.LeastSquares(X, y), so.L1(0.1), ball), tol=1e-7)
    w = cp.Variable(1000)
    oracle = cp.Problem(cp.Minimize(cp.sum_squares(X @ w - y) / 120 + 0.1 * cp.norm1(w)), [cp.sum_squares(w) <= 4.0])
    oracle.solve(solver=cp.CLARABEL)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective == pytest.approx(oracle.value, abs=1e-6)


def test_differences_stand_in_for_derivatives():
    sphere = so.NonlinearConstraint(lambda w: w @ w, 1.0, 1.0)
    loss = so.Smooth(lambda w: float(np.sum((w - [2.0, 1.0]) ** 2)), n_features=2)
    solution = so.solve(so.Problem(loss, constraint=sphere), w0=np.ones(2), tol=1e-6)
    assert solution.status is so.Status.CONVERGED
    assert solution.w == pytest.approx(np.array([2.0, 1.0]) / 5**0.5, abs=1e-5)


def test_limits_callbacks_and_progress_are_those_of_solve(capsys):
    example = EXAMPLES["Rosenbrock 10"]
    problem = problem_of(example)
    short = so.solve(problem, w0=example.start, max_iter=3)
    assert (short.status, short.iterations) == (so.Status.ITERATION_LIMIT, 3)
    assert so.solve(problem, w0=example.start, time_limit=0.0).status is so.Status.TIME_LIMIT
    seen = []
    stopped = so.solve(problem, w0=example.start, callback=lambda i, w: bool(seen.append(i)) or i >= 5, progress=True)
    assert stopped.status is so.Status.STOPPED
    assert max(seen) == 5
    assert "AugmentedLagrangian" in capsys.readouterr().err
    traced = so.solve(problem, w0=example.start, max_iter=4, trace=True)
    assert len(traced.trace) == 4

    def interrupted(w):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        so.solve(so.Problem(so.Smooth(interrupted, n_features=2)))


def test_runs_repeat_to_the_byte_and_leave_the_start_alone():
    example = EXAMPLES["HS100"]
    start = example.start.copy()
    start.flags.writeable = False
    first, again = (so.solve(problem_of(example), w0=start) for _ in range(2))
    assert first.w.tobytes() == again.w.tobytes()


def test_a_function_may_spoil_its_argument():
    def value(w):
        w -= 1.0
        result = float(w @ w)
        w[:] = np.nan
        return result

    solution = so.solve(so.Problem(so.Smooth(value, lambda w: 2 * (w - 1.0), 3), so.L1(0.5)))
    assert solution.w == pytest.approx(np.full(3, 0.75))


def test_beyond_the_domain_steps_are_shortened():
    """The unconstrained step from the start leads to negative numbers, where a logarithm is none."""
    loss = so.Smooth(lambda w: float(w.sum() - np.log(w).sum()), lambda w: 1.0 - 1.0 / w, n_features=3)
    solution = so.solve(so.Problem(loss), w0=np.array([0.01, 50.0, 3.0]), tol=TOL)
    assert solution.status is so.Status.CONVERGED
    assert solution.w == pytest.approx(np.ones(3), abs=1e-6)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (so.Problem(so.Smooth(lambda w: np.nan, np.zeros_like, 2)), "the loss is nan at the start; give a w0"),
        (
            so.Problem(so.Smooth(lambda w: 0.0, lambda w: np.zeros(3), 2)),
            r"grad of Smooth returned an array of shape \(3,\)",
        ),
        (so.Problem(so.Smooth(lambda w: w, np.zeros_like, 2)), "must return one number"),
        (so.Problem(so.Smooth(lambda w: 0.0, lambda w: w * np.nan, 2)), "the gradient of the loss is nan in entry 0"),
        (
            so.Problem(
                so.Quadratic(np.eye(2), np.ones(2)), constraint=so.NonlinearConstraint(lambda w: w * np.inf, 0, 1)
            ),
            "row 0 of the constraint is nan at the start",
        ),
        (
            so.Problem(
                so.Quadratic(np.eye(2), np.ones(2)),
                constraint=so.NonlinearConstraint(np.sum, 0, 1, lambda w: np.ones(3)),
            ),
            r"jac of NonlinearConstraint returned shape \(1, 3\)",
        ),
        (
            so.Problem(so.Quadratic(np.eye(2), np.ones(2)), constraint=so.NonlinearConstraint(np.sum, [0, 0], 1)),
            r"returned shape \(1,\), but lower has 2 sides",
        ),
    ],
)
def test_what_functions_return_is_checked_at_the_start(problem, words):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=words):
        so.solve(problem)


def test_a_flat_violation_at_the_start_is_told():
    """A sphere has no slope at zero, the usual start."""
    sphere = so.NonlinearConstraint(lambda w: w @ w, 1.0, 1.0, lambda w: 2 * w)
    solution = so.solve(so.Problem(so.Quadratic(np.eye(2), np.zeros(2)), constraint=sphere))
    assert solution.status is so.Status.LOCALLY_INFEASIBLE


def test_unsupported_parts_are_refused_in_words():
    loss = so.Smooth(lambda w: w @ w, lambda w: 2 * w, 4)
    for problem, words in [
        (so.Problem(loss, so.TrendFiltering(0.1)), "linear map"),
        (so.Problem(loss, constraint=so.GroupCardinality(1, 2)), "not GroupCardinality"),
        (so.Problem(loss, so.LHalf(0.1), so.Box(0.0, 1.0)), "prox of this penalty in a box"),
        (so.Problem(loss, so.MCP(0.1), so.Cardinality(1)), "with a Cardinality it takes convex penalties"),
    ]:
        assert words in so.AugmentedLagrangian().rejects(problem)
        with pytest.raises(so.UnsupportedProblem):
            so.solve(problem)
    for solver in (so.ProximalGradient(), so.CoordinateDescent()):
        assert "Python functions" in solver.rejects(so.Problem(loss, so.L1(0.1)))
    assert "Python functions" in so.HardThresholding().rejects(so.Problem(loss, constraint=so.Cardinality(1)))


def test_options_are_checked():
    for options in ({"rho": 0.0}, {"growth": 1.0}, {"swaps": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            so.AugmentedLagrangian(**options)


def test_a_wrong_gradient_stalls():
    """No step lowers the loss, so that nothing is claimed."""
    loss = so.Smooth(lambda w: w @ w, lambda w: -2 * w, n_features=3)
    solution = so.solve(so.Problem(loss), w0=np.ones(3))
    assert solution.status is so.Status.STALLED


def test_a_limit_within_a_trial_returns_the_best_support():
    """The run stands on a trial of another support, whose point is not handed out."""
    value, gradient, _, rows = portfolio()
    problem = so.Problem(so.Smooth(value, gradient, 8), constraint=[*rows, so.Cardinality(3)])
    whole = so.solve(problem, w0=np.full(8, 1 / 8), tol=1e-7)
    short = so.solve(problem, w0=np.full(8, 1 / 8), tol=1e-7, max_iter=whole.iterations - 1)
    assert short.status is so.Status.ITERATION_LIMIT
    assert short.w.tobytes() == whole.w.tobytes()
    assert (
        so.solve(problem, so.AugmentedLagrangian(swaps=0), w0=np.full(8, 1 / 8), tol=1e-7).iterations < whole.iterations
    )


def test_without_a_relaxed_beginning_the_start_chooses_the_support():
    loss = so.Quadratic(np.eye(4), -np.array([1.0, 2.0, 3.0, 4.0]))
    ball = so.NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0, lambda w: 2 * w)
    problem = so.Problem(loss, constraint=[ball, so.Cardinality(1)])
    first = so.solve(problem, so.AugmentedLagrangian(relaxed=False, swaps=0), w0=np.array([0.5, 0.0, 0.0, 0.0]))
    assert first.support.tolist() in ([0], [3])
    assert so.solve(problem).support.tolist() == [3]


def test_a_support_on_which_nothing_is_feasible_leads_to_others():
    """The two cheapest coefficients cannot fill the budget within their bounds; the first and the last can."""
    price = np.array([-3.0, -2.0, 1.0, 1.0])
    loss = so.Smooth(lambda w: float(price @ w), lambda w: price, n_features=4)
    budget = so.NonlinearConstraint(lambda w: np.sum(w + 0.1 * w**2), 1.0, 1.0, lambda w: 1.0 + 0.2 * w)
    problem = so.Problem(loss, constraint=[budget, so.Box(0.0, [0.4, 0.4, 0.3, 0.9]), so.Cardinality(2)])
    solution = so.solve(problem, w0=np.full(4, 0.3))
    last = (np.sqrt(1.0 + 0.4 * (1.0 - 0.416)) - 1.0) / 0.2  # what the first, at its bound, leaves
    assert solution.status is so.Status.CONVERGED
    assert solution.support.tolist() == [0, 3]
    assert solution.certificate.objective == pytest.approx(last - 1.2, abs=1e-5)
    nowhere = so.solve(so.Problem(loss, constraint=[budget, so.Box(0.0, 0.4), so.Cardinality(2)]), w0=np.full(4, 0.3))
    assert nowhere.status is so.Status.LOCALLY_INFEASIBLE
