"""Terms on the whole vector beside columns of all sizes: derivatives of the prox, Newton models, CVXPY as oracle."""

import sys
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers import tied_newton
from sparseopt.solvers.lagrangian import newton_models, tied_models
from sparseopt.solvers.lagrangian.constrained_terms import constrained_term
from sparseopt.solvers.lagrangian.model_curvature import FullCurvature
from sparseopt.solvers.lagrangian.newton_models import curvature_of
from sparseopt.solvers.lagrangian.prox_slopes import tied_term

N, P = 40, 12
GROUPS = [list(range(first, first + 4)) for first in range(0, P, 4)]
WEIGHTS = np.linspace(1.5, 0.5, P)
TERMS = {
    "total variation": so.TotalVariation(0.3),
    "fused": so.FusedLasso(0.3, 0.2),
    "SLOPE": so.SLOPE(0.3 * WEIGHTS),
    "exclusive": so.ExclusiveLasso(0.4, GROUPS),
    "groups": so.GroupLasso(0.2, GROUPS, ridge=0.1),
    "sparse groups": so.SparseGroupLasso(0.3, GROUPS),
    "nonnegative groups": so.SparseGroupLasso(0.3, GROUPS, nonnegative=True, ridge=0.2),
    "L1 ball": so.L1Ball(1.5),
    "simplex": so.Simplex(1.5),
}
# In units of the slope at zero.
PENALTIES = {
    "total variation": so.TotalVariation,
    "fused": lambda alpha: so.FusedLasso(alpha, alpha / 2),
    "SLOPE": lambda alpha: so.SLOPE(alpha * WEIGHTS),
    "exclusive": lambda alpha: so.ExclusiveLasso(alpha, GROUPS),
    "sparse groups": lambda alpha: so.SparseGroupLasso(alpha, GROUPS),
}
LOSSES = ("least squares", "logistic", "Poisson", "Gamma", "Huber", "quantile", "squared hinge", "Cox")


def loss_of(name, scale, *, as_sparse=False, dtype=np.float64, intercept=True):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((N, P)) * (rng.random((N, P)) < 0.5 if as_sparse else 1.0)
    fitted = X[:, :4] @ [1.0, -1.0, 0.5, 0.5]
    noise, signs = 0.3 * rng.standard_normal(N), np.where(rng.random(N) < 1 / (1 + np.exp(-fitted)), 1.0, -1.0)
    counts = rng.poisson(np.exp(np.clip(fitted, -3, 3))).astype(float)
    X = X.copy()
    X[:, 1] *= scale
    X = X.astype(dtype)
    X = sparse.csc_array(X) if as_sparse else X
    match name:
        case "least squares":
            return so.LeastSquares(X, fitted + noise, intercept=intercept)
        case "logistic":
            return so.Logistic(X, signs, intercept=intercept)
        case "Poisson":
            return so.Poisson(X, counts, intercept=intercept)
        case "Gamma":
            return so.Gamma(X, np.exp(fitted + noise), intercept=intercept)
        case "Huber":
            return so.Huber(X, fitted + noise, delta=0.5, intercept=intercept)
        case "quantile":
            return so.Quantile(X, fitted + noise, quantile=0.3, intercept=intercept)
        case "squared hinge":
            return so.SquaredHinge(X, signs, intercept=intercept)
        case "Cox":
            return so.Cox(X, np.exp(noise - fitted), counts > 0)
    raise AssertionError(name)


def tied_problem(name, penalty, scale, **options):
    loss = loss_of(name, scale, **options)
    if penalty == "L1 ball":
        return so.Problem(loss, constraint=so.L1Ball(1.0))
    if penalty == "simplex":
        return so.Problem(loss, constraint=so.Simplex(1.0))
    alpha = 0.1 * float(np.sort(np.abs(loss.gradient(np.zeros(P))))[-2])
    return so.Problem(loss, PENALTIES[penalty](alpha))


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_the_derivative_of_a_prox_is_that_of_differences(name, step):
    rng = np.random.default_rng(0)
    curvatures = rng.uniform(0.3, 3.0, P)
    term, v, move = tied_term(TERMS[name], curvatures), rng.standard_normal(P), 1e-6
    slope = term.slope(v, term.prox(v, step), step)
    for j, e in enumerate(np.eye(P)):
        difference = (term.prox(v + move * e, step) - term.prox(v - move * e, step)) / (2 * move)
        np.testing.assert_allclose(slope.root(slope.transposed(e)), difference, atol=1e-8, err_msg=f"column {j}")


@pytest.mark.parametrize("name", TERMS)
def test_the_prox_in_other_units_is_a_minimiser(name):
    """Of step * term(units * x) + |x - v|**2 / 2, against points around it in the set."""
    rng = np.random.default_rng(1)
    term, v = tied_term(TERMS[name], rng.uniform(0.3, 3.0, P)), rng.standard_normal(P)
    given, x = TERMS[name], term.prox(v, 0.7)

    def height(x):
        value = given.evaluate(term.units * x) if isinstance(given, so.penalties.PenaltyTerm) else 0.0
        return 0.7 * value + float(np.sum((x - v) ** 2)) / 2

    for size in (1e-3, 1e-1, 1.0):
        for _ in range(30):
            w = given_point(given, term.units * (x + size * rng.standard_normal(P)))
            assert height(w / term.units) >= height(x) - 1e-12


def given_point(term, w):
    """The point itself, or the nearest one of a set."""
    if isinstance(term, so.L1Ball | so.Simplex):
        return term.project(w)
    return np.maximum(w, 0.0) if getattr(term, "nonnegative", False) else w


@pytest.mark.parametrize("penalty", [*PENALTIES, "L1 ball", "simplex"])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1e3, 1e-3])
def test_a_column_of_another_size_is_no_obstacle(name, penalty, scale):
    """Beside one a thousand times larger, proximal gradients ended at the limit with a gap."""
    problem = tied_problem(name, penalty, scale)
    solution = so.solve(problem)
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6, violation=1e-9)
    solution.certificate.verify(problem)


@pytest.mark.parametrize("penalty", [*PENALTIES, "L1 ball"])
@pytest.mark.parametrize("name", ["least squares", "logistic", "Poisson"])
@pytest.mark.parametrize("intercept", [True, False])
def test_sparse_columns_are_none_either(name, penalty, intercept):
    problem = tied_problem(name, penalty, 1e3, as_sparse=True, intercept=intercept)
    solution = so.solve(problem)
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6, violation=1e-9)


@pytest.mark.parametrize("penalty", [*PENALTIES, "L1 ball"])
@pytest.mark.parametrize("name", ["least squares", "logistic", "Huber"])
def test_float32_data_is_solved_to_the_tolerance(name, penalty):
    """Where w rounded to float32 has too large a gap, it stays float64."""
    problem = tied_problem(name, penalty, 1e3, dtype=np.float32)
    solution = so.solve(problem)
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6, violation=1e-6)
    solution.certificate.verify(problem)
    rough = so.solve(problem, tol=0.1)
    assert rough.w.dtype == np.float32


@pytest.mark.parametrize("penalty", ["total variation", "SLOPE", "exclusive"])
@pytest.mark.parametrize("name", ["Huber", "logistic", "Poisson"])
def test_it_agrees_with_cvxpy(name, penalty):
    cp = pytest.importorskip("cvxpy")
    problem = tied_problem(name, penalty, 1e3, intercept=False)
    loss, scales = problem.loss, np.ones(P)
    scales[1] = 1e-3
    # in units that suit the oracle
    u = cp.Variable(P)
    w, z = cp.multiply(scales, u), (loss.X.matrix * scales) @ u
    match penalty:
        case "total variation":
            price = problem.penalty.alpha * cp.norm1(cp.diff(w))
        case "SLOPE":
            falls = -np.diff(np.append(problem.penalty.alphas, 0.0))
            price = sum(fall * cp.sum_largest(cp.abs(w), k + 1) for k, fall in enumerate(falls))
        case _:
            price = problem.penalty.alpha / 2 * sum(cp.square(cp.norm1(w[group])) for group in GROUPS)
    match name:
        case "Huber":
            fit = cp.sum(cp.huber(z - loss.y, loss.delta)) / (2 * N)
        case "logistic":
            fit = cp.sum(cp.logistic(-cp.multiply(loss.y, z))) / N
        case _:
            fit = cp.sum(cp.exp(z) - cp.multiply(loss.y, z)) / N
    theirs = cp.Problem(cp.Minimize(fit + price)).solve(solver="CLARABEL")
    ours = so.solve(problem, tol=1e-8)
    # the constant of a loss is its own affair
    shift = problem.objective(np.zeros(P)) - loss_at_zero(name, loss)
    assert abs(ours.certificate.objective - shift - theirs) <= 1e-6 * max(1.0, abs(theirs))


def loss_at_zero(name, loss):
    match name:
        case "Huber":
            size = np.abs(loss.y)
            inside = size**2, loss.delta * (2 * size - loss.delta)
            return float(np.mean(np.where(size <= loss.delta, *inside))) / 2
        case "logistic":
            return float(np.log(2.0))
    return 1.0


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("name", ["least squares", "Poisson"])
def test_products_with_x_are_those_of_the_matrix(monkeypatch, name, as_sparse):
    rng = np.random.default_rng(2)
    problem = tied_problem(name, "fused", 10.0, as_sparse=as_sparse)
    w, rows = 0.01 * rng.standard_normal(P), rng.standard_normal((2, P))
    E = sparse.csc_array(rng.standard_normal((P, 3)))
    full = curvature_of(problem, w).with_rows(rows)
    monkeypatch.setattr(newton_models, "_MOST", 0)
    products = curvature_of(problem, w).with_rows(rows)
    assert (full.rank, products.rank) == (np.inf, N + 2)
    largest = np.max(full.diagonal())
    np.testing.assert_allclose(products.diagonal(), full.diagonal(), rtol=1e-10)
    np.testing.assert_allclose(products.product(w), full.product(w), atol=1e-13 * largest)
    np.testing.assert_allclose(products.gram(E), full.gram(E), atol=1e-12 * largest)
    np.testing.assert_allclose(products.roots(E).T @ products.image(w), E.T @ full.product(w), atol=1e-12 * largest)


@pytest.mark.parametrize("penalty", ["total variation", "fused", "SLOPE", "exclusive", "groups"])
@pytest.mark.parametrize("name", ["least squares", "logistic", "quadratic"])
def test_rows_beside_many_coefficients_take_few_iterations(monkeypatch, name, penalty):
    """Beyond 1,500 coefficients, here beyond none, thousands of proximal gradient steps were needed."""
    monkeypatch.setattr(newton_models, "_MOST", 0)
    rng = np.random.default_rng(3)
    loss = loss_of("least squares" if name == "quadratic" else name, 1.0)
    if name == "quadratic":
        X, y = loss.X.matrix, loss.y
        loss = so.Quadratic(X.T @ X / N, -X.T @ y / N)
    alpha = 0.1 * float(np.max(np.abs(loss.gradient(np.zeros(P)))))
    term = so.GroupLasso(alpha, GROUPS) if penalty == "groups" else PENALTIES[penalty](alpha)
    A = np.vstack([np.ones(P), rng.standard_normal(P)])
    problem = so.Problem(loss, term, so.LinearConstraint(A, [0.2, -0.1], [0.2, 0.1]))
    solution = so.solve(problem, max_iter=100)
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-4, violation=1e-6)
    solution.certificate.verify(problem)


@pytest.mark.parametrize("name", ["least squares", "Gamma", "Huber", "Poisson"])
@pytest.mark.parametrize("radius", [1e4, 1e11])
def test_a_ball_that_holds_nothing_back_has_the_bound_of_the_loss(name, radius):
    """Rounding of slopes, times the radius, is a gap: the run stalled beside the minimum."""
    loss = loss_of(name, 1.0)
    problem, free = so.Problem(loss, constraint=so.L1Ball(radius)), so.Problem(loss)
    solution, least = so.solve(problem), so.solve(free, tol=1e-9).certificate
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6)
    solution.certificate.verify(problem)
    assert solution.certificate.lower_bound <= least.objective * (1 + 1e-12)
    assert abs(solution.certificate.objective - least.objective) <= 2e-6 * least.objective


def test_newton_steps_wait_for_proximal_gradients():
    problem = tied_problem("logistic", "SLOPE", 1.0)
    assert isinstance(so.default_solver(problem), so.TiedNewton)
    quick = so.solve(problem)
    assert quick.w.tobytes() == so.solve(problem, so.ProximalGradient()).w.tobytes()
    at_once = so.solve(problem, so.TiedNewton(patience=0))
    assert at_once.status is so.Status.CONVERGED
    assert at_once.iterations < 30
    assert "Newton steps" in at_once.account


def test_what_it_does_not_take_is_left_to_proximal_gradients():

    lasso = so.Problem(loss_of("logistic", 1.0), so.L1(0.1))
    assert "derivative of the prox" in so.TiedNewton().rejects(lasso)
    signals = np.random.default_rng(0).standard_normal((N, 2))
    several = so.Problem(so.MultiResponse(loss_of("least squares", 1.0).X.matrix, signals), so.SLOPE(np.ones(2 * P)))
    assert "second derivative" in so.TiedNewton().rejects(several)
    assert isinstance(so.default_solver(several), so.ProximalGradient)


@pytest.mark.parametrize("penalty", [*PENALTIES, "L1 ball", "simplex"])
@pytest.mark.parametrize("limit", ["numbers", "work"])
def test_bounded_work_takes_more_models_and_loses_no_digit(monkeypatch, limit, penalty):
    """Systems by conjugate gradients alone, and models of one step."""
    monkeypatch.setattr(tied_models, "_NUMBERS" if limit == "numbers" else "_WORK", 0)
    if limit == "numbers":
        monkeypatch.setattr(FullCurvature, "n_entries", 0)
    problem = tied_problem("logistic", penalty, 1e3)
    solution = so.solve(problem, so.TiedNewton(patience=10))
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6, violation=1e-9)


@pytest.mark.parametrize("name", ["total variation", "one group", "L1 ball", "rows"])
def test_no_system_of_all_pieces_is_formed(name):
    """8,000 pieces are a matrix of 512 MB, and in index form three times as much."""
    p = 8000
    rng = np.random.default_rng(4)
    scales = np.geomspace(1.0, 1e3, p)
    rng.shuffle(scales)
    loss = so.LeastSquares(sparse.csc_array(sparse.diags_array(scales)), rng.standard_normal(p))
    match name:
        case "total variation":
            problem = so.Problem(loss, so.TotalVariation(1e-9))
        case "one group":
            problem = so.Problem(loss, so.ExclusiveLasso(1e-9, [list(range(p))]))
        case "L1 ball":
            problem = so.Problem(loss, constraint=so.L1Ball(300.0))
        case _:
            row = so.LinearConstraint(np.ones((1, p)), [0.0], [0.0])
            problem = so.Problem(loss, so.GroupLasso(1e-9, [list(range(p))]), row)
    solver = so.AugmentedLagrangian() if name == "rows" else so.TiedNewton(patience=1)
    tracemalloc.start()
    try:
        solution = so.solve(problem, solver, max_iter=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e8
    assert solution.certificate.objective < problem.objective(np.zeros(p))


def test_sparse_columns_of_all_sizes_are_solved_by_conjugate_gradients(monkeypatch):
    monkeypatch.setattr(tied_models, "_NUMBERS", 1e4)
    rng, p = np.random.default_rng(5), 2000
    scales = np.geomspace(1.0, 1e3, p)
    rng.shuffle(scales)
    loss = so.LeastSquares(sparse.csc_array(sparse.diags_array(scales)), rng.standard_normal(p))
    solution = so.solve(so.Problem(loss, so.TotalVariation(1e-5)))
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6)


class Counted(FullCurvature):
    """A matrix whose entries are many, and whose products are counted."""

    products = 0
    n_entries = 10**8

    def product(self, v):
        Counted.products += 1
        return super().product(v)


@pytest.mark.parametrize("penalty", [*PENALTIES, "L1 ball"])
def test_the_work_of_one_model_is_bounded(monkeypatch, penalty):
    """Limits of the run and callbacks wait for a model: products count, and halvings of a step."""
    monkeypatch.setattr(Counted, "products", 0)
    problem = tied_problem("logistic", penalty, 1e3)
    H = newton_models.second_derivative(problem.loss, np.zeros(P))
    curvature, term, w = Counted(H, np.zeros((0, P))), constrained_term(problem), np.zeros(P)
    slope = problem.loss.gradient(w)
    newton_models.model_minimiser(term, curvature, w, slope, np.zeros((0, P)), 0.0)
    # so many exhaust the budget; the halvings of the first step may be beyond
    assert Counted.products <= tied_models._WORK / (tied_models._ENTRY * Counted.n_entries) + 10


@pytest.mark.parametrize("name", ["exclusive", "L1 ball", "simplex"])
def test_sums_of_sizes_have_the_shift_of_sorted_sizes(name):
    """The largest of those of the first k sizes, by a formula for each group."""
    rng = np.random.default_rng(6)
    for v in (
        rng.standard_normal(P),
        np.round(rng.standard_normal(P)),
        np.ones(P),
        np.zeros(P),
        10.0 ** rng.uniform(-9, 9, P),
    ):
        tied = tied_term(TERMS[name], rng.choice([0.5, 1.0, 3.0], P))
        softness = 0.0 if tied.alpha is None else 1.0 / (0.7 * tied.alpha)
        expected = np.empty(P)
        for g in np.unique(tied.number):
            group = np.flatnonzero(tied.number == g)
            sizes = v[group] if tied.is_nonnegative else np.abs(v[group])
            order = np.argsort(-sizes / tied.units[group])
            u, s = tied.units[group][order], sizes[order]
            shift = np.max((np.cumsum(u * s) - tied.total) / (softness + np.cumsum(u * u)))
            shift = shift if tied.is_nonnegative else max(shift, 0.0)
            signs = 1.0 if tied.is_nonnegative else np.sign(v[group])
            expected[group] = signs * np.maximum(sizes - shift * tied.units[group], 0.0)
        np.testing.assert_allclose(
            tied.prox(v, 0.7), expected, rtol=1e-9, atol=1e-14 * np.max(np.abs(v), initial=1e-300)
        )


def test_a_prox_of_many_groups_makes_few_calls():
    """A mask for each of 5,000 groups took a time that grew with their square."""
    p, calls = 10_000, []
    tied = tied_term(so.ExclusiveLasso(0.4, [[j, j + 1] for j in range(0, p, 2)]), np.ones(p))
    v = np.random.default_rng(7).standard_normal(p)
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        tied.prox(v, 0.7)
    finally:
        sys.setprofile(None)
    assert len(calls) < 1000


def test_plain_steps_go_on_where_models_lead_nowhere(monkeypatch):
    """A budget that ends before anything better is found."""
    monkeypatch.setattr(tied_newton, "models_in_vain", lambda term: 10)
    problem = tied_problem("logistic", "SLOPE", 1.0)
    solution = so.solve(problem, so.TiedNewton(patience=0))
    assert solution.status is so.Status.CONVERGED
    assert solution.iterations > 30
