"""Losses of several outputs, and Cox, at the door: shapes, messages, extremes."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.penalties import GroupLasso

RNG = np.random.default_rng(0)
N, P, Q = 20, 5, 3
X = RNG.standard_normal((N, P))
Y = X[:, :Q] + 0.1 * RNG.standard_normal((N, Q))
LABELS = RNG.integers(0, Q, N)
TIMES, SEEN = RNG.exponential(size=N), RNG.random(N) < 0.6


def test_least_squares_takes_several_responses():
    loss = so.LeastSquares(X, Y)
    assert isinstance(loss, so.MultiResponse)
    assert loss.shape == (P, Q)
    assert loss.n_features == P * Q
    assert isinstance(so.LeastSquares(X, Y[:, 0]), so.LeastSquares)


def test_coefficients_are_a_matrix_at_the_door():
    problem = so.Problem(so.LeastSquares(X, Y, intercept=True), so.L1(0.05))
    seen = []
    solution = so.solve(problem, callback=lambda _, w: seen.append(w.shape), tol=1e-10)
    assert solution.w.shape == (P, Q)
    assert solution.intercept.shape == (Q,)
    assert set(seen) == {(P, Q)}
    assert problem.objective(solution.w) == problem.objective(solution.w.ravel())
    assert so.certify(problem, solution.w).relative_gap == so.certify(problem, solution.w.ravel()).relative_gap
    np.testing.assert_allclose(problem.loss.predict(solution.w), X @ solution.w + solution.intercept)
    again = so.solve(problem, w0=solution.w, tol=1e-9)
    np.testing.assert_allclose(again.w, solution.w, atol=1e-6)
    flat = so.solve(problem, w0=solution.w.ravel(), tol=1e-9)
    assert flat.w.tobytes() == again.w.tobytes()
    solution.certificate.verify(problem)
    assert f"of {P}" in repr(solution)


def test_the_transpose_is_no_start():
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.05))
    with pytest.raises(ValueError, match=r"w0 has shape \(3, 5\)"):
        so.solve(problem, w0=np.zeros((Q, P)))


def test_a_path_stacks_matrices():
    problem = so.Problem(so.LeastSquares(X, Y, intercept=True))
    path = so.path(problem, [so.L1(alpha) for alpha in so.alpha_grid(problem.loss, 3)])
    assert path.w.shape == (3, P, Q)
    assert path.intercepts.shape == (3, Q)
    assert not np.any(path.w[0])


def test_names_are_those_of_the_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    solution = so.solve(so.Problem(so.LeastSquares(frame, pandas.DataFrame(Y)), GroupLasso(0.1, Q)))
    assert solution.support_names == tuple("abcde"[j] for j in solution.support)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (LABELS, [0, 1, 2]),
        (LABELS * 10 - 5, [-5, 5, 15]),
        (LABELS.astype(float), [0.0, 1.0, 2.0]),
        (np.array(["cat", "dog", "emu"])[LABELS], ["cat", "dog", "emu"]),
        (np.eye(Q)[LABELS], [0, 1, 2]),
    ],
    ids=["ints", "others", "floats", "strings", "indicators"],
)
def test_labels_of_any_kind_name_classes(y, classes):
    loss = so.Multinomial(X, y)
    assert loss.classes.tolist() == classes
    w = RNG.standard_normal((P, Q))
    assert loss.evaluate(w) == pytest.approx(so.Multinomial(X, LABELS).evaluate(w))
    np.testing.assert_allclose(loss.probabilities(w).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is None"),
        (LABELS[:-1], "19 entries for 20 samples"),
        (np.zeros(N), "one class only"),
        (LABELS + 0.5, "not whole"),
        (np.where(LABELS > 0, LABELS, np.nan), "not whole, or NaN"),
        (np.full((N, Q), 0.5), "no probabilities"),
        (np.ones((N, 1)), "one class only"),
        (np.zeros((N, Q, 1)), "one label a sample"),
    ],
)
def test_labels_that_are_none_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        so.Multinomial(X, y)


def test_a_class_without_weight_has_no_intercept():
    weights = np.where(LABELS == 1, 0.0, 1.0)
    with pytest.raises(ValueError, match="class np.int64"):
        so.Multinomial(X, LABELS, weights, intercept=True)
    assert so.solve(so.Problem(so.Multinomial(X, LABELS, weights), so.L1(0.1))).status is so.Status.CONVERGED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: so.MultiResponse(X, Y[:, 0]), "2-D, one column a response"),
        (lambda: so.MultiResponse(X, Y[:-1]), "19 entries for 20 samples"),
        (lambda: so.MultiResponse(X, np.where(Y > 2, Y, np.nan)), "NaN"),
        (lambda: so.LeastSquares(X, Y, offset=np.ones(N)), "offset is for a single response"),
        (lambda: so.Cox(X, TIMES, SEEN + 1), "event must be True or False"),
        (lambda: so.Cox(X, TIMES, np.zeros(N)), "no event with a positive weight"),
        (lambda: so.Cox(X, TIMES, SEEN, sample_weight=~SEEN), "no event with a positive weight"),
        (lambda: so.Cox(X, TIMES, SEEN, "exact"), 'must be "breslow" or "efron"'),
        (lambda: so.Cox(X, TIMES, SEEN, strata=[1, 2]), "one label a sample"),
        (lambda: so.Cox(X, TIMES, SEEN, intercept=True), "a constant cancels out"),
        (lambda: so.Cox(X, np.where(SEEN, TIMES, np.inf), SEEN), "time contains NaN or infinity"),
        (lambda: so.Cox(X, TIMES[:-1], SEEN), "time has 19 entries"),
    ],
)
def test_bad_data_is_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


LOSSES = [
    so.MultiResponse(X, Y, intercept=True),
    so.Multinomial(sparse.csc_array(X), LABELS, intercept=True),
    so.Cox(X, TIMES, SEEN, "efron"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_losses_travel(loss):
    again = pickle.loads(pickle.dumps(loss))
    w = RNG.standard_normal(loss.n_features)
    assert again.evaluate(w) == loss.evaluate(w)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_nothing_enters_above_the_largest_strength(loss):
    top = so.alpha_max(loss)
    assert so.solve(so.Problem(loss, so.L1(1.0001 * top))).support.size == 0
    assert so.solve(so.Problem(loss, so.L1(0.99 * top))).support.size > 0


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_what_is_not_convex_ends_stationary(loss):
    problem = so.Problem(loss, so.MCP(0.3 * so.alpha_max(loss)))
    solution = so.solve(problem)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "stationarity"
    assert solution.certificate.objective <= problem.objective(np.zeros(loss.n_features))


def test_a_perfect_separation_is_certified():
    labels = np.argsort(np.argsort(X[:, 0])) // 7
    solution = so.solve(so.Problem(so.Multinomial(X, labels, intercept=True), so.L1(1e-4)), max_iter=1000)
    assert solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_units_of_responses_are_free(unit):
    plain = so.solve(so.Problem(so.LeastSquares(X, Y), GroupLasso(0.1, Q)))
    scaled = so.solve(so.Problem(so.LeastSquares(X, unit * Y), GroupLasso(0.1 * unit, Q)))
    np.testing.assert_allclose(scaled.w / unit, plain.w, rtol=1e-6)
    assert scaled.certificate.relative_gap <= 1e-6


def test_one_response_is_least_squares():
    multi = so.solve(so.Problem(so.MultiResponse(X, Y[:, :1], intercept=True), so.L1(0.1)), tol=1e-10)
    single = so.solve(so.Problem(so.LeastSquares(X, Y[:, 0], intercept=True), so.L1(0.1)), tol=1e-10)
    np.testing.assert_allclose(multi.w[:, 0], single.w, atol=1e-8)
    assert multi.intercept[0] == pytest.approx(single.intercept)


@pytest.mark.parametrize("ratio", [1e3, 1e5, 1e7])
def test_a_class_may_outweigh_the_others(ratio):
    """Steps must be judged where objectives differ by rounding only, and rare classes have far intercepts."""
    weights = np.where(LABELS == 0, ratio, 1.0)
    loss = so.Multinomial(20.0 * X, LABELS, weights, intercept=True)
    for alpha in so.alpha_grid(loss, 4, 1e-3):
        solution = so.solve(so.Problem(loss, so.L1(alpha)), max_iter=25, tol=1e-7)
        assert solution.status is so.Status.CONVERGED
        chances = weights[:, None] * loss.probabilities(solution.w.ravel())
        np.testing.assert_allclose(np.sum(chances, axis=0), np.bincount(LABELS, weights), rtol=1e-5)


@pytest.mark.parametrize("ratio", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("many", [1.0, -1.0])
def test_the_intercept_of_unbalanced_classes_is_found(ratio, many):
    """On two points it is known by hand: at 0 and z, with weights 1 and r, its exponential solves a parabola."""
    y = np.array([many, -many])
    loss = so.Logistic(np.array([[0.0], [2.0]]), y, np.array([1.0, ratio]), intercept=True)
    half = (1.0 - ratio) / 2.0
    for w in (0.0, 3.0, -3.0):
        z = many * 2.0 * w
        # sigma(-b) = r sigma(b + z), that is with e = exp(-b): e (1 + exp(-z) e) = r (1 + e)
        e = ratio / (half + np.sqrt(half**2 + np.exp(-z) * ratio))
        assert loss.intercept_at(np.array([w])) == pytest.approx(-many * np.log(e), rel=1e-9)


def test_a_row_that_the_loss_does_not_see_goes_to_zero():
    design = X.copy()
    design[:, 2] = 0.0
    for penalty in (so.L1(0.1), GroupLasso(0.1, Q)):
        solution = so.solve(so.Problem(so.LeastSquares(design, Y), penalty), w0=np.ones((P, Q)))
        assert solution.status is so.Status.CONVERGED
        assert 2 not in solution.support


def test_columns_that_are_nearly_the_same():
    """Differences of 1e-4: epochs alone would take millions."""
    design = X[:, :1] + 1e-4 * X
    for penalty in (so.L1(1e-6), GroupLasso(1e-6, Q), GroupLasso(1e-6, Q, ridge=1e-8)):
        problem = so.Problem(so.LeastSquares(design, Y, intercept=True), penalty)
        assert so.solve(problem).status is so.Status.CONVERGED


def test_newton_steps_on_rows_are_taken_by_conjugate_gradients_where_there_are_many():
    """On 150 columns of correlation 0.9999, more coefficients than are factored at once."""
    rng = np.random.default_rng(5)
    design = rng.standard_normal((200, 1)) + 1e-2 * rng.standard_normal((200, 150))
    loss = so.MultiResponse(design, rng.standard_normal((200, 4)))
    problem = so.Problem(loss, GroupLasso(1e-3 * so.alpha_max(loss, GroupLasso(1.0, 4)), 4))
    solution = so.solve(problem, so.RowDescent())
    assert solution.status is so.Status.CONVERGED
    assert so.certify(problem, solution.w).relative_gap <= 1e-6
    assert np.count_nonzero(solution.w) > 400


@pytest.mark.parametrize("weighted", [False, True])
def test_a_path_that_keeps_the_matrix_of_its_rows_ends_where_single_runs_do(weighted):
    rng = np.random.default_rng(6)
    design, targets = rng.standard_normal((60, 150)), rng.standard_normal((60, 3))
    loss = so.MultiResponse(design, targets, rng.uniform(0.5, 1.5, 60) if weighted else None, intercept=True)
    first = so.alpha_max(loss, GroupLasso(1.0, 3))
    penalties = [GroupLasso(a, 3) for a in first * np.array([1.0, 0.5, 0.1, 0.02, 0.3])]
    found = so.path(so.Problem(loss, penalties[0]), penalties, so.RowDescent(), tol=1e-10)
    for penalty, solution in zip(penalties, found.solutions, strict=True):
        alone = so.solve(so.Problem(loss, penalty), so.RowDescent(), tol=1e-10)
        assert solution.certificate.relative_gap <= 1e-10
        np.testing.assert_allclose(solution.w, alone.w, atol=1e-6)
