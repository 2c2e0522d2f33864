"""Losses on one response against scikit-learn, CVXPY and brute force; certificates; bad input."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import GammaRegressor, PoissonRegressor, QuantileRegressor
from sklearn.svm import LinearSVC

import sparseopt as so

RNG = np.random.default_rng(3)
N, P = 60, 8
X = RNG.standard_normal((N, P))
W = np.zeros(P)
W[[0, 3, 5]] = 0.7, -0.5, 0.4
COUNTS = RNG.poisson(np.exp(X @ W + 0.5)).astype(float)
SIZES = RNG.gamma(2.0, np.exp(X @ W) / 2.0)
LABELS = np.where(X @ W + RNG.standard_normal(N) > 0, 1.0, -1.0)
Y = X @ W + RNG.standard_t(3, N)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
OFFSET = RNG.uniform(-1.0, 1.0, N)
SOLVERS = [so.CoordinateDescent(), so.ProximalGradient()]
KINDS = [(so.Poisson, COUNTS), (so.Gamma, SIZES), (so.SquaredHinge, LABELS), (so.Quantile, Y)]
NAMES = [kind.__name__ for kind, _ in KINDS]


def pinball(r, quantile):
    return cp.maximum(quantile * r, (quantile - 1) * r)


def as_cvxpy(loss, alpha, design=X):
    """The same problem written apart from ours; returns its optimal value."""
    w, b = cp.Variable(P), cp.Variable() if loss.intercept else 0.0
    z, y = loss.offset.added_to(np.zeros(N)) + design @ w + b, loss.y
    match loss:
        case so.Poisson():
            phi = cp.exp(z) - cp.multiply(y, z) + np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0.0)
        case so.Gamma():
            phi = cp.multiply(y, cp.exp(-z)) + z - np.log(y) - 1.0
        case so.SquaredHinge():
            phi = cp.square(cp.pos(1.0 - cp.multiply(y, z))) / 2
        case so.Quantile():
            part = cp.Variable(N)
            phi = pinball(part, loss.quantile) + cp.square(y - z - part) / (2 * loss.smoothing)
    weights = np.broadcast_to(loss.sample_weight.values, N)
    problem = cp.Problem(cp.Minimize(weights @ phi + alpha * cp.norm1(w)))
    return problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
@pytest.mark.parametrize("intercept", [False, True], ids=["plain", "intercept"])
@pytest.mark.parametrize(("kind", "y"), KINDS, ids=NAMES)
def test_the_optimum_is_cvxpys(kind, y, intercept, solver):
    """With weights and offsets: the bound is never above the optimum, and tight at the solution."""
    design = sparse.csc_array(np.where(np.abs(X) > 0.3, X, 0.0)) if intercept else X
    loss = kind(design, y, WEIGHTS, intercept, offset=OFFSET)
    alpha = 0.2 * so.alpha_max(loss)
    problem = so.Problem(loss, so.L1(alpha))
    solution = so.solve(problem, solver, tol=1e-8, max_iter=50_000)
    optimum = as_cvxpy(loss, alpha, loss.X.to_array())
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert solution.certificate.objective == pytest.approx(optimum, rel=2e-8)
    for scale in (0.0, 0.5, 0.9, 1.0, 3.0):
        there = so.certify(problem, scale * solution.w)
        assert there.lower_bound <= optimum * (1 + 1e-9)
    solution.certificate.verify(problem)


@pytest.mark.parametrize("intercept", [False, True], ids=["plain", "intercept"])
@pytest.mark.parametrize(
    ("kind", "theirs", "y"), [(so.Poisson, PoissonRegressor, COUNTS), (so.Gamma, GammaRegressor, SIZES)]
)
def test_a_ridge_is_scikit_learns(kind, theirs, y, intercept):
    model = theirs(alpha=0.1, fit_intercept=intercept, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=WEIGHTS)
    loss = kind(X, y, sample_weight=WEIGHTS, intercept=intercept)
    solution = so.solve(so.Problem(loss, so.Ridged(so.Zero(), 0.1)), tol=1e-12)
    # two points whose gaps are e lie within 2 sqrt(2 e / 0.1); scikit-learn stops at a slope of 1e-10
    np.testing.assert_allclose(solution.w, model.coef_, atol=1e-5)
    np.testing.assert_allclose(solution.intercept, model.intercept_, atol=1e-5)
    np.testing.assert_allclose(np.exp(loss.predict(solution.w)), model.predict(X), rtol=1e-4)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_the_squared_hinge_is_that_of_support_vector_machines(penalty):
    C = 0.05
    model = LinearSVC(
        penalty=penalty, loss="squared_hinge", C=C, fit_intercept=False, dual=False, tol=1e-10, max_iter=100_000
    ).fit(X, LABELS)
    strength = 1.0 / (2.0 * C * N)
    term = so.L1(strength) if penalty == "l1" else so.Ridged(so.Zero(), strength)
    solution = so.solve(so.Problem(so.SquaredHinge(X, LABELS), term), tol=1e-12)
    np.testing.assert_allclose(solution.w, model.coef_[0], atol=1e-4)


@pytest.mark.parametrize("quantile", [0.2, 0.5])
def test_the_smoothed_pinball_comes_as_near_as_its_bound_says(quantile):
    """Towards quantile regression as the width shrinks, and from below: its bound is one for the exact problem."""
    alpha = 0.03
    model = QuantileRegressor(quantile=quantile, alpha=alpha, solver="highs").fit(X, Y)
    r = Y - model.predict(X)
    best = np.mean(np.maximum(quantile * r, (quantile - 1) * r)) + alpha * np.abs(model.coef_).sum()
    excess = []
    for width in (1.0, 0.1, 0.01):
        loss = so.Quantile(X, Y, intercept=True, quantile=quantile, smoothing=width)
        solution = so.solve(so.Problem(loss, so.L1(alpha)), so.ProximalGradient(), max_iter=50_000)
        room = width * max(quantile, 1 - quantile) ** 2 / 2
        exact = loss.pinball(solution.w) + alpha * np.abs(solution.w).sum()
        assert solution.certificate.lower_bound <= best <= exact
        assert loss.evaluate(solution.w) <= loss.pinball(solution.w) <= loss.evaluate(solution.w) + room
        assert exact - best <= room + solution.certificate.gap
        excess.append(exact - best)
    assert excess[2] < 1e-3 * best
    assert excess[2] < excess[0]


def test_the_default_width_follows_the_scale_of_y():
    for scale in (1e-6, 1.0, 1e6):
        loss = so.Quantile(X, scale * (Y + 7.0), quantile=0.3)
        assert loss.smoothing == pytest.approx(scale * so.Quantile(X, Y, quantile=0.3).smoothing)
        largest_difference = loss.smoothing * 0.7**2 / 2
        best = min(np.mean(np.maximum(0.3 * (loss.y - c), -0.7 * (loss.y - c))) for c in loss.y)
        assert largest_difference == pytest.approx(0.03 * best)
    assert so.Quantile(X, np.full(N, 2.0)).smoothing > 0.0
    assert so.Quantile(X, np.zeros(N)).smoothing > 0.0


@pytest.mark.parametrize("intercept", [False, True], ids=["plain", "intercept"])
@pytest.mark.parametrize(
    ("kind", "y"), [*KINDS, (so.LeastSquares, Y), (so.Huber, Y), (so.Logistic, LABELS)], ids=lambda kind: str(kind)[:40]
)
def test_an_offset_in_the_span_of_x_shifts_the_coefficients(kind, y, intercept):
    """f with offset X v at w is f at w + v: the same value, slope, fitted values and intercept."""
    options = {"smoothing": 0.5} if kind is so.Quantile else {}
    w, v = RNG.standard_normal((2, P)) / 3
    plain = kind(X, y, WEIGHTS, intercept, **options)
    moved = kind(X, y, WEIGHTS, intercept, offset=X @ v, **options)
    assert moved.evaluate(w) == pytest.approx(plain.evaluate(w + v), rel=1e-12)
    np.testing.assert_allclose(moved.gradient(w), plain.gradient(w + v), atol=1e-12)
    np.testing.assert_allclose(moved.predict(w), plain.predict(w + v), atol=1e-11)
    assert moved.intercept_at(w) == pytest.approx(plain.intercept_at(w + v), abs=1e-11)
    # a constant in the offset is taken up by the intercept
    if intercept:
        lifted = kind(X, y, WEIGHTS, True, offset=np.full(N, 0.7), **options)
        assert lifted.evaluate(w) == pytest.approx(plain.evaluate(w), rel=1e-12)
        assert lifted.intercept_at(w) == pytest.approx(plain.intercept_at(w) - 0.7, abs=1e-11)


def test_an_offset_of_logarithms_of_exposures_is_a_model_of_rates():
    """Counts with offset log(t) and weights s have the slopes of rates y / t with weights s t."""
    exposure = RNG.uniform(0.5, 4.0, N)
    counts = so.Poisson(X, COUNTS, WEIGHTS, True, offset=np.log(exposure))
    rates = so.Poisson(X, COUNTS / exposure, WEIGHTS * exposure, True)
    factor = np.sum(WEIGHTS * exposure) / np.sum(WEIGHTS)
    for w in (np.zeros(P), W):
        np.testing.assert_allclose(counts.gradient(w), factor * rates.gradient(w), atol=1e-12)
        assert counts.intercept_at(w) == pytest.approx(rates.intercept_at(w), abs=1e-12)


@pytest.mark.parametrize(("kind", "y"), [(so.Poisson, COUNTS), (so.Gamma, SIZES)], ids=NAMES[:2])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_no_start_is_too_steep(kind, y, solver):
    """From fitted values of some hundreds the exponentials overflow nothing, and the run ends at the optimum."""
    problem = so.Problem(kind(X, y, intercept=True), so.L1(0.05))
    best = so.solve(problem, tol=1e-9).certificate.objective
    for w0 in (np.full(P, 5.0), np.full(P, -50.0), np.full(P, 200.0)):
        assert np.isfinite(problem.objective(w0))
        assert np.all(np.isfinite(problem.loss.gradient(w0)))
        solution = so.solve(problem, solver, w0, max_iter=50_000)
        assert solution.certificate.objective == pytest.approx(best, rel=2e-6)


@pytest.mark.parametrize(("kind", "y"), [(so.Poisson, COUNTS), (so.Gamma, SIZES)], ids=NAMES[:2])
@pytest.mark.parametrize("solver", [*SOLVERS, so.CoordinateDescent(newton=False)], ids=repr)
def test_descent_without_a_bound_on_the_curvature_never_rises(kind, y, solver):
    problem = so.Problem(kind(X, 1e4 * y), so.MCP(10.0))
    heights = []
    monotone = so.ProximalGradient(monotone=True) if isinstance(solver, so.ProximalGradient) else solver
    so.solve(problem, monotone, callback=lambda _, w: heights.append(problem.objective(w)), max_iter=2000)
    assert np.all(np.diff(heights) <= 1e-12 * heights[0])


@pytest.mark.parametrize(("kind", "y"), [(so.Poisson, COUNTS), (so.Gamma, SIZES)], ids=NAMES[:2])
def test_subsets_of_a_loss_without_a_bound(kind, y):
    """Hard thresholding is refitted, and near the best two of eight columns, for targets far from the start."""
    loss = kind(X, 1e3 * y, intercept=True)

    def fit(columns):
        part = so.Problem(loss.restrict(np.array(columns)))
        return so.solve(part, tol=1e-9).certificate.objective

    best = min(fit([i, j]) for i in range(P) for j in range(i))
    found = so.solve(so.Problem(loss, constraint=so.Cardinality(2)))
    assert found.status is so.Status.CONVERGED
    assert found.certificate.objective == pytest.approx(fit(found.support), rel=1e-8)
    assert best * (1 - 1e-8) <= found.certificate.objective <= 1.05 * best


def test_what_has_no_bound_says_so():
    loss = so.Poisson(X, COUNTS)
    assert not loss.has_bounded_curvature
    assert loss.lipschitz() == np.inf
    assert np.all(loss.curvatures() == np.inf)
    with pytest.raises(TypeError, match=r"the curvature of Poisson has no bound; hessian_near\(w, d\)"):
        loss.hessian_bound(np.zeros(P))
    exact = X.T @ (X * (np.exp(X @ W) / N)[:, None])
    np.testing.assert_allclose(loss.hessian_near(W, W), exact @ W)
    np.testing.assert_allclose(loss.curvatures_near(W), exact.diagonal())
    assert loss.lipschitz_near(W) == pytest.approx(np.linalg.eigvalsh(exact)[-1])


def test_a_perfect_fit_has_no_loss():
    z = X @ W
    assert so.Poisson(X, np.exp(z)).evaluate(W) == pytest.approx(0.0, abs=1e-16)
    assert so.Gamma(X, np.exp(z)).evaluate(W) == pytest.approx(0.0, abs=1e-16)
    assert so.Quantile(X, z).evaluate(W) == pytest.approx(0.0, abs=1e-14)
    assert so.SquaredHinge(X, np.sign(z)).evaluate(1e9 * W) == 0.0


@pytest.mark.parametrize("kind", [so.Poisson, so.Gamma])
def test_one_row_is_fitted_by_its_intercept(kind):
    for y in (3.0, 1e-8, 12345.678):
        solution = so.solve(so.Problem(kind(X[:1], [y], intercept=True), so.L1(0.01)))
        assert solution.status is so.Status.CONVERGED
        assert solution.intercept == pytest.approx(np.log(y))


@pytest.mark.parametrize("kind", [so.Poisson, so.Gamma])
def test_the_deviance_keeps_its_digits_near_a_perfect_fit(kind):
    """phi is (z - log y)**2 / 2 to first order, times y for counts."""
    for y in (1e-3, 1.0, 1e6):
        loss = kind(X[:1], [y])
        for d in (1e-3, -1e-5, 1e-6):
            height = loss.value(loss.y[0], np.log(y) + d)
            exact = d * d / 2 * (1 + (d if kind is so.Poisson else -d) / 3) * (y if kind is so.Poisson else 1.0)
            assert height == pytest.approx(exact, rel=abs(d) + 1e-8)


def test_labels_may_be_zero_and_one_or_all_the_same():
    np.testing.assert_array_equal(so.SquaredHinge(X, LABELS > 0).y, LABELS)
    solution = so.solve(so.Problem(so.SquaredHinge(X, np.ones(N), intercept=True), so.L1(0.1)))
    assert solution.certificate.objective == 0.0
    assert solution.intercept >= 1.0


BAD = [
    (so.Poisson, {"y": np.where(np.arange(N) == 4, -1.0, COUNTS)}, "y is -1 in row 4; Poisson takes counts or rates"),
    (so.Poisson, {"y": np.zeros(N), "intercept": True}, "y is zero wherever it has weight, .* minus infinity; give"),
    (
        so.Poisson,
        {"y": np.arange(N) < 3, "sample_weight": np.arange(N) >= 3, "intercept": True},
        "y is zero wherever it has weight",
    ),
    (so.Poisson, {"y": np.where(np.arange(N) == 4, np.nan, COUNTS)}, "y contains NaN or infinity in row 4"),
    (so.Gamma, {"y": np.where(np.arange(N) == 7, 0.0, SIZES)}, "y is 0 in row 7; Gamma takes positive targets: drop"),
    (so.Gamma, {"y": -SIZES}, "y is -.* in row 0; Gamma takes positive targets"),
    (so.SquaredHinge, {"y": np.arange(N)}, r"y must be binary, in {-1, 1} or {0, 1}, got the values 0, 1, 2, 3"),
    (so.Quantile, {"y": Y, "quantile": 0.0}, "quantile must be greater than 0, got 0"),
    (so.Quantile, {"y": Y, "quantile": 1.0}, "quantile must be less than 1, got 1; the median is 0.5"),
    (so.Quantile, {"y": Y, "quantile": "median"}, "quantile must be a real number, got 'median'"),
    (so.Quantile, {"y": Y, "smoothing": 0.0}, "smoothing must be greater than 0, got 0"),
    *(
        (kind, {"y": y, **bad}, message)
        for kind, y in [*KINDS, (so.LeastSquares, Y), (so.Logistic, LABELS), (so.Huber, Y)]
        for bad, message in [
            ({"offset": np.zeros(N - 1)}, f"offset has {N - 1} entries for {N} samples; their lengths must match"),
            ({"offset": 1.0}, "offset must be 1-D"),
            ({"offset": np.full(N, np.nan)}, "offset contains NaN or infinity in row 0"),
            ({"y": y[:-1]}, f"y has {N - 1} entries for {N} samples"),
        ]
    ),
]


@pytest.mark.parametrize(("kind", "options", "message"), BAD)
def test_bad_input_is_refused_in_words(kind, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        kind(X, **options)


def test_a_poisson_loss_without_counts_has_no_need_of_an_intercept():
    solution = so.solve(so.Problem(so.Poisson(X, np.zeros(N)), so.L1(0.1)))
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize(
    ("kind", "y"), [*KINDS, (so.Logistic, LABELS), (so.LeastSquares, Y)], ids=lambda kind: str(kind)[:40]
)
def test_what_is_lent_stays_as_it_is(kind, y):
    lent = X.copy(), y.copy(), WEIGHTS.copy(), OFFSET.copy()
    for array in lent:
        array.flags.writeable = False
    so.solve(so.Problem(kind(lent[0], lent[1], lent[2], True, offset=lent[3]), so.L1(0.05)))
    for array, before in zip(lent, (X, y, WEIGHTS, OFFSET), strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("reach", [1e-9, 1.0, 20.0, 800.0])
@pytest.mark.parametrize(
    ("kind", "y"), [*KINDS, (so.Logistic, LABELS), (so.Huber, Y)], ids=[*NAMES, "Logistic", "Huber"]
)
def test_value_and_slope_at_once_are_those_one_by_one(kind, y, reach):
    """Also of labels that are so far out that an exponential is beyond all numbers."""
    loss, z = kind(X, y), np.linspace(-1.0, 1.0, N) * reach
    with np.errstate(over="ignore", invalid="ignore"):
        values, slopes = loss.value_and_slope(loss.y, z)
        apart = loss.value(loss.y, z), loss.slope(loss.y, z)
    # a few roundings each; what exp has clamped is as good as zero
    np.testing.assert_allclose(values, apart[0], rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(slopes, apart[1], rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("kind", [so.Huber, so.Quantile])
@pytest.mark.parametrize("height", [1e5, -1e9, 1e13])
def test_targets_far_from_zero_have_the_intercept_of_those_near_by(kind, height):
    """No slope of these losses tells how far its root is; the compiled search is that of the numpy one."""
    scale = abs(height) * 1e-12  # the rounding of targets of this size
    width = {"delta": 1.0} if kind is so.Huber else {"smoothing": 1.0}
    near, far = (kind(X, y, intercept=True, **width) for y in (Y, Y + height))
    w = W + 0.1
    assert far.intercept_at(w) - height == pytest.approx(near.intercept_at(w), abs=1e-9 + scale)
    u, slope = np.zeros(N + 1), np.zeros(P)
    far.backward(w, far.image(w), u, slope)
    assert abs(np.sum(u[:-1])) <= 1e-9 + scale


def test_columns_far_from_zero_are_those_near_by_where_there_is_an_intercept():
    solved = [
        so.solve(so.Problem(so.Huber(X + height, Y, intercept=True, delta=0.5), so.L1(0.02))) for height in (0.0, 1e6)
    ]
    assert all(solution.status is so.Status.CONVERGED for solution in solved)
    assert solved[1].certificate.objective == pytest.approx(solved[0].certificate.objective, rel=2e-6)
    assert solved[1].iterations <= 2 * solved[0].iterations


@pytest.mark.parametrize("loss", [so.Gamma, so.Poisson])
def test_the_objective_of_data_in_single_precision_is_summed_in_double(loss):
    """Near a perfect fit it is the difference of much larger numbers, among them the logarithms of targets."""
    X = np.array([[0.36512104, 0.1], [0.2, -0.4], [1.0, 0.3], [-0.7, 0.9]], dtype=np.float32)
    w = np.array([0.5, -0.2])
    y = (1.01 * np.exp(X.astype(np.float64) @ w)).astype(np.float32)
    single, double = loss(X, y), loss(X.astype(np.float64), y.astype(np.float64))
    assert single.evaluate(w) == pytest.approx(double.evaluate(w), rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["uniform", "weighted"])
@pytest.mark.parametrize("offset", [None, OFFSET], ids=["plain", "offset"])
def test_one_look_at_a_sparse_x_says_what_its_products_say(weights, offset):
    thin = X * (np.random.default_rng(5).random(X.shape) < 0.3)
    thin[:, 2] = 0.0
    known, other = (so.LeastSquares(kind, Y, weights, offset=offset) for kind in (sparse.csc_array(thin), thin))
    nothing = np.zeros(P)
    np.testing.assert_allclose(known.gradient(nothing), other.gradient(nothing), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(known.curvatures(), other.curvatures(), rtol=1e-12)
    assert known.value_at_zero() == pytest.approx(other.evaluate(nothing), rel=1e-14)
    # at another point they are asked for again
    np.testing.assert_allclose(known.gradient(W), other.gradient(W), rtol=1e-12, atol=1e-15)
