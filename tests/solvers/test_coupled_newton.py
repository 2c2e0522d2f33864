"""CoupledNewton and its models: precision, stages, groups, and data that is hard on a second derivative."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.conjugates import convex_form
from sparseopt.penalties import GroupLasso, SparseGroupLasso
from sparseopt.solvers import coupled_newton
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.working import group_model
from sparseopt.solvers.working.group_model import GroupModel

RNG = np.random.default_rng(5)
N, P, K = 200, 600, 3
X = np.asfortranarray(RNG.standard_normal((N, P)))
SCORES = X[:, :4] @ RNG.standard_normal((4, K))
CLASSES = np.argmax(SCORES + RNG.gumbel(size=SCORES.shape), axis=1)
TIMES = RNG.exponential(np.exp(-X[:, 0] - X[:, 1]))
CENSORED = RNG.exponential(2.0, N)
WEIGHTS = RNG.uniform(0.0, 2.0, N)
COX = so.Cox(X, np.minimum(TIMES, CENSORED), TIMES <= CENSORED)


@pytest.mark.parametrize(
    "loss", [so.Multinomial(X, CLASSES, WEIGHTS, intercept=True), so.Multinomial(X + 1e3, CLASSES, intercept=True), COX]
)
def test_a_model_has_the_second_derivative_as_far_as_its_precision_goes(loss):
    w = 0.1 * RNG.standard_normal(loss.n_features)
    # no row with all of its classes, to which a model adds
    columns = loss.arranged(np.arange(0, 90, 2))
    exact = loss.hessian(w, columns)
    model = loss.model_hessian(w, columns, np.dtype(np.float32))
    assert model.dtype == np.float32
    size = np.sqrt(np.outer(exact.diagonal(), exact.diagonal()))
    # a product of sums of N rounded numbers, with room for the columns' common part
    assert np.max(np.abs(model - exact) / size) <= N * np.finfo(np.float32).eps


def test_a_common_shift_of_a_row_is_curved_in_a_model_only():
    loss = so.Multinomial(X, CLASSES)
    columns = loss.arranged(np.arange(4 * K))
    shift = (loss.places.feature(columns) == 2).astype(np.float64)
    w = 0.1 * RNG.standard_normal(loss.n_features)
    assert abs(shift @ loss.hessian(w, columns) @ shift) <= 1e-14
    assert shift @ loss.model_hessian(w, columns, np.dtype(np.float64)) @ shift > 1e-5


PROBLEMS = {
    "multinomial": (so.Multinomial(X, CLASSES, WEIGHTS, intercept=True), so.L1(1.0)),
    "rows": (so.Multinomial(X, CLASSES), GroupLasso(1.0, K, [1.0])),
    "cox": (COX, so.L1(1.0)),
    "groups": (COX, GroupLasso(1.0, 5)),
}


def weakened(loss, penalty, factor):
    top = so.alpha_max(loss, penalty)
    return so.Problem(loss, penalty.strengthened(top * factor) if hasattr(penalty, "groups") else so.L1(top * factor))


@pytest.mark.parametrize("name", PROBLEMS)
def test_models_in_float32_end_where_those_in_float64_do(name):
    problem = weakened(*PROBLEMS[name], 0.05)
    single = so.solve(problem, so.CoupledNewton(), tol=1e-10, max_iter=60).require(gap=1e-10)
    double = so.solve(problem, so.CoupledNewton(single_precision=False), tol=1e-10, max_iter=60).require(gap=1e-10)
    assert "float32" in single.account
    assert "float64" in double.account
    assert single.certificate.objective == pytest.approx(double.certificate.objective, rel=1e-9)
    single.certificate.verify(problem)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_weak_penalty_takes_few_steps_from_zero(name):
    """Many more coefficients than samples, and a likelihood that is nearly flat."""
    solution = so.solve(weakened(*PROBLEMS[name], 0.01), so.CoupledNewton(), tol=1e-6, max_iter=40)
    assert solution.status is so.Status.CONVERGED


@pytest.mark.parametrize("storage", [np.asarray, lambda A: A.astype(np.float32)])
def test_columns_that_nothing_tells_apart_are_no_trouble(storage):
    twice = storage(np.hstack([X[:, :300], X[:, :300], np.zeros((N, 5))]))
    once = so.solve(weakened(so.Multinomial(X[:, :300], CLASSES), so.L1(1.0), 0.05), tol=1e-7)
    problem = so.Problem(
        so.Multinomial(twice, CLASSES), so.L1(so.alpha_max(so.Multinomial(X[:, :300], CLASSES)) * 0.05)
    )
    solution = so.solve(problem, so.CoupledNewton(), tol=1e-5, max_iter=60)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective == pytest.approx(once.certificate.objective, rel=1e-4)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_intercepts_take_up_what_columns_have_in_common(offset):
    """Fitted values are moved by thousands of times what tells samples apart."""
    penalty = so.L1(0.2 * so.alpha_max(so.Multinomial(X, CLASSES, intercept=True)))
    near = so.solve(so.Problem(so.Multinomial(X, CLASSES, intercept=True), penalty), tol=1e-8)
    problem = so.Problem(so.Multinomial(X + offset * (np.arange(P) % 3 == 0), CLASSES, intercept=True), penalty)
    far = so.solve(problem, so.CoupledNewton(), tol=1e-5, max_iter=60).require(gap=1e-5)
    assert far.certificate.objective == pytest.approx(near.certificate.objective, rel=2e-5)


PENALTIES = [
    GroupLasso(0.3, 3),
    GroupLasso(0.3, 3, ridge=0.1),
    GroupLasso(0.2, 3, nonnegative=True),
    SparseGroupLasso(0.3, np.arange(30) % 7),
    GroupLasso(0.3, np.arange(30) % 7, weights=[0.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]),
]


@pytest.mark.parametrize("direct", [600, 0], ids=["factored", "conjugate gradients"])
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_model_on_groups_is_minimised(penalty, direct, monkeypatch):
    monkeypatch.setattr(group_model, "_DIRECT", direct)
    A = RNG.standard_normal((60, 30))
    gram, linear = A.T @ A / 60, -A.T @ (A[:, :9].sum(axis=1) + RNG.standard_normal(60)) / 60
    model = GroupModel(penalty, convex_form(penalty, 30), gram)
    model.place(np.zeros(30), linear)
    model.minimise(1e-9)
    np.testing.assert_allclose(model.slope, linear + gram @ model.w, atol=1e-12)
    problem = so.Problem(so.Quadratic(gram, linear), penalty)
    oracle = so.solve(problem, BlockDescent(), tol=1e-12)
    assert problem.objective(model.w) <= oracle.certificate.objective + 1e-9
    np.testing.assert_allclose(model.w, oracle.w, atol=1e-4)


def test_a_strength_that_does_not_fall_is_refused():
    with pytest.raises(ValueError, match="shrink must be between 0 and 1"):
        so.CoupledNewton(shrink=1.0)


@pytest.mark.parametrize("loss", [so.Multinomial(X, CLASSES), COX], ids=["multinomial", "cox"])
def test_steep_slopes_against_a_bound_do_not_keep_others_out(loss):
    problem = so.Problem(loss, so.Nonnegative(so.L1(0.02 * so.alpha_max(loss))))
    assert so.solve(problem, so.CoupledNewton(), max_iter=40).status is so.Status.CONVERGED


def test_classes_that_are_told_apart_are_fitted_without_a_penalty():
    """Newton's step goes so far out there that the fitted values of a trial point are no numbers."""
    loss = so.Multinomial([[0.6, 0.0], [0.0, 1.3], [-0.3, 0.0], [-1.3, 0.0]], [0, 2, 2, 1], intercept=True)
    solution = so.solve(so.Problem(loss))
    assert solution.status is so.Status.CONVERGED
    np.testing.assert_array_equal(np.argmax(loss.probabilities(solution.w.ravel()), axis=1), [0, 2, 2, 1])


def test_constants_are_found_where_probabilities_are_one_to_rounding():
    """A sample whose class is far from likely has a curvature that differences of probabilities lose."""
    x, labels = np.array([[-10.0], [15.7], [4.1], [14.5]]), [2, 1, 2, 0]
    loss = so.Multinomial(x, labels, intercept=True)
    w = np.array([0.0, 7.0, -1.3])  # the third sample is of the second class by e^26
    assert np.max(np.abs(np.mean(loss.probabilities(w) - loss.targets, axis=0))) < 1e-14
    alpha = 1e-4 * so.alpha_max(loss)
    solution = so.solve(so.Problem(loss, so.Ridged(so.L1(alpha), alpha)), max_iter=20)
    assert solution.status is so.Status.CONVERGED


def test_a_call_takes_no_more_tries_where_steps_fail(monkeypatch):
    """Limits and callbacks wait for a call, and each try has intercepts to find."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 10))
    loss = so.Multinomial(X, np.argmax(X[:, :3] @ rng.standard_normal((3, 3)), axis=1), intercept=True)
    looks, calls, plain = 0, [], so.Multinomial._look

    def counted(self, w):
        nonlocal looks
        looks += 1
        return plain(self, w)

    def heard(iterations, w):
        nonlocal looks
        calls.append(looks)
        looks = 0
        return len(calls) == 5

    monkeypatch.setattr(so.Multinomial, "_look", counted)
    so.solve(so.Problem(loss, so.MCP(0.1 * so.alpha_max(loss))), so.CoupledNewton(), tol=1e-12, callback=heard)
    # what fits into the budget, and one step that fails; each has a look at the point and one at its slopes
    tries = coupled_newton._BUDGET / coupled_newton._TRIAL + coupled_newton._HALVINGS
    assert max(calls) <= 2 * tries
