"""Block descent finds what independent solvers find, at any scale and for any grouping."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(4)
N, P = 60, 12
X = RNG.standard_normal((N, P)) + 0.5 * RNG.standard_normal((N, 1))
Y = X[:, :3] @ [1.0, -2.0, 1.5] + X[:, 7] + RNG.standard_normal(N) + 2.0
LABELS = np.sign(Y - Y.mean() + 2.0 * RNG.standard_normal(N))
WEIGHTS = RNG.uniform(0.2, 2.0, N)
LISTED = [[0, 5, 2], [1, 3, 4, 6], [7], [8, 9, 10, 11]]


def oracle(problem):
    """The least objective of a problem with listed groups, by an interior-point method."""
    loss, penalty = problem.loss, problem.penalty
    w, b = cp.Variable(P), cp.Variable()
    z = loss.X.matrix @ w + (b if loss.intercept else 0.0)
    rows = np.broadcast_to(loss.sample_weight.values, N)
    if isinstance(loss, so.LeastSquares):
        f = rows @ cp.square(z - loss.y) / 2
    else:
        f = rows @ cp.logistic(-cp.multiply(loss.y, z))
    norms = [c * cp.norm(w[g]) for c, g in zip(penalty.weights, LISTED, strict=True)]
    g = penalty.penalty.alpha * sum(norms) + penalty.resistance * cp.norm1(w) + penalty.ridge * cp.sum_squares(w) / 2
    found = cp.Problem(cp.Minimize(f + g), [w >= 0] if penalty.nonnegative else [])
    found.solve(solver=cp.CLARABEL)
    return found.value


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize(
    "penalty",
    [
        so.GroupLasso(0.1, LISTED),
        so.GroupLasso(0.05, LISTED, [0.0, 1.0, 2.0, 0.5], ridge=0.1),
        so.GroupLasso(0.1, LISTED, nonnegative=True),
        so.SparseGroupLasso(0.1, LISTED, 0.3),
        so.SparseGroupLasso(0.05, LISTED, nonnegative=True),
    ],
    ids=["plain", "weighted and ridged", "nonnegative", "sparse", "sparse and nonnegative"],
)
@pytest.mark.filterwarnings(
    "ignore:Solution may be inaccurate"
)  # the oracle's, of logistic problems with the solution 0
@pytest.mark.parametrize("intercept", [False, True])
def test_it_finds_what_an_interior_point_method_finds(storage, penalty, intercept):
    for loss in (
        so.LeastSquares(storage(X), Y, sample_weight=WEIGHTS, intercept=intercept),
        so.Logistic(storage(X), LABELS, intercept=intercept),
    ):
        problem = so.Problem(loss, penalty)
        solution = so.solve(problem, so.BlockDescent(), tol=1e-9)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.proof == "duality"
        assert solution.certificate.objective == pytest.approx(oracle(problem), rel=1e-6)


def test_groups_of_one_are_the_lasso():
    loss = so.LeastSquares(X, Y, intercept=True)
    lasso = so.solve(so.Problem(loss, so.L1(0.1)), tol=1e-12)
    grouped = so.solve(so.Problem(loss, so.GroupLasso(0.1, 1)), tol=1e-12)
    np.testing.assert_allclose(grouped.w, lasso.w, atol=1e-8)
    np.testing.assert_array_equal(grouped.support, lasso.support)


def test_the_order_and_the_names_of_groups_do_not_matter():
    labels = np.empty(P, dtype=int)
    for g, columns in enumerate(LISTED):
        labels[columns] = g
    loss = so.LeastSquares(X, Y)
    listed = so.solve(so.Problem(loss, so.GroupLasso(0.1, LISTED)), tol=1e-10)
    named = so.solve(so.Problem(loss, so.GroupLasso(0.1, labels)), tol=1e-10)
    np.testing.assert_allclose(named.w, listed.w, atol=1e-7)


def test_one_group_of_all_is_zero_or_not():
    loss = so.LeastSquares(X, Y)
    penalty = so.GroupLasso(1.0, P, 1.0)
    least = penalty.vanishing_factor(-loss.gradient(np.zeros(P)))
    assert not np.any(so.solve(so.Problem(loss, penalty.strengthened(1.0001 * least))).w)
    assert np.all(so.solve(so.Problem(loss, penalty.strengthened(0.999 * least)), tol=1e-10).w)


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
def test_the_vanishing_factor_is_where_zero_becomes_optimal(ratio):
    loss = so.LeastSquares(X, Y)
    penalty = so.SparseGroupLasso(0.7, LISTED, ratio)
    least = penalty.vanishing_factor(-loss.gradient(np.zeros(P)))
    zero = np.zeros(P)
    above = so.certify(so.Problem(loss, penalty.strengthened(1.001 * least)), zero)
    below = so.certify(so.Problem(loss, penalty.strengthened(0.999 * least)), zero)
    assert above.stationarity == 0.0
    assert below.stationarity > 0.0


@pytest.mark.parametrize("size", [1e-70, 1e-30, 1.0, 1e30, 1e70])
@pytest.mark.parametrize("which", ["X", "y"])
def test_units_are_free(size, which):
    A, y = (size * X, Y) if which == "X" else (X, size * Y)
    solution = so.solve(so.Problem(so.LeastSquares(A, y), so.GroupLasso(0.1 * size, LISTED)))
    plain = so.solve(so.Problem(so.LeastSquares(X, Y), so.GroupLasso(0.1, LISTED)))
    assert solution.status is so.Status.CONVERGED
    scale = 1.0 / size if which == "X" else size
    np.testing.assert_allclose(solution.w / scale, plain.w, atol=1e-4)


def test_columns_that_repeat_or_vanish_do_no_harm():
    A = X.copy()
    A[:, 5], A[:, 3], A[:, 8:] = A[:, 0], 0.0, 0.0
    for penalty in (
        so.GroupLasso(0.05, LISTED),
        so.GroupLasso(0.05, LISTED, [0.0, 0.0, 1.0, 1.0]),
        so.SparseGroupLasso(0.05, LISTED),
        so.GroupLasso(0.0, LISTED),
    ):
        solution = so.solve(so.Problem(so.LeastSquares(A, Y, intercept=True), penalty), so.BlockDescent(), tol=1e-8)
        assert solution.status is so.Status.CONVERGED
        assert not np.any(solution.w[[3, 8, 9, 10, 11]])


def test_a_group_larger_than_what_is_decomposed_is_bounded():
    random = np.random.default_rng(0)
    A = random.standard_normal((30, 700))
    for loss in (
        so.LeastSquares(A, A[:, 0], intercept=True),
        so.Logistic(A, A[:, 0] + random.standard_normal(30) > 0, intercept=True),
    ):
        penalty = so.GroupLasso(0.3, [np.arange(600), np.arange(600, 700)], 1.0)
        solution = so.solve(so.Problem(loss, penalty), so.BlockDescent())
        assert solution.status is so.Status.CONVERGED


@pytest.mark.parametrize("groups", [3, [[5, 0], [1, 2, 3, 4]], [0, 1, 1, 0, 2, 1]], ids=repr)
@pytest.mark.parametrize("kind", [so.GroupLasso, so.SparseGroupLasso, so.GroupMCP, so.GroupSCAD])
def test_a_prox_on_groups_is_the_same_in_numpy(kind, groups):
    penalty, out = kind(0.3, groups), np.empty(6)
    for v in np.random.default_rng(0).standard_normal((10, 6)) * np.geomspace(0.1, 10.0, 10)[:, None]:
        for step in (0.1, 1.0, 2.5):
            penalty.prox_into(v, step, out)
            np.testing.assert_allclose(penalty.prox(v, step), out, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", [so.GroupMCP, so.GroupSCAD])
def test_folded_concave_groups_end_stationary_and_unbiased(kind):
    random = np.random.default_rng(1)
    A = random.standard_normal((200, 40))
    truth = np.zeros(40)
    truth[8:12] = [2.0, -3.0, 1.0, 2.0]
    y = A @ truth + 0.1 * random.standard_normal(200)
    solution = so.solve(so.Problem(so.LeastSquares(A, y), kind(0.2, 4)), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.stationarity <= 1e-8
    np.testing.assert_array_equal(solution.support, [8, 9, 10, 11])
    np.testing.assert_allclose(solution.w[8:12], np.linalg.lstsq(A[:, 8:12], y)[0], atol=1e-6)


@settings(max_examples=30)
@given(data=st.data(), alpha=st.sampled_from([0.01, 0.1, 0.5]), ratio=st.sampled_from([0.0, 0.5]))
def test_any_grouping_is_certified(data, alpha, ratio):
    """Small whole numbers: ties, empty columns, repeated columns and perfect fits are common."""
    n, p = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 6))
    A = data.draw(drawn.arrays(np.int8, (n, p), elements=st.integers(-3, 3)))
    y = data.draw(drawn.arrays(np.int8, n, elements=st.integers(-3, 3)))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=p, max_size=p))
    penalty = so.SparseGroupLasso(alpha, labels, ratio) if ratio else so.GroupLasso(alpha, labels)
    solution = so.solve(so.Problem(so.LeastSquares(A, y, intercept=data.draw(st.booleans())), penalty))
    assert solution.status is so.Status.CONVERGED
    assert -1e-12 <= solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_groups_that_overlap_are_split(storage, intercept):
    groups = [[0, 1, 2, 3], [3, 4, 5], [5, 6, 7, 8, 9, 0], [10, 11]]
    loss = so.LeastSquares(storage(X), Y, intercept=intercept)
    split = so.overlapping_groups(loss, groups)
    parts = [cp.Variable(len(group)) for group in groups]
    b = cp.Variable()
    z = sum(X[:, group] @ part for group, part in zip(groups, parts, strict=True)) + (b if intercept else 0.0)
    norms = sum(np.sqrt(len(group)) * cp.norm(part) for group, part in zip(groups, parts, strict=True))
    found = cp.Problem(cp.Minimize(cp.sum_squares(z - Y) / (2 * N) + 0.1 * norms))
    found.solve(solver=cp.CLARABEL)
    for solver in (so.BlockDescent(), so.ProximalGradient()):
        solution = so.solve(so.Problem(split.loss, so.GroupLasso(0.1, split.groups)), solver, tol=1e-9)
        assert solution.certificate.objective == pytest.approx(found.value, rel=1e-6)
        w = split.fold(solution.w)
        assert loss.evaluate(w) == pytest.approx(split.loss.evaluate(solution.w), rel=1e-12)


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([[0, 1], [1, 2]], "coefficient 1 is in 2 groups; groups that overlap"),
        ([[0, 1], [3]], "coefficient 2 is in no group; add it"),
        ([[0, 1], []], "group 1 must be a vector of at least one"),
        ([[0, -1]], "groups hold the index -1"),
        ([[0.5, 1.0]], "group 0 must be a vector"),
        (0, "groups must be at least 1"),
    ],
)
def test_groups_that_are_no_partition_are_refused_in_words(groups, reason):
    with pytest.raises(ValueError, match=reason):
        so.GroupLasso(0.1, groups)


def test_groups_must_fit_the_coefficients():
    loss = so.LeastSquares(X, Y)
    for penalty, reason in (
        (so.GroupLasso(0.1, 5), "groups of 5 do not divide 12 coefficients; give"),
        (so.GroupLasso(0.1, [[0, 1], [2]]), "groups hold 3 of 12 coefficients; add the others"),
        (so.GroupLasso(0.1, 3, [1.0, 2.0]), "2 weights for 4 groups"),
    ):
        with pytest.raises(ValueError, match=reason):
            so.Problem(loss, penalty)
    with pytest.raises(TypeError, match="groups must be a size"):
        so.GroupLasso(0.1, "pairs")
    with pytest.raises(ValueError, match="l1_ratio must be at most 1"):
        so.SparseGroupLasso(0.1, 3, 1.5)


def wide_and_tall():
    """Problems large enough for columns in float32: more columns than rows, and many more rows than columns."""
    random = np.random.default_rng(5)
    for n, p in ((200, 600), (2500, 60)):
        A = random.standard_normal((n, p)) + 0.3 * random.standard_normal((n, 1))
        yield A, A[:, :10] @ random.standard_normal(10) + random.standard_normal(n)


@pytest.mark.parametrize(
    "kind",
    [
        lambda a: so.GroupLasso(a, 5),
        lambda a: so.GroupLasso(a, 5, nonnegative=True),
        lambda a: so.SparseGroupLasso(a, 5),
        lambda a: so.GroupLasso(a, 4, ridge=0.1),
    ],
    ids=["plain", "nonnegative", "sparse", "ridged"],
)
@pytest.mark.parametrize("intercept", [False, True])
def test_columns_their_gram_matrix_and_the_sparse_loop_find_the_same_optimum(kind, intercept, monkeypatch):
    for A, y in wide_and_tall():
        for over in (5.0, 50.0):
            loss = so.LeastSquares(A, y, intercept=intercept)
            slope = -np.asarray(loss.gradient(np.zeros(A.shape[1])))
            penalty = kind(kind(1.0).vanishing_factor(slope) / over)
            objectives = []
            for pace in (0.0, np.inf):  # a Gram matrix costs more than anything, and nothing
                with np.errstate(divide="ignore"):
                    monkeypatch.setattr("sparseopt.solvers.working.block_models._PACE", np.float64(pace))
                    found = so.solve(so.Problem(loss, penalty), so.BlockDescent(), tol=1e-8)
                assert found.status is so.Status.CONVERGED
                assert found.account.startswith("columns" if pace == 0.0 else ("Gram matrix", "columns"))
                objectives.append(found.certificate.objective)
            whole = so.LeastSquares(sparse.csc_array(A), y, intercept=intercept)
            found = so.solve(so.Problem(whole, penalty), so.BlockDescent(), tol=1e-8)
            assert found.account.startswith("residuals")
            objectives.append(found.certificate.objective)
            # each gap is at most 1e-8 of the objective
            np.testing.assert_allclose(objectives, objectives[0], rtol=2e-8)


def test_a_gram_matrix_is_taken_where_it_is_cheap_and_said_so():
    (A, y), (B, z) = wide_and_tall()
    few = so.solve(so.Problem(so.LeastSquares(B, z), so.GroupLasso(0.1, 5)))
    assert few.account.startswith("Gram matrix of ")
    assert "float32" in few.account
    assert "looks at X" in few.account
    penalty = so.GroupLasso(1.0, 5)
    most = penalty.vanishing_factor(-so.LeastSquares(A, y).gradient(np.zeros(600)))
    many = so.solve(so.Problem(so.LeastSquares(A, y), penalty.strengthened(most / 200)))
    assert many.account.startswith("columns of ")
    assert "16 bits" in many.account
    weights = 1.0 + np.arange(200) % 2
    weighted = so.solve(so.Problem(so.LeastSquares(A, y, sample_weight=weights), penalty.strengthened(most / 200)))
    assert weighted.account.startswith("columns of ")
    assert "float32" in weighted.account
    double = so.solve(so.Problem(so.LeastSquares(B, z), so.GroupLasso(0.1, 5)), so.BlockDescent(single_precision=False))
    assert "float64" in double.account


@pytest.mark.parametrize("kind", [so.GroupLasso, so.GroupMCP, so.SparseGroupLasso])
def test_rows_that_repeat_change_nothing(kind):
    """The tall problem of a wide one's rows again and again has the same solution, by another method."""
    (A, y), _ = wide_and_tall()
    A = A[:, :40]
    tall = so.solve(so.Problem(so.LeastSquares(np.tile(A, (30, 1)), np.tile(y, 30)), kind(0.2, 4)), tol=1e-9)
    short = so.solve(so.Problem(so.LeastSquares(A, y), kind(0.2, 4)), tol=1e-9)
    np.testing.assert_allclose(tall.w, short.w, atol=1e-6)


def test_what_float32_cannot_hold_or_tell_apart_is_solved_in_float64():
    _, (A, y) = wide_and_tall()
    for size in (1e-25, 1e25):
        found = so.solve(so.Problem(so.LeastSquares(size * A, y), so.GroupLasso(0.1 * size, 5)))
        assert found.status is so.Status.CONVERGED
        assert "float64" in found.account
    twins = A.copy()
    twins[:, 1::2] = A[:, ::2] * (1.0 + 1e-9)
    found = so.solve(so.Problem(so.LeastSquares(twins, y), so.GroupLasso(1e-3, 4)), tol=1e-9)
    assert found.status is so.Status.CONVERGED


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_large_means_do_not_disturb_curvatures(storage):
    """The curvature of centred sparse columns is a difference of large numbers."""
    A = X + 1e6
    A[:, 4] = 1e6
    loss = so.LeastSquares(storage(A), Y, intercept=True)
    plain = X.copy()
    plain[:, 4] = 0.0
    found = so.solve(so.Problem(loss, so.GroupLasso(0.1, LISTED)), so.BlockDescent(), tol=1e-6)
    expected = so.solve(so.Problem(so.LeastSquares(plain, Y, intercept=True), so.GroupLasso(0.1, LISTED)), tol=1e-9)
    assert found.certificate.objective == pytest.approx(expected.certificate.objective, rel=1e-5)


@pytest.mark.parametrize(
    "penalty",
    [
        lambda a: so.GroupLasso(a, 5),
        lambda a: so.SparseGroupLasso(a, 5),
        lambda a: so.GroupLasso(a, 5, nonnegative=True),
    ],
)
def test_columns_with_one_large_mean_are_minimised_by_newton_steps(penalty):
    """Without an intercept all columns are nearly the same: epochs alone move along the valley for ever."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((120, 400)) + 1000.0
    loss = so.LeastSquares(A, A[:, :30].sum(axis=1) + rng.standard_normal(120))
    largest = so.alpha_max(loss, penalty(1.0))
    for part in (0.1, 1e-3):
        found = so.solve(so.Problem(loss, penalty(part * largest)), max_iter=3000)
        assert found.status is so.Status.CONVERGED


@pytest.mark.parametrize("groups", [4, LISTED])
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-160, 1e-29, 1.0, 1e99, 1e160, 1e300])
def test_no_square_of_a_norm_leaves_the_range_of_numbers(groups, scale):
    groups = so.GroupLasso(1.0, groups).groups
    values = scale * RNG.uniform(-1.0, 1.0, P)
    expected = [np.linalg.norm(values[groups.columns(g)] / (scale or 1.0)) * scale for g in range(groups.count(P))]
    np.testing.assert_allclose(groups.norms(values), expected, rtol=1e-14)


@pytest.mark.parametrize("penalty", [so.GroupLasso(0.7, LISTED), so.GroupLasso(0.4, LISTED, [0.0, 1.0, 2.0, 0.5])])
def test_the_distance_of_a_group_is_that_to_its_ball_or_to_its_slope(penalty):
    w, slope = np.where(np.isin(np.arange(P), [1, 4, 7]), RNG.standard_normal(P), 0.0), RNG.standard_normal(P)
    form = penalty.convex_form(P)
    for group, a in zip(LISTED, form.a, strict=True):
        norm, pull = np.linalg.norm(w[group]), np.linalg.norm(slope[group])
        to_ball = slope[group] * max(1.0 - a / pull, 0.0)
        expected = np.abs(slope[group] + a * w[group] / norm if norm > 0.0 else to_ball)
        np.testing.assert_allclose(form.subgradient_distance(w, slope)[group], expected, atol=1e-14)
