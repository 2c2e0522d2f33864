"""`WorkingSet`: the optimum of plain coordinate descent, its linear algebra, its limits and its float32 copy."""

import itertools
import time
from dataclasses import dataclass
from types import FunctionType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse

import sparseopt as so
from sparseopt._jit import kernel
from sparseopt.conjugates import convex_form, penalty_value
from sparseopt.designs import CSC, CenteredDense, Dense
from sparseopt.inputs import as_design
from sparseopt.kernels import columns as column_kernels
from sparseopt.kernels import gram as gram_kernels
from sparseopt.kernels.sketch import pull_sketch
from sparseopt.losses import first_look
from sparseopt.penalties import concavity, straightened, strengthened
from sparseopt.solvers import working_set
from sparseopt.solvers.working import concave_search, working_plan
from sparseopt.solvers.working.gram_model import GramModel
from sparseopt.solvers.working.local_forms import local_form
from sparseopt.solvers.working.newton import slide
from sparseopt.solvers.working.support_system import SupportSystem
from sparseopt.solvers.working.working_columns import WorkingColumns
from sparseopt.solvers.working.working_plan import entering_features

RNG = np.random.default_rng(11)
N, P = 60, 90
X = RNG.standard_normal((N, P))
X[:, 7] = 0.0
X[:, 9] = X[:, 8]
S = sparse.csc_array(np.where(np.abs(X) > 1.0, X, 0.0))
THIN = sparse.random_array((N, P), density=0.1, rng=RNG, format="csc")
Y = X[:, :6] @ [2.0, -1.0, 0.5, 1.0, -0.3, 0.2] + 0.1 * RNG.standard_normal(N) + 1.0
SAMPLES = RNG.uniform(0.0, 2.0, N)
SAMPLES[3] = 0.0
WEIGHTS = RNG.uniform(0.0, 2.0, P)
WEIGHTS[[0, 5, 7]] = 0.0


@dataclass(frozen=True)
class Shrinkage(so.Penalty):
    """A user's convex penalty without a convex form."""

    alpha: float
    is_convex = True

    def value(self, w):
        return self.alpha * abs(w) + w * w

    def prox(self, v, step):
        return max(v - step * self.alpha, 0.0) / (1 + 2 * step) + min(v + step * self.alpha, 0.0) / (1 + 2 * step)


PENALTIES = [
    so.L1(0.1),
    so.L1(1e-3),
    so.L1(1e3),
    so.Ridged(so.L1(0.1), 0.2),
    so.Ridged(so.Zero(), 0.1),
    so.Weighted(so.L1(0.1), WEIGHTS),
    so.Weighted(so.L1(0.1), np.zeros(P)),
    so.Nonnegative(so.L1(0.1)),
    so.Weighted(so.Ridged(so.L1(0.1), 0.1), WEIGHTS),
    so.L1(0.0),
    Shrinkage(0.1),
]
LOSSES = [
    pytest.param(so.LeastSquares(design, Y, weight, intercept), id=f"{name}-{kind}-{intercept}")
    for (name, design), (kind, weight), intercept in itertools.product(
        (("dense", X), ("CSC", S), ("thin CSC", THIN), ("float32", X.astype(np.float32))),
        (("uniform", None), ("weighted", SAMPLES)),
        (False, True),
    )
]
BOXES = [so.Box(-0.2, 0.3), so.Box(0.1, 1.0), so.Box(-1.0, -0.1), so.Box(0.2, 0.2), so.Box(0.0, np.inf)]


def solve_both(problem, w0=None):
    single = problem.dtype == np.float32
    # a run ends where slopes are 8 roundings of those at zero, 5e-7 of float32; times |w|, 5, over the least objective, .06
    tol = 4e-5 if single else 1e-9
    ours = so.solve(problem, so.WorkingSet(), w0, tol=tol)
    plain = so.solve(problem, so.CoordinateDescent(), w0, tol=tol, max_iter=100_000)
    # what both may miss, relative to the start: the tolerance, and rounding of float32
    return ours, plain, (1e-5 if single else 1e-8) * problem.loss.evaluate(np.zeros(P))


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: f"{penalty!r:.30}")
@pytest.mark.parametrize("loss", LOSSES)
def test_the_optimum_is_that_of_coordinate_descent(loss, penalty):
    ours, plain, slack = solve_both(so.Problem(loss, penalty))
    # float32 stalls where the fit is nearly perfect, and says so: plain descent does, too, or ends there by luck where
    # the gap is over a millionth of the objective at zero
    start = loss.evaluate(np.zeros(P))
    is_perfect = loss.dtype == np.float32 and max(ours.certificate.objective, ours.certificate.gap) <= 1e-9 * start
    assert ours.status in (so.Status.CONVERGED, so.Status.STALLED if is_perfect else plain.status)
    assert ours.certificate.objective <= plain.certificate.objective + slack
    assert ours.w.dtype == loss.dtype


@pytest.mark.parametrize("box", BOXES, ids=repr)
@pytest.mark.parametrize("loss", LOSSES[::3])
def test_a_box_holds_wherever_the_run_begins(loss, box):
    """Also a box without zero, and a start outside of it."""
    for penalty, w0 in itertools.product((so.L1(0.1), so.Zero()), (None, np.linspace(-3.0, 3.0, P))):
        problem = so.Problem(loss, penalty, box)
        ours, plain, slack = solve_both(problem, w0)
        assert ours.status is so.Status.CONVERGED
        assert ours.certificate.objective <= plain.certificate.objective + slack
        # a bound itself is rounded where w is float32
        assert problem.violation(ours.w) <= (1e-7 if loss.dtype == np.float32 else 0.0)


@pytest.mark.parametrize("penalty", [*PENALTIES, so.MCP(0.1), so.L0(0.01)], ids=lambda penalty: f"{penalty!r:.30}")
def test_a_start_of_ones_brings_a_column_of_zeros_to_zero(penalty):
    """The loss says nothing there, so that the penalty alone decides."""
    solution = so.solve(so.Problem(so.LeastSquares(X, Y), penalty), so.WorkingSet(), np.ones(P), tol=1e-9)
    is_free = isinstance(penalty, so.Weighted) or penalty == so.L1(0.0)
    assert abs(solution.w[7]) <= 1e-6 or is_free
    assert np.all(np.isfinite(solution.w))


@pytest.mark.parametrize("intercept", [False, True])
def test_one_sample_and_one_feature(intercept):
    for design in (X[:1], X[:, :1], np.zeros((N, 3))):
        loss = so.LeastSquares(design, Y[: len(design)], intercept=intercept)
        for penalty in (so.L1(0.1), so.MCP(0.1), so.Nonnegative(so.Zero())):
            w0 = -np.ones(design.shape[1])
            solution = so.solve(so.Problem(loss, penalty), so.WorkingSet(), w0)
            assert solution.status is so.Status.CONVERGED
            assert np.isfinite(solution.certificate.objective)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES[:6], ids=lambda penalty: f"{penalty!r:.30}")
def test_a_copy_in_float32_changes_nothing_beyond_the_tolerance(penalty, intercept, monkeypatch):
    """The copy screens and makes a model; what is proven comes from X."""
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    problem = so.Problem(so.LeastSquares(X, Y, intercept=intercept), penalty)
    with_copy, without = (
        so.solve(problem, so.WorkingSet(single_precision=single), tol=1e-10) for single in (True, False)
    )
    for solution in (with_copy, without):
        assert solution.status is so.Status.CONVERGED
        solution.require(gap=1e-9)
    lowest = min(with_copy.certificate.objective, without.certificate.objective)
    assert max(with_copy.certificate.objective, without.certificate.objective) <= lowest * (1 + 2e-9)


@pytest.mark.parametrize("options", [{}, {"intercept": True}], ids=["plain", "intercept"])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["alike", "weighted"])
def test_the_look_at_the_door_finds_what_later_looks_find(options, is_weighted):
    """Slopes at zero, curvatures, means and solutions are those of a loss that the door has not read; X is only read."""
    random = np.random.default_rng(3)
    wide = np.asfortranarray(random.standard_normal((250, 503)) + 2.0)
    wide[:, 5], wide[:, 6], wide[:, 8] = 0.0, 2.5, wide[:, 7]
    target = wide[:, 10:20] @ np.ones(10) + random.standard_normal(250)
    wide.flags.writeable = False
    weight = np.where(np.arange(250) < 5, 0.0, random.random(250)) if is_weighted else None
    read = so.LeastSquares(wide, target, weight, **options)
    unread = so.LeastSquares(Dense(wide), target, weight, **options)
    assert read.first_look() is read.first_look()
    assert unread.first_look() is not unread.first_look()
    zero = np.zeros(503)
    np.testing.assert_allclose(read.gradient(zero), unread._gradient_at(zero), rtol=0, atol=1e-13)
    np.testing.assert_allclose(read.curvatures(), unread.curvatures(), rtol=1e-13)
    if options:
        np.testing.assert_allclose(read.X.means, unread.X.means, rtol=1e-14)
    penalty = so.L1(so.alpha_max(read) / 20)
    solutions = [so.solve(so.Problem(loss, penalty), so.WorkingSet(), tol=1e-9) for loss in (read, unread)]
    for solution in solutions:
        solution.require(gap=1e-9)
    np.testing.assert_allclose(*(solution.certificate.objective for solution in solutions), rtol=2e-9)


def test_a_sketch_is_multiplied_whatever_the_number_of_its_columns():
    """Four columns are read together, of which some are read twice."""
    for p in range(1, 10):
        sketch = np.asfortranarray(RNG.integers(-32_000, 32_000, (30, p)).astype(np.int16))
        u, units, out = RNG.standard_normal(30).astype(np.float32), RNG.random(p), np.empty(p)
        pull_sketch(sketch, units, u, out)
        # thirty products in float32
        size = units * (np.abs(sketch.T.astype(np.float64)) @ np.abs(u))
        assert np.all(np.abs(out - units * (sketch.T.astype(np.float64) @ u)) <= 30 * np.finfo(np.float32).eps * size)


def test_some_columns_are_read_whatever_their_number():
    """Four columns are read together, of which the last may be read several times."""
    values, u, root = np.asfortranarray(RNG.standard_normal((30, 12))), RNG.standard_normal(30), RNG.random(30)
    means = RNG.standard_normal(12)
    for count in range(10):
        columns, products, cast = RNG.permutation(12)[:count], np.empty(count), np.empty((30, count), order="F")
        column_kernels.pull_dense(values, columns, u, products)
        np.testing.assert_allclose(products, values[:, columns].T @ u, rtol=1e-12, atol=1e-12)
        least, most = column_kernels.cast_columns(values, means, root, columns, cast)
        expected = root[:, None] * (values - means)[:, columns]
        np.testing.assert_allclose(cast, expected, rtol=1e-12)
        squares = np.sum(expected**2, axis=0)
        np.testing.assert_allclose([least, most], [squares.min(initial=np.inf), squares.max(initial=0.0)], rtol=1e-12)


@pytest.mark.parametrize("means", [None, np.arange(7.0)], ids=["plain", "centred"])
def test_a_dense_design_is_multiplied_by_several_vectors_as_by_each(means):
    """Whatever the order of the vectors in memory."""
    values = np.asfortranarray(RNG.standard_normal((30, 7)))
    design = Dense(values) if means is None else CenteredDense(values, means)
    u = RNG.standard_normal((30, 3))
    expected = np.column_stack([design.rmatvec(np.ascontiguousarray(column)) for column in u.T])
    for several in (u, np.asfortranarray(u), u[::-1][::-1]):
        np.testing.assert_allclose(design.rmatvec(several), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50, 200])
def test_a_large_design_is_multiplied_by_few_nonzeros_without_a_copy(count):
    """The same sum as of all columns, from an X of so many entries that copies are avoided."""
    design = Dense(np.asfortranarray(RNG.standard_normal((5300, 400))))
    w = np.zeros(400)
    w[RNG.permutation(400)[:count]] = RNG.standard_normal(count)
    w.flags.writeable = False
    np.testing.assert_allclose(design.matvec(w), design.values @ w, rtol=1e-12, atol=1e-12)


def test_few_features_enter_in_vain_where_each_is_a_row_of_a_gram_matrix():
    """Neighbours of the features of a signal violate optimality only until those have grown: the set is solved first."""
    random = np.random.default_rng(0)
    tall = random.standard_normal((3000, 300))
    for j in range(1, 300):
        tall[:, j] = 0.5 * tall[:, j - 1] + np.sqrt(0.75) * tall[:, j]
    target = tall[:, random.choice(300, 20, replace=False)] @ np.ones(20)
    loss = so.LeastSquares(tall, target + np.std(target) * random.standard_normal(3000) / 2)
    solution = so.solve(so.Problem(loss, so.L1(so.alpha_max(loss) / 10)), so.WorkingSet(fewest=30))
    solution.require(gap=1e-6)
    size = int(solution.account.split()[3])
    assert solution.support.size <= size <= 2 * solution.support.size


def test_no_more_features_enter_than_are_missing_but_for_a_few(monkeypatch):
    """Each is a row of a Gram matrix, and others would violate nothing."""
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    random = np.random.default_rng(0)
    wide = random.standard_normal((200, 1000))
    loss = so.LeastSquares(wide, wide[:, :20] @ np.ones(20) + random.standard_normal(200))
    problem = so.Problem(loss, so.L1(so.alpha_max(loss) / 10))
    entered, plain = [], working_set.entering_features

    def record(is_in, slopes, outside, count):
        new = plain(is_in, slopes, outside, count)
        entered.append(new.size - np.count_nonzero(outside))
        return new

    monkeypatch.setattr(working_set, "entering_features", record)
    so.solve(problem, so.WorkingSet()).require(gap=1e-6)
    assert max(entered) <= working_set._SPARE


@pytest.mark.parametrize(("drift", "count"), [(0.0, 1), (np.inf, 2)])
def test_slopes_of_the_set_are_made_exact_again_where_rounding_may_show(drift, count, monkeypatch):
    """After a last small move, a look at them would find what the model has."""
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    monkeypatch.setattr(GramModel, "drift", drift)
    looks, plain = [], WorkingColumns.exact_slopes
    monkeypatch.setattr(WorkingColumns, "exact_slopes", lambda *args: looks.append(1) or plain(*args))
    random = np.random.default_rng(0)
    wide = random.standard_normal((200, 1000))
    loss = so.LeastSquares(wide, wide[:, :20] @ np.ones(20) + random.standard_normal(200))
    so.solve(so.Problem(loss, so.L1(so.alpha_max(loss) / 10)), so.WorkingSet()).require(gap=1e-6)
    assert len(looks) == count


def test_columns_far_from_zero_are_not_sketched(monkeypatch):
    """In units of their length they are nearly the same, so that a sketch lets in any feature but the right ones."""
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((60, 400))
    target = wide[:, :5] @ np.ones(5) + rng.standard_normal(60)
    loss = so.LeastSquares(wide + 1e3, target - target.mean())
    solution = so.solve(so.Problem(loss, so.L1(so.alpha_max(loss) / 30)), so.WorkingSet(), max_iter=50)
    assert solution.status is so.Status.CONVERGED
    assert "float64" in solution.account


@pytest.mark.parametrize("kind", [Dense, CSC])
def test_only_points_that_may_be_the_last_are_multiplied_by_all_of_the_design(kind, monkeypatch):
    """What screens are the sketch, or the residual that is carried along until the penalty is the problem's.

    Slopes at zero come from the door where X is dense.
    """
    looks = []
    plain = kind.rmatvec
    monkeypatch.setattr(kind, "rmatvec", lambda self, u: looks.append(self.shape[1]) or plain(self, u))
    random = np.random.default_rng(0)
    wide = random.standard_normal((200, 1000))
    if kind is CSC:
        wide = sparse.random_array((200, 1000), density=0.05, rng=random, format="csc")
    target = wide[:, :20] @ np.ones(20) + random.standard_normal(200)
    loss = so.LeastSquares(wide, target)
    solution = so.solve(so.Problem(loss, so.L1(so.alpha_max(loss) / 10)), so.WorkingSet())
    solution.require(gap=1e-6)
    assert looks.count(1000) == (1 if kind is Dense else 3)
    again = so.certify(so.Problem(so.LeastSquares(wide, target), so.L1(so.alpha_max(loss) / 10)), solution.w)
    assert again.relative_gap == pytest.approx(solution.certificate.relative_gap, abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
def test_those_enter_first_that_violate_optimality_most(seed, count):
    """Then those with steep slopes, half as many as violate it and ten more."""
    random = np.random.default_rng(seed)
    p = int(random.integers(1, 60))
    is_in, slopes = random.random(p) < random.random(), random.standard_normal(p)
    outside = np.where(is_in | (random.random(p) < random.random()), 0.0, random.random(p))
    violating = np.flatnonzero(outside)
    free = np.flatnonzero(~is_in)
    order = sorted(free, key=lambda j: (outside[j] == 0.0, -abs(slopes[j]) - outside[j]))
    expected = sorted(order[: min(count, int(1.5 * violating.size) + 10)]) if violating.size else []
    np.testing.assert_array_equal(entering_features(is_in, slopes, outside, count), expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_squares_of_sparse_columns_are_those_of_dense_ones(kind, is_weighted):
    """Also of columns without entries, at the ends as well, and of nothing but such columns."""
    thin = sparse.csc_array(np.where(np.arange(8) % 3 == 0, 0.0, THIN.toarray()[:, :8]).astype(kind))
    weights = SAMPLES.astype(kind) if is_weighted else kind(0.25)
    for part in (thin, thin[:, [1, 3]], thin[:, [0, 3]]):
        design = as_design(part)
        expected = np.broadcast_to(weights, N) @ part.toarray() ** 2
        np.testing.assert_allclose(design.weighted_squares(weights), expected, rtol=20 * np.finfo(kind).eps)
        assert design.weighted_squares(weights).dtype == kind


@pytest.mark.parametrize("scale", [1e-60, 1e-25, 1e25, 1e60])
def test_scales_beyond_float32_are_solved_without_a_copy(scale, monkeypatch):
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    for loss in (so.LeastSquares(scale * X, Y), so.LeastSquares(X, scale * Y, intercept=True)):
        so.solve(so.Problem(loss, so.L1(0.1 * so.alpha_max(loss))), so.WorkingSet()).require(gap=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shrink": 1.0}, "shrink must be between 0 and 1"),
        ({"concave_shrink": 0.0}, "concave_shrink must be between 0 and 1"),
        ({"fewest": 0}, "fewest must be at least 1"),
        ({"growth": -0.1}, "growth must be at least 0"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        so.WorkingSet(**options)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from([np.float32, np.float64]), is_curved=st.booleans())
def test_a_system_follows_any_change_of_the_support(seed, dtype, is_curved):
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 40))
    basis = random.standard_normal((2 * size + 5, size))
    gram = (basis.T @ basis / len(basis) + 0.1 * np.eye(size)).astype(dtype)
    ridge = np.full(size, 0.3 if is_curved else 0.0)
    system, support = SupportSystem(dtype), random.random(size) < 0.5
    for _ in range(12):
        support ^= random.random(size) < random.choice([0.02, 0.1, 0.5])
        chosen, right = np.flatnonzero(support), random.standard_normal(support.sum())
        if chosen.size == 0:
            continue
        exact = np.linalg.solve(
            gram[np.ix_(chosen, chosen)].astype(np.float64) + 1e-300 + np.diag(ridge[chosen]), right
        )
        found = system.solve(gram, ridge, chosen, right)
        # condition number below 100 times the precision
        accuracy = 1e-3 if dtype == np.float32 else 1e-9
        np.testing.assert_allclose(found, exact, atol=accuracy * np.abs(exact).max())
    assert system.factorisations <= 13


def test_an_indefinite_system_is_refused():
    gram = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert SupportSystem(np.float64).solve(gram, np.zeros(2), np.arange(2), np.ones(2)) is None


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from([np.float32, np.float64]))
def test_the_slope_of_a_model_is_its_gradient_after_any_operations(seed, dtype):
    random = np.random.default_rng(seed)
    design = random.standard_normal((30, 40)).astype(dtype)
    gram = design.T @ design
    gram = np.tril(gram) + np.tril(gram, -1).T  # symmetric to the last digit, as columns of working sets make it
    model, penalty = GramModel(dtype), so.L1(1.0)
    features = random.permutation(40)
    for batch in np.split(features, np.sort(random.choice(np.arange(1, 40), 3, replace=False))):
        known = np.append(model.features, batch)
        model.extend(batch, gram[np.ix_(batch, known)], random.standard_normal(batch.size), np.ones(batch.size))
        for operation in random.permutation(3):
            if operation == 0:
                model.descend(penalty, 1e-3, 2)
            elif operation == 1:
                model.anchor(random.standard_normal(model.size))
            else:
                model.minimise(penalty, convex_form(penalty, 40).restrict(model.features), 1e-6, 3)
            kept = model._gram[: model.size, : model.size].astype(np.float64)
            scale = np.abs(kept) @ np.abs(model.w) + np.abs(model.linear)
            error = np.abs(model.slope - kept @ model.w - model.linear)
            # slopes are sums of at most some thousand float64 terms, whatever the precision of the matrix
            assert np.all(error <= 1e-11 * scale.max() + 1e-300)


@pytest.mark.parametrize("seed", range(5))
def test_what_rounding_does_to_slopes_is_foreseen(seed):
    """An entry of G is off by half a unit of its size at most, the diagonal by eight more, which keep it definite."""
    random = np.random.default_rng(seed)
    design = random.standard_normal((300, 40))
    gram = design.T @ design
    model, penalty = GramModel(np.float32), so.L1(20.0)
    slopes = -design.T @ (design[:, :5] @ np.ones(5))
    model.extend(np.arange(40), gram.astype(np.float32), np.zeros(40), slopes)
    assert model.drift == np.inf
    model.anchor(slopes)
    assert model.drift == 0.0
    model.minimise(penalty, convex_form(penalty, 40), 1e-6, 10)
    error = np.max(np.abs(model.slope - slopes - gram @ model.w))
    assert 0.0 < error <= 9.0 * model.drift
    model.restrict(model.w != 0.0)
    assert model.drift == np.inf


def test_newton_steps_wait_where_features_are_missing():
    """Signs of neighbours keep still before descent has settled, and descent settles soon enough."""
    random = np.random.default_rng(0)
    design = random.standard_normal((200, 150))
    for j in range(1, 150):
        design[:, j] = 0.9 * design[:, j - 1] + np.sqrt(1 - 0.9**2) * design[:, j]
    gram, slopes = design.T @ design / 200, -design.T @ (design[:, ::3] @ np.ones(50)) / 200
    steps, penalty = [], so.L1(0.1)
    for is_last in (None, False):
        model = GramModel(np.float32, descends_far=False)
        model.extend(np.arange(150), gram.astype(np.float32), np.zeros(150), slopes)
        assert model.minimise(penalty, convex_form(penalty, 150), 0.02, 10, is_last=is_last)
        steps.append(model.newton_steps)
    assert steps[1] == 0 < steps[0]


def test_the_last_minimum_is_descended_to_where_a_newton_step_costs_more():
    """Columns that are nearly orthogonal are settled in a dozen epochs, a third of what factorising their matrix costs."""
    random = np.random.default_rng(0)
    design = random.standard_normal((1500, 450))
    gram, slopes = design.T @ design / 1500, -design.T @ (design[:, ::2] @ np.ones(225)) / 1500
    penalty, model = so.L1(0.1), GramModel(np.float32)
    model.extend(np.arange(450), gram.astype(np.float32), np.zeros(450), slopes)
    assert model.minimise(penalty, convex_form(penalty, 450), 1e-5, 10, is_last=True)
    assert model.newton_steps == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_that_is_thinned_out_is_the_model_of_what_is_left(dtype):
    """Its matrix is thinned in place: each entry must move before another is written over it."""
    random = np.random.default_rng(5)
    for size in (1, 7, 80, 150):
        gram = random.standard_normal((size, size)).astype(dtype)
        gram += gram.T + 4 * size * np.eye(size, dtype=dtype)
        model, keep = GramModel(dtype), random.random(size) < random.random()
        model.extend(np.arange(size), gram, np.where(keep, 1.0, 0.0), random.standard_normal(size))
        before, slope = model._gram[:size, :size].copy(), model.slope.copy()
        model.restrict(keep)
        assert np.array_equal(model._gram[: model.size, : model.size], before[np.ix_(keep, keep)])
        assert np.array_equal(model.features, np.flatnonzero(keep))
        assert np.array_equal(model.slope, slope[keep])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_columns_that_are_left_after_others_went_are_as_they_were(share):
    random = np.random.default_rng(7)
    loss = so.LeastSquares(random.standard_normal((50, 120)), random.standard_normal(50))
    columns, features = WorkingColumns(loss, single=False), random.permutation(120)[:40]
    before = columns.extend(features)
    keep = random.random(40) < share
    columns.restrict(keep)
    after = columns.extend(np.arange(120)[~np.isin(np.arange(120), features)][:10])
    assert after.shape == (10, np.count_nonzero(keep) + 10)
    everything = np.concatenate([features[keep], np.arange(120)[~np.isin(np.arange(120), features)][:10]])
    part = loss.X.values[:, everything] / np.sqrt(50)
    np.testing.assert_allclose(after, part[:, -10:].T @ part, atol=1e-13)
    assert before.shape == (40, 40)


def test_a_concave_penalty_lets_few_features_in_where_columns_are_long(monkeypatch):
    """A row of the Gram matrix of tall data costs more than a look, and so few samples a feature have few minima."""
    random = np.random.default_rng(1)
    tall = random.standard_normal((3000, 300))
    tall[:, 1:] = 0.6 * tall[:, :-1] + 0.8 * tall[:, 1:]
    target = tall[:, random.choice(300, 20, replace=False)] @ np.ones(20)
    loss = so.LeastSquares(tall, target + np.std(target) * random.standard_normal(3000) / 2)
    problem, counts, objectives = so.Problem(loss, so.MCP(so.alpha_max(loss) / 10)), [], []
    extend = WorkingColumns.extend

    def counted(columns, features):
        counts[-1] += features.size
        return extend(columns, features)

    monkeypatch.setattr(WorkingColumns, "extend", counted)
    for samples in (2000, 10**9):
        monkeypatch.setattr(working_plan, "_TALL", samples)
        counts.append(0)
        solution = so.solve(problem, so.WorkingSet(fewest=30), tol=1e-7)
        assert solution.status is so.Status.CONVERGED
        objectives.append(solution.certificate.objective)
    assert counts[0] < counts[1]
    assert objectives[0] <= objectives[1] * (1 + 1e-9)


def test_no_minimum_is_shaken_twice_in_the_same_way(monkeypatch):
    """From the same point the same way leads to the same end."""
    shaken, shake = [], GramModel.shake

    def noted(model, ways, penalty, *rest):
        shaken.append((model.w.tobytes(), repr(ways)))
        return shake(model, ways, penalty, *rest)

    monkeypatch.setattr(GramModel, "shake", noted)
    monkeypatch.setattr(working_set, "_PRODUCTS", 0.0)
    random = np.random.default_rng(0)
    wide = random.standard_normal((200, 500))
    target = wide[:, :50] @ np.ones(50) + 3.0 * random.standard_normal(200)
    loss = so.LeastSquares((wide - wide.mean(axis=0)) / wide.std(axis=0), target - target.mean())
    so.solve(so.Problem(loss, so.MCP(so.alpha_max(loss) / 20)), so.WorkingSet(), tol=1e-6)
    assert len(shaken) > 3
    assert len(set(shaken)) == len(shaken)


def model_of(loss, dtype=np.float64):
    """A model with all features of a dense loss, at zero."""
    X = loss.X.to_array()
    model = GramModel(dtype)
    gram = (X.T @ X / len(X)).astype(dtype)
    model.extend(np.arange(X.shape[1]), gram, np.zeros(X.shape[1]), np.array(loss.gradient(np.zeros(X.shape[1]))))
    return model


@pytest.mark.parametrize("penalty", [so.MCP(0.1), so.SCAD(0.1), so.LogSum(0.02, 0.3)], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kicks_and_shakes_end_no_higher_and_carry_the_slope_along(penalty, dtype):
    model = model_of(recovery_problem(2, penalty).loss, dtype)
    model.sweep(penalty, 1e-3, 100)
    linear, height = model.linear.copy(), model.height(penalty)
    place, kicks, misses = model.kick(penalty, 0, 30, 1e-7, 5, 1e-2, 1e-3, 10)
    assert 0 <= misses <= kicks <= 30
    assert 0 <= place < model.size
    kicked = model.height(penalty)
    assert kicked <= height
    assert misses == kicks or kicked < height
    kept = model.kept()
    reached = model.shake([penalty, strengthened(penalty, 0.5)], penalty, kept, kicked, 50, 1e-2, 1e-3)
    assert model.height(penalty) == pytest.approx(min(reached, kicked))
    assert np.array_equal(kept, model.kept())
    exact = linear + model._gram[: model.size, : model.size].astype(np.float64) @ model.w
    assert np.allclose(model.slope, exact, atol=1e-12)


def test_kicks_of_nothing_end_at_once():
    model = model_of(recovery_problem(2, so.MCP(0.1)).loss)
    assert model.kick(so.MCP(0.1), 3, 30, 1e-7, 5, 1e-2, 1e-3, 10)[1:] == (0, 0)


def test_kicks_lead_out_of_a_minimum_that_single_coordinates_cannot_leave():
    """Two features explain together what a third explains in part: descent that has begun with the third stays with it."""
    random = np.random.default_rng(0)
    X = np.linalg.qr(random.standard_normal((40, 3)))[0] * np.sqrt(40)
    X[:, 2] = (X[:, 0] + X[:, 1]) / np.sqrt(2)
    X[:, 2] += 0.4 * random.standard_normal(40)
    loss, penalty = so.LeastSquares(X, 2.0 * (X[:, 0] + X[:, 1])), so.MCP(0.6, 1.5)
    model = model_of(loss)
    model.restore(np.stack([w := np.array([0.0, 0.0, 2.5]), model.linear + model._gram[:3, :3] @ w]))
    model.sweep(penalty, 1e-9, 1000)
    assert np.array_equal(np.flatnonzero(model.w), [2])
    height = model.height(penalty)
    model.kick(penalty, 0, 30, 1e-7, 5, 1e-3, 1e-9, 10)
    assert model.height(penalty) < height


def test_few_features_are_all_taken_at_once_where_minima_are_searched_for():
    """Nothing has to be chosen then, and the first look at X and the last are all there are."""
    problem = recovery_problem(3, so.MCP(0.15))
    state = so.WorkingSet(fewest=5).init(problem, np.zeros(problem.n_features))
    assert state.model.size == problem.n_features
    assert state.minima is not None


@pytest.mark.parametrize("is_centred", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_few_columns_of_a_sparse_matrix_are_multiplied_like_all(dtype, is_centred):
    random = np.random.default_rng(3)
    for stored in (sparse.random_array((40, 1200), density=0.1, rng=random), sparse.csc_array((40, 1200))):
        loss = so.LeastSquares(sparse.csc_array(stored.astype(dtype)), np.arange(40.0), intercept=is_centred)
        X = loss.X.to_array()
        for count in (0, 1, 9, 500, 501, 700):
            w = np.zeros(1200)
            w[random.choice(1200, count, replace=False)] = random.standard_normal(count)
            found = loss.X.matvec(w)
            error = np.abs(found - X @ w)
            assert found.dtype == np.float64
            assert np.all(error <= 4 * np.finfo(dtype).eps * (np.abs(X) @ np.abs(w)).max(initial=0.0) + 1e-300)


@pytest.mark.parametrize(
    "penalty", [so.L1(0.3), so.MCP(0.3), so.Weighted(so.L1(0.3), WEIGHTS)], ids=lambda p: f"{p!r:.20}"
)
def test_compiled_descent_is_plain_descent(penalty):
    k = 25
    chosen = np.arange(k)
    gram, linear = X[:, :k].T @ X[:, :k] / N + 1e-3 * np.eye(k), -X[:, :k].T @ Y / N
    # the function as written, with the plain functions of its module
    plain_descent = FunctionType(gram_kernels.descend_gram.py_func.__code__, vars(gram_kernels))
    ends = []
    for descend in (gram_kernels.descend_gram, plain_descent):
        w, slope = np.zeros(k), linear.copy()
        system, points, slopes = np.zeros((5, 6)), np.zeros((6, k)), np.zeros((6, k))
        with np.errstate(all="ignore"):
            move, epochs = descend(penalty, gram, chosen, linear, w, slope, system, points, slopes, 30, 12, 1e-12, 100)
        np.testing.assert_allclose(slope, gram @ w + linear, atol=1e-12)
        ends.append((epochs, move, w, slope))
    assert ends[0][0] == ends[1][0]
    for compiled, plain in zip(*ends, strict=True):
        # sums in another order
        np.testing.assert_allclose(compiled, plain, atol=1e-12)


def test_extrapolation_ends_a_linear_recurrence_of_few_dimensions():
    """Moves that shrink by as many rates as there are rows of the system combine to none (Anderson, 1965)."""
    random = np.random.default_rng(3)
    rates, ways, end = np.array([0.9, 0.8, -0.5, 0.3]), random.standard_normal((4, 12)), random.standard_normal(12)
    points = np.stack([end + rates**k @ ways for k in range(6)])
    gram = random.standard_normal((12, 12))
    for combine in (gram_kernels.combine, kernel(gram_kernels.combine)):
        there, slopes = points.copy(), points @ gram + 1.0
        assert combine(np.empty((5, 6)), there, slopes)
        # the ridge of 1e-12 and the least eigenvalues of the moves leave some digits
        np.testing.assert_allclose(there[0], end, atol=1e-4)
        np.testing.assert_allclose(slopes[0], there[0] @ gram + 1.0, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", [so.L1(0.05), so.Ridged(so.L1(0.05), 0.1), so.Nonnegative(so.L1(0.05))], ids=repr)
def test_a_little_model_goes_to_its_end_at_once(penalty, dtype):
    """In one call it reaches the point where the epochs and Newton steps of a large one end."""
    model, other = (model_of(recovery_problem(4, penalty).loss.restrict(np.arange(120)), dtype) for _ in range(2))
    form = convex_form(penalty, model.size)
    linear, tol = model.linear.copy(), 1e-9 * np.abs(model.linear).max()
    assert model.goes_to_the_end(form, tol)
    assert np.max(form.subgradient_distance(model.w, model.slope)) <= tol
    kept = model._gram[: model.size, : model.size].astype(np.float64)
    np.testing.assert_allclose(model.slope, kept @ model.w + linear, atol=1e-12 * np.abs(linear).max())
    assert other.minimise(penalty, form, tol, 60)
    assert model.height(penalty) == pytest.approx(other.height(penalty), rel=1e-9)
    # without a penalty on some coefficient, or with many that are not zero, it leaves the rest to parts
    assert not model.goes_to_the_end(convex_form(so.Zero(), model.size), tol)
    model.w[:] = 1.0
    assert not model.goes_to_the_end(form, tol)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), alpha=st.floats(1e-3, 2.0))
def test_distances_under_one_strength_are_those_of_any_form(seed, alpha):
    random = np.random.default_rng(seed)
    w, slope = random.standard_normal((2, 30)) * (random.random((2, 30)) < 0.6)
    w[0], w[1] = -0.0, 0.0
    penalty = so.L1(alpha)
    form = convex_form(penalty, 30)
    short, plain = np.empty((2, 30))
    gram_kernels.plain_distances(alpha, w, slope, short)
    gram_kernels.separable_distances(form.a, form.b, form.lower, form.upper, w, slope, plain)
    np.testing.assert_allclose(short, plain, atol=4e-16 * (alpha + np.abs(slope).max()))
    np.testing.assert_array_equal(short, working_plan.distances(penalty, convex_form(penalty, 2000), w, slope, None))


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_the_curvature_that_concavity_is_measured_by_is_the_median(size):
    values = np.random.default_rng(size).random(size)
    assert concave_search._median(values) == np.median(values)


@pytest.mark.parametrize(
    "penalty", [so.MCP(0.3), so.MCP(0.0, 2.0), so.Ridged(so.MCP(0.3), 0.2), so.SCAD(0.3)], ids=repr
)
def test_the_value_of_a_concave_penalty_is_the_sum_of_its_parts(penalty):
    """On both sides of where it turns flat."""
    w = np.append(np.linspace(-2.0, 2.0, 41), [0.0, -0.0, 1e9])
    parts = sum(penalty.value_at(j, x) for j, x in enumerate(w))
    assert penalty_value(penalty, w) == pytest.approx(parts, rel=1e-14)


def recovery_problem(seed, penalty):
    random = np.random.default_rng(seed)
    design = random.standard_normal((100, 200))
    for j in range(1, 200):
        design[:, j] = 0.5 * design[:, j - 1] + np.sqrt(0.75) * design[:, j]
    truth = np.zeros(200)
    truth[::20] = random.choice([-1.0, 1.0], 10) * random.uniform(0.5, 2.0, 10)
    return so.Problem(so.LeastSquares(design, design @ truth + 0.3 * random.standard_normal(100)), penalty)


@pytest.mark.parametrize("penalty", [so.MCP(0.15), so.SCAD(0.15), so.Ridged(so.MCP(0.15), 0.05)], ids=repr)
def test_continuation_ends_no_worse_than_descent_from_zero(penalty):
    """A promise of experience, not of theory: on signals that can be recovered."""
    for seed in range(6):
        problem = recovery_problem(seed, penalty)
        ours, plain = (
            so.solve(problem, solver).certificate.objective for solver in (so.WorkingSet(), so.CoordinateDescent())
        )
        assert ours <= 1.01 * plain


@pytest.mark.parametrize(
    "penalty", [so.MCP(0.4), so.SCAD(0.4, 3.0), so.Nonnegative(so.MCP(0.4)), so.Ridged(so.SCAD(0.4), 0.2)], ids=repr
)
def test_the_piece_of_a_folded_penalty_has_its_slope(penalty):
    w = np.array([1e-3, 0.1, 0.39, 0.5, 0.9, 1.3, 2.0])
    if not isinstance(penalty, so.Nonnegative):
        w = np.append(w, -w)
    form, h = local_form(penalty, w), 1e-6
    for j, x in enumerate(w):
        assert form.lower[j] <= x <= form.upper[j]
        slope = (penalty.value(x + h) - penalty.value(x - h)) / (2 * h)
        assert slope == pytest.approx(form.a[j] * np.sign(x) + form.b[j] * x, abs=1e-6)


@pytest.mark.parametrize("name", ["AR(0.9999)", "Hilbert"])
def test_columns_that_are_nearly_the_same_are_certified(name):
    random = np.random.default_rng(0)
    if name == "Hilbert":
        design = linalg.hilbert(60)
    else:
        design = random.standard_normal((100, 150))
        for j in range(1, 150):
            design[:, j] = 0.9999 * design[:, j - 1] + np.sqrt(1 - 0.9999**2) * design[:, j]
    loss = so.LeastSquares(design, design[:, ::7].sum(axis=1) + 0.01 * random.standard_normal(len(design)))
    for part in (1e-1, 1e-3, 1e-5):
        problem = so.Problem(loss, so.L1(part * so.alpha_max(loss)))
        so.solve(problem, so.WorkingSet(), tol=1e-8).require(gap=1e-8)


def long_problem():
    """Correlated columns and next to no penalty: seconds of work."""
    random = np.random.default_rng(1)
    design = np.cumsum(random.standard_normal((600, 3000)), axis=1)
    loss = so.LeastSquares(design, random.standard_normal(600))
    return so.Problem(loss, so.L1(1e-5 * so.alpha_max(loss)))


def test_a_time_limit_is_kept_on_a_long_problem():
    problem = long_problem()
    so.solve(problem, so.WorkingSet(), max_iter=2)
    # time of this thread: other work on the machine does not count
    start = time.thread_time()
    solution = so.solve(problem, so.WorkingSet(), tol=0.0, max_iter=10**6, time_limit=0.2)
    assert solution.status is so.Status.TIME_LIMIT
    assert time.thread_time() - start < 0.5


def test_where_a_minimisation_is_stopped_and_gone_on_with_changes_nothing(monkeypatch):
    problem = long_problem()
    found = []
    for seconds in (0.0, np.inf):
        monkeypatch.setattr(working_set, "_CHUNK", seconds)
        calls = []
        solution = so.solve(problem, so.WorkingSet(), max_iter=8, callback=lambda i, w, calls=calls: calls.append(i))
        found.append((solution.w.tobytes(), solution.iterations, len(calls)))
    assert found[0][:2] == found[1][:2]
    assert found[0][2] > found[1][2] == 8


def test_a_callback_stops_the_run_and_cannot_write():
    seen = []

    def callback(iterations, w):
        with pytest.raises(ValueError, match="read-only"):
            w[0] = 1.0
        seen.append(iterations)
        return len(seen) == 2

    solution = so.solve(long_problem(), so.WorkingSet(), tol=0.0, callback=callback)
    assert solution.status is so.Status.STOPPED
    assert seen == sorted(set(seen))
    assert solution.iterations == seen[-1]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_iteration_limit_is_kept(limit):
    solution = so.solve(so.Problem(so.LeastSquares(X, Y), so.L1(1e-4)), so.WorkingSet(), tol=0.0, max_iter=limit)
    assert solution.iterations <= limit


def test_from_the_solution_a_run_takes_one_iteration_or_two():
    """The start is kept, not thrown away."""
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.05))
    w = so.solve(problem, so.WorkingSet(), tol=1e-12).w
    again = so.solve(problem, so.WorkingSet(), w, tol=1e-6)
    assert again.iterations <= 2
    np.testing.assert_allclose(again.w, w, atol=1e-9)


def test_the_account_tells_which_model_the_cost_decided_for():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((80, 200)), rng.standard_normal(80)
    thin = sparse.random(400, 900, 0.01, format="csc", random_state=0)
    dense = so.solve(so.Problem(so.LeastSquares(X, y), so.L1(0.1)), so.WorkingSet())
    few = so.solve(so.Problem(so.LeastSquares(thin, rng.standard_normal(400)), so.L1(1e-4)), so.WorkingSet())
    assert dense.account.startswith("Gram matrix")
    assert few.account.startswith("residuals")


def test_a_set_that_outgrows_the_gram_matrix_goes_on_with_residuals(monkeypatch):
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((300, 500)), rng.standard_normal(300)
    problem = so.Problem(so.LeastSquares(X, y), so.L1(0.01))
    expected = so.solve(problem, so.WorkingSet(), tol=1e-9)
    monkeypatch.setattr(working_set, "_LARGEST_GRAM", 150)
    found = so.solve(problem, so.WorkingSet(), tol=1e-9)
    assert found.account.startswith("residuals")
    assert found.certificate.relative_gap <= 1e-9
    np.testing.assert_allclose(found.w, expected.w, atol=1e-4)


FOLDED = [
    so.MCP(0.15),
    so.SCAD(0.15),
    so.LogSum(0.05, 0.3),
    so.Ridged(so.MCP(0.15), 0.05),
    so.Nonnegative(so.MCP(0.15)),
]


@pytest.mark.parametrize("penalty", FOLDED, ids=repr)
@pytest.mark.parametrize("single", [False, True])
def test_minima_of_concave_penalties_are_stationary_and_seldom_above_descents_from_zero(penalty, single, monkeypatch):
    """That they are seldom higher is experience, not theory; that they are stationary is promised."""
    if single:
        monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 1)
    ratios = []
    for seed in range(4):
        problem = recovery_problem(seed, penalty)
        ours, plain = (
            so.solve(problem, solver, tol=1e-9, max_iter=100_000)
            for solver in (so.WorkingSet(fewest=20), so.CoordinateDescent())
        )
        assert ours.status is so.Status.CONVERGED
        assert ours.certificate.stationarity <= 1e-8
        ratios.append(ours.certificate.objective / plain.certificate.objective)
    assert max(ratios) <= 1.01
    assert np.count_nonzero(np.array(ratios) <= 1.0 + 1e-9) >= 3


def test_a_weak_concave_penalty_is_solved_to_a_small_part_of_its_strength():
    """At alpha_max / 100 nearly as many features as samples take part, and the model is nearly flat."""
    problem = recovery_problem(0, so.MCP(1.0))
    alpha = so.alpha_max(problem.loss) / 100
    problem = so.Problem(problem.loss, so.MCP(alpha))
    ours = so.solve(problem, so.WorkingSet(), tol=1e-9)
    assert ours.status is so.Status.CONVERGED
    assert ours.certificate.stationarity <= 1e-6 * alpha


@pytest.mark.parametrize("scale", [1e-60, 1e-8, 1e8, 1e60])
def test_a_concavity_far_above_or_below_the_curvature_is_met(scale):
    """MCP keeps or kills where its concavity exceeds the curvature; where that is enormous it is L1 nearly everywhere."""
    base = recovery_problem(1, so.MCP(0.15))
    loss = so.LeastSquares(scale * base.loss.X.to_array(), base.loss.y)
    ours = so.solve(so.Problem(loss, so.MCP(0.15 * scale, 3.0)), so.WorkingSet())
    assert ours.status is so.Status.CONVERGED
    assert np.isfinite(ours.certificate.objective)


def test_a_penalty_is_straightened_between_itself_and_a_convex_one():
    grid = np.linspace(0.0, 3.0, 61)
    for penalty in (*FOLDED[:4], so.Weighted(so.SCAD(0.2), np.full(1, 0.7))):
        full, half, convex = (straightened(penalty, factor) for factor in (1.0, 2.0, np.inf))
        assert convex.is_convex
        assert concavity(convex) == 0.0
        values = np.array([[p.value_at(0, x) for x in grid] for p in (penalty, full, half, convex)])
        np.testing.assert_allclose(values[0], values[1], rtol=1e-12)
        assert np.all(np.diff(values[1:], axis=0) >= -1e-12)
        bends = -np.diff(values[0], 2).min() / (grid[1] - grid[0]) ** 2
        assert bends <= concavity(penalty) * (1 + 1e-6) + 1e-9


def test_an_indefinite_matrix_gives_a_direction_without_curvature():
    random = np.random.default_rng(3)
    for size in (1, 2, 30, 150):
        basis = random.standard_normal((size, size))
        gram = basis @ np.diag(np.linspace(-0.1, 2.0, size)) @ basis.T
        system = SupportSystem(np.float64)
        assert system.solve(gram, np.zeros(size), np.arange(size), np.ones(size)) is None
        direction = system.flattest()
        assert direction @ gram @ direction <= 1e-9 * (direction @ direction) * np.abs(gram).max()


@pytest.mark.parametrize("penalty", FOLDED, ids=repr)
def test_small_and_empty_problems_end_at_stationary_points_of_the_problems_own_penalty(penalty):
    """Not of the less concave one that stands for it on the way."""
    for design, y in ((X[:1], Y[:1]), (X, np.zeros(N)), (np.zeros((5, 4)), np.ones(5)), (X, Y), (X[:, :3], Y)):
        solution = so.solve(so.Problem(so.LeastSquares(design, y), penalty), so.WorkingSet(), tol=1e-8)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.stationarity <= 1e-7
        assert "handed over" not in solution.account


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("shape", [(20, 30), (200, 700), (60, 3000)])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_from_the_largest_alpha_on_nothing_is_chosen(shape, intercept, factor):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    loss = so.LeastSquares(X, y, intercept=intercept)
    # a little above it, where rounding decides
    solution = so.solve(so.Problem(loss, so.L1(factor * (1 + 1e-12) * so.alpha_max(loss))), so.WorkingSet())
    assert solution.status is so.Status.CONVERGED
    assert solution.support.size == 0


@pytest.mark.parametrize("seed", range(6))
def test_twin_columns_in_single_precision_have_a_solution(seed):
    """The direction along which the loss is flat has entries that only rounding keeps from zero, and their kinks are far."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 9)).astype(np.float32)
    X[:, 1] = X[:, 0]
    y = rng.standard_normal(40).astype(np.float32)
    solution = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True)), so.WorkingSet())
    assert solution.status is so.Status.CONVERGED
    assert np.all(np.abs(solution.w) < 10.0)


def test_a_slide_does_not_go_to_kinks_that_rounding_makes():
    """The first two grow together and meet none; what the third is moved by is nothing."""
    x, none = np.array([-1.0, -1.0, 2.0]), np.zeros(3)
    moved = slide(x, none, none - np.inf, none + np.inf, np.array([[0.5], [0.5], [1e-18]]))
    assert np.array_equal(moved, x)
