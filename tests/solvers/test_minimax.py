"""The least worst loss: against CVXPY, by two methods, with the weights that prove it."""

import cvxpy as cp
import numpy as np
import pytest

import sparseopt as so
from sparseopt.proofs.worst_bound import form_of
from sparseopt.solvers.worst_case.group_models import solver_of

P = 8
SLOPES = np.arange(P) / 20.0
PENALTIES = {
    "nothing": (so.Zero(), None),
    "L1": (so.L1(0.1), None),
    "ridge": (so.Ridged(so.Zero(), 0.2), None),
    "weights": (so.Weighted(so.L1(1.0), SLOPES), None),
    "box": (so.Ridged(so.L1(0.05), 0.1), so.Box(-0.3, 0.4)),
    "sign": (so.Nonnegative(so.L1(0.02)), None),
    "fixed": (so.L1(0.05), so.Box(np.where(SLOPES < 0.1, 0.2, -np.inf), np.where(SLOPES < 0.1, 0.2, np.inf))),
    "everything is zero": (so.L1(10.0), None),
}


def data(seed, n=60, p=P, count=3):
    random = np.random.default_rng(seed)
    X, groups = random.standard_normal((n, p)), np.arange(n) % count
    own = np.where(random.random((count, 4)) < 0.7, [1.0, -1.0, 0.5, 2.0], 0.0)
    y = np.einsum("ij,ij->i", X[:, :4], own[groups]) + 0.5 * random.standard_normal(n) + 1.0
    return X, y, groups


def by_cvxpy(problem, X, y, groups, kind):
    """The same problem, written by hand, and its value."""
    loss, form = problem.loss, form_of(problem)
    inner = loss.loss if isinstance(loss, so.Perturbed) else loss
    w, b = cp.Variable(X.shape[1]), cp.Variable() if loss.intercept else 0.0
    values = []
    for g in range(inner.n_groups):
        z, target = X[groups == g] @ w + b, y[groups == g]
        count = target.size
        if inner is not loss:
            values.append(cp.norm(z - target) / np.sqrt(count))
        elif kind is so.LeastSquares:
            values.append(cp.sum_squares(z - target) / (2 * count) - inner.baselines[g])
        else:
            values.append(cp.sum(cp.logistic(-cp.multiply(target, z))) / count - inner.baselines[g])
    price = cp.norm1(cp.multiply(form.a, w)) + cp.sum_squares(cp.multiply(np.sqrt(form.b), w)) / 2
    bounds = [w[j] >= form.lower[j] for j in np.flatnonzero(np.isfinite(form.lower))]
    bounds += [w[j] <= form.upper[j] for j in np.flatnonzero(np.isfinite(form.upper))]
    found = cp.Problem(cp.Minimize(cp.max(cp.hstack(values)) + price), bounds).solve(solver=cp.CLARABEL)
    return found * found / 2 if inner is not loss else found


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", [so.LeastSquares, so.Logistic])
def test_the_solution_is_that_of_cvxpy(kind, intercept, name):
    X, y, groups = data(1)
    y = y if kind is so.LeastSquares else np.sign(y)
    penalty, box = PENALTIES[name]
    loss = so.WorstCase.over_groups(kind, X, y, groups, intercept=intercept, baselines=[0.0, 0.1, 0.05])
    problem = so.Problem(loss, penalty, box)
    solution = so.solve(problem, tol=1e-9)
    certificate = solution.require(gap=1e-9).certificate
    assert solution.solver == "Minimax()"
    assert certificate.proof == "duality"
    expected = by_cvxpy(problem, X, y, groups, kind)
    assert certificate.objective == pytest.approx(expected, abs=3e-6 * abs(expected))
    assert certificate.stationarity <= 1e-6
    weights = solution.duals.losses
    assert np.all(weights >= 0.0)
    assert weights.sum() == pytest.approx(1.0)
    if name == "everything is zero":
        assert solution.support.size == 0


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("box", [None, so.Box(-0.3, 0.5)])
@pytest.mark.parametrize("shape", [(60, 8, 1), (60, 8, 3), (40, 60, 2)])
def test_least_squares_under_perturbations_are_those_of_cvxpy(shape, box, intercept):
    n, p, count = shape
    X, y, groups = data(2, n, p, count)
    radius = np.where(np.arange(p) % 4 == 3, 0.0 if n > p else 0.1, 0.2)
    loss = so.Perturbed(so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=intercept), radius)
    problem = so.Problem(loss, constraint=box)
    solution = so.solve(problem, tol=1e-8).require(gap=1e-8)
    expected = by_cvxpy(problem, X, y, groups, None)
    assert solution.certificate.objective == pytest.approx(expected, rel=1e-6)
    solution.certificate.verify(problem)


def test_without_a_radius_it_is_least_squares():
    X, y, _ = data(3)
    plain = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True)), tol=1e-10)
    robust = so.solve(so.Problem(so.Perturbed(so.LeastSquares(X, y, intercept=True), 0.0)), tol=1e-10)
    assert robust.w == pytest.approx(plain.w, abs=1e-7)
    assert robust.intercept == pytest.approx(plain.intercept, abs=1e-7)


def test_one_group_is_the_lasso():
    X, y, _ = data(4)
    lasso = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True), so.L1(0.1)), tol=1e-10)
    alone = so.solve(so.Problem(so.WorstCase((so.LeastSquares(X, y),), True), so.L1(0.1)), tol=1e-10)
    assert alone.w == pytest.approx(lasso.w, abs=1e-8)
    assert np.array_equal(alone.support, lasso.support)


@pytest.mark.parametrize("penalty", [so.L1(0.1), so.Ridged(so.Zero(), 0.2)])
@pytest.mark.parametrize("kind", [so.LeastSquares, so.Logistic])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_smoothed_maximum_comes_as_near_as_was_asked(kind, penalty, intercept):
    X, y, groups = data(5)
    loss = so.WorstCase.over_groups(kind, X, y if kind is so.LeastSquares else np.sign(y), groups, intercept=intercept)
    problem = so.Problem(loss, penalty)
    exact = so.solve(problem, tol=1e-10).certificate
    smoothed = so.solve(problem, so.SmoothedMinimax(), tol=1e-4)
    assert smoothed.status is so.Status.CONVERGED
    assert abs(smoothed.certificate.relative_gap) <= 1e-4
    assert exact.objective <= smoothed.certificate.objective + 1e-12
    assert smoothed.certificate.lower_bound <= exact.objective + 1e-12


def test_more_features_than_samples_and_wide_data_have_exact_zeros():
    X, y, groups = data(6, 40, 200)
    solution = so.solve(so.Problem(so.WorstCase.over_groups(so.LeastSquares, X, y, groups), so.L1(0.2)), tol=1e-8)
    assert solution.require(gap=1e-8).support.size < 40


def test_equal_groups_and_equal_columns_do_no_harm():
    X, y, _ = data(7)
    X = np.column_stack([X, X[:, 0], np.zeros(len(X)), np.ones(len(X))])
    parts = (so.LeastSquares(X, y),) * 3
    for penalty in (so.Zero(), so.L1(0.05)):
        solution = so.solve(so.Problem(so.WorstCase(parts, True), penalty), tol=1e-8)
        single = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True), penalty), tol=1e-10).certificate
        assert solution.require(gap=1e-8).certificate.objective == pytest.approx(single.objective, rel=1e-7)


def test_the_weights_can_be_found_from_the_point_alone():
    X, y, groups = data(8)
    problem = so.Problem(so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=True), so.L1(0.1))
    solution = so.solve(problem, tol=1e-10)
    assert so.certify(problem, solution.w).relative_gap <= 1e-8
    solution.certificate.verify(problem)
    elsewhere = so.certify(problem, solution.w + 0.1)
    assert elsewhere.lower_bound <= solution.certificate.objective
    assert elsewhere.objective > solution.certificate.objective


def test_float32_keeps_its_type():
    X, y, groups = data(9)
    loss = so.WorstCase.over_groups(so.LeastSquares, X.astype(np.float32), y.astype(np.float32), groups)
    solution = so.solve(so.Problem(loss, so.L1(0.1)), tol=1e-5)
    assert solution.w.dtype == np.float32
    assert solution.require(gap=1e-5).status is so.Status.CONVERGED


def test_limits_are_statuses():
    X, y, groups = data(10)
    problem = so.Problem(so.WorstCase.over_groups(so.LeastSquares, X, y, groups), so.L1(0.1))
    assert so.solve(problem, max_iter=1).status is so.Status.ITERATION_LIMIT
    stopped = so.solve(problem, so.SmoothedMinimax(), callback=lambda *_: True, tol=1e-12)
    assert stopped.status is so.Status.STOPPED
    assert stopped.certificate.proof == "duality"


@pytest.mark.parametrize(
    "solver",
    [
        so.CoordinateDescent(), so.ProximalGradient(), so.WorkingSet(), so.ProxNewton(), so.GramDescent(), so.BlockDescent(),
        so.InteriorPoint(), so.OperatorSplitting(), so.Splitting(), so.HardThresholding(), so.LocalSearch(),
        so.BranchAndBound(), so.Splicing(), so.OrthogonalMatchingPursuit(), so.RowDescent(), so.CoupledNewton(),
        so.SlopeWorkingSet(),
    ],
    ids=lambda solver: type(solver).__name__,
)  # fmt: skip
def test_other_solvers_refuse_what_is_not_smooth(solver):
    X, y, groups = data(11)
    loss = so.WorstCase.over_groups(so.LeastSquares, X, y, groups)
    for problem in (so.Problem(loss, so.L1(0.1)), so.Problem(loss, constraint=so.Cardinality(2))):
        with pytest.raises(so.UnsupportedProblem, match=type(solver).__name__):
            so.solve(problem, solver)


@pytest.mark.parametrize("solver", [so.Minimax(), so.SmoothedMinimax()])
def test_what_is_no_convex_worst_case_is_refused(solver):
    X, y, groups = data(12)
    loss = so.WorstCase.over_groups(so.LeastSquares, X, y, groups)
    rows = so.LinearConstraint(np.ones((1, P)), 0.0, 1.0)
    refused = [
        so.Problem(so.LeastSquares(X, y), so.L1(0.1)),
        so.Problem(loss, so.MCP(0.1)),
        so.Problem(loss, so.SLOPE.oscar(0.1, 0.01, P)),
        so.Problem(loss, constraint=rows),
        so.Problem(loss, constraint=so.Cardinality(2)),
        so.Problem(so.Perturbed(loss, 0.1), so.L1(0.1)),
    ]
    for problem in refused:
        with pytest.raises(so.UnsupportedProblem):
            so.solve(problem, solver)


def test_a_path_begins_where_nothing_is_chosen():
    X, y, groups = data(13)
    problem = so.Problem(so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=True))
    grid = so.alpha_grid(problem.loss, 4, ratio=0.1)
    found = so.path(problem, [so.L1(1.001 * alpha) for alpha in grid], tol=1e-8)
    assert found[0].support.size == 0
    assert found[-1].support.size > 0
    sizes = [solution.support.size for solution in so.path(problem, [so.Cardinality(k) for k in range(3)])]
    assert sizes == [0, 1, 2]
    with pytest.raises(TypeError, match="alpha_max"):
        so.alpha_max(problem.loss, so.L0(1.0))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_matrix_of_no_numbers_has_no_solution_and_an_end(wrong):
    """No ridge mends it: the search for one went on for ever."""
    for matrix, diagonal in ((np.full((2, 2), wrong), np.zeros(2)), (np.eye(2), np.array([1.0, wrong]))):
        assert np.all(np.isnan(solver_of(matrix.copy(), diagonal)(np.ones(2))))


def test_a_perfect_fit_under_small_perturbations_ends():
    """Both lengths go to zero at once, and the model's numbers out of range with them."""
    rng = np.random.default_rng(0)
    design = rng.standard_normal((60, 8))
    loss = so.LeastSquares(design, 2.0 * design[:, 0] - design[:, 1])
    problem = so.Problem(so.Perturbed(loss, radius=1e-3))
    solution = so.solve(problem)
    assert solution.status in (so.Status.CONVERGED, so.Status.STALLED)
    solution.certificate.verify(problem)


@pytest.mark.parametrize("scale", [1e20, 1e60])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("penalty", [so.Zero(), so.L1(0.1), so.Ridged(so.L1(0.1), 0.1)], ids=repr)
def test_large_units_end_in_words_and_not_in_errors(scale, intercept, penalty):
    """Steps that leave the range of numbers made weights of NaN, and losses with no worst one."""
    rng = np.random.default_rng(1)
    for _ in range(8):
        n, p = rng.integers(1, 8), rng.integers(1, 5)
        design, target = np.round(rng.standard_normal((n, p)), 1), rng.standard_normal(n) * scale
        groups = rng.integers(0, max(1, n // 2), n)
        problem = so.Problem(
            so.WorstCase.over_groups(so.LeastSquares, design, target, groups, intercept=intercept), penalty
        )
        for solver in (so.Minimax(), so.SmoothedMinimax()):
            solution = so.solve(problem, solver, max_iter=200)
            solution.certificate.verify(problem)
            if solution.status is so.Status.CONVERGED:
                solution.require(gap=1e-6)
