"""The best subset and its bound, against all supports one after another."""

import time
from itertools import combinations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.designs import CenteredDense, Dense
from sparseopt.losses import first_look
from sparseopt.solvers import branch_and_bound
from sparseopt.solvers.subsets.gram_models import RoughGram, WideGram, gram_model
from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.trees import pull_views, quadratic_relaxation
from sparseopt.solvers.trees.quadratic_relaxation import QuadraticRelaxation
from sparseopt.solvers.trees.sample_relaxation import SampleRelaxation
from sparseopt.solvers.trees.tree import FREE, IN, OUT
from sparseopt.subsets import SubsetProblem


def drawn(seed, n=30, p=8):
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + 0.7 * random.standard_normal((n, 1))
    return X, X[:, :3] @ [1.0, -1.0, 0.5] + random.standard_normal(n)


def whole(loss):
    """The model of a loss, at once."""
    parts = gram_model(loss)
    while True:
        try:
            next(parts)
        except StopIteration as done:
            return done.value


def supports_of(status, k):
    """All supports that agree with a status."""
    into, free = np.flatnonzero(status == IN), np.flatnonzero(status == FREE)
    for size in range(min(k - into.size, free.size) + 1):
        for more in combinations(free.tolist(), size):
            yield np.sort(np.concatenate([into, np.array(more, dtype=np.intp)]))


def optimum(problem):
    """The least objective over all supports, by the definition."""
    subset, model = SubsetProblem.of(problem), whole(problem.loss)
    status = np.full(problem.n_features, np.int8(FREE))
    status[subset.required], status[subset.forbidden] = IN, OUT
    return min(best_on_support(model, subset, support)[0] for support in supports_of(status, subset.k))


X, Y = drawn(0)
RIDGE = so.Ridged(so.Zero(), 0.05)
PROBLEMS = {
    "cardinality": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Cardinality(3)),
    "no ridge": so.Problem(so.LeastSquares(X, Y), constraint=so.Cardinality(3)),
    "price": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0(0.03), 0.05)),
    "both": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0(0.01), 0.05), so.Cardinality(4)),
    "L1": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0L1(0.02, 0.05), 0.05)),
    "box": so.Problem(so.LeastSquares(X, Y), so.L0(0.02), so.Box(-0.4, 0.7)),
    "nonnegative": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Intersection(so.Cardinality(3), so.Box(0.0, np.inf))),
    "named": so.Problem(
        so.LeastSquares(X, Y), RIDGE, so.Intersection(so.Cardinality(3), so.Required((6,)), so.Forbidden((0,)))
    ),
    "none": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Cardinality(0)),
    "all": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Cardinality(8)),
    "quadratic": so.Problem(so.Quadratic(X.T @ X, -X.T @ Y), RIDGE, so.Cardinality(3)),
    "weights and intercept": so.Problem(
        so.LeastSquares(sparse.csc_array(X * (X > 0.3)), Y + 9.0, np.arange(1.0, 31.0), intercept=True),
        RIDGE,
        so.Cardinality(3),
    ),
    "float32": so.Problem(so.LeastSquares(X.astype(np.float32), Y.astype(np.float32)), RIDGE, so.Cardinality(3)),
    "duplicates and zeros": so.Problem(
        so.LeastSquares(np.column_stack([X[:, :3], X[:, :3], np.zeros((30, 1))]), Y), RIDGE, so.Cardinality(3)
    ),
    "one sample": so.Problem(so.LeastSquares(X[:1], Y[:1]), RIDGE, so.Cardinality(2)),
    "wide": so.Problem(so.LeastSquares(*drawn(1, n=6, p=9)), RIDGE, so.Cardinality(3)),
}


@pytest.mark.parametrize("view", ["every", "narrow", "whole", "wide", "sketch", "rough"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_best_of_all_supports_is_found_and_proven(name, view, monkeypatch):
    """Whichever features are in use at once: all, all but those that are out, or those that a node needs."""
    problem = PROBLEMS[name]
    monkeypatch.setattr(pull_views, "_EVERY", 0 if view == "whole" else 2000)
    monkeypatch.setattr(pull_views, "_NARROW", np.inf if view == "narrow" else 0.5)
    monkeypatch.setattr(first_look, "WORTH_A_SKETCH", 0 if view == "sketch" else np.inf)
    if view in ("wide", "sketch", "rough"):
        if not isinstance(problem.loss, so.LeastSquares) or name == "no ridge":
            pytest.skip("these have their Gram matrix in memory")

        def wide(loss):
            yield
            return WideGram(loss)

        if view != "rough":
            monkeypatch.setattr("sparseopt.solvers.branch_and_bound.gram_model", wide)
        else:
            is_dense = isinstance(problem.loss.X, Dense | CenteredDense)
            monkeypatch.setattr(RoughGram, "suits", lambda loss: is_dense and loss.dtype == np.float64)
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    best, scale = optimum(problem), abs(problem.objective(np.zeros(problem.n_features)))
    rounding = (1e-12 if problem.dtype == np.float64 else 1e-6) * (scale + abs(best))
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.violation == 0.0
    assert abs(solution.certificate.objective - best) <= 1e-6 * max(abs(best), 1e-6 * scale) + rounding
    assert solution.certificate.lower_bound <= best + rounding
    solution.certificate.verify(problem)


@pytest.mark.parametrize("noise", [0.1, 1e6])
def test_the_first_support_is_sought_for_long_where_the_root_shows_another(noise, monkeypatch):
    random = np.random.default_rng(0)
    X = random.standard_normal((100, 250))
    loss = so.LeastSquares(X, X[:, :4].sum(axis=1) + noise * random.standard_normal(100))
    searches, search = [], branch_and_bound._search

    def recorded(rows, subset, is_open, kicks):
        searches.append(kicks)
        return search(rows, subset, is_open, kicks)

    monkeypatch.setattr(branch_and_bound, "_search", recorded)
    problem = so.Problem(loss, so.Ridged(so.Zero(), 0.05), so.Cardinality(4))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-2, max_iter=20)
    assert searches == ([0] if noise < 1.0 else [0, branch_and_bound._KICKS])
    solution.certificate.verify(problem)


@pytest.mark.parametrize("is_small", [False, True], ids=["descent", "interior"])
@pytest.mark.parametrize("k", [2, 4])
def test_the_bound_of_a_node_is_below_all_supports_that_agree_with_it(k, is_small):
    """Also where it fixes features: what it takes away has a bound at the threshold."""
    random = np.random.default_rng(k)
    loss = so.LeastSquares(*drawn(2))
    problem = so.Problem(loss, so.Ridged(so.Zero(), 0.02), so.Cardinality(k))
    subset, model = SubsetProblem.of(problem), whole(loss)
    relaxation = QuadraticRelaxation(model, subset)
    relaxation.is_interior = is_small
    best = optimum(problem)
    for threshold in (0.9 * best, 1.05 * best, np.inf):
        for _ in range(20):
            known = random.choice(np.array([FREE, FREE, FREE, IN, OUT], dtype=np.int8), 8)
            known[np.flatnonzero(known == IN)[k:]] = OUT
            status = known.copy()
            found = relaxation.relax(status, None, threshold, np.inf)
            values = {tuple(s): best_on_support(model, subset, s)[0] for s in supports_of(known, k)}
            left = {tuple(s) for s in supports_of(status, k)}
            assert min(found.bound, threshold) <= min(values.values()) * (1 + 1e-12)
            assert all(value >= threshold * (1 - 1e-12) for support, value in values.items() if support not in left)


@pytest.mark.parametrize("is_logistic", [False, True], ids=["squares", "logistic"])
def test_of_likely_features_the_one_comes_first_without_which_most_is_lost(is_logistic):
    """Most is lost where the curvature times the square of the coefficient is largest, whatever the units."""
    random = np.random.default_rng(3)
    X = random.standard_normal((300, 30)) * np.geomspace(0.1, 10.0, 30)
    y = X[:, :6] @ (np.array([1.0, 3.0, 2.0, 4.0, 1.5, 2.5]) / np.geomspace(0.1, 10.0, 30)[:6])
    y += random.standard_normal(300)
    loss = so.Logistic(X, np.sign(y)) if is_logistic else so.LeastSquares(X, y)
    problem = so.Problem(loss, so.Ridged(so.Zero(), 0.02), so.Cardinality(6))
    subset = SubsetProblem.of(problem)
    make = SampleRelaxation if is_logistic else QuadraticRelaxation
    relaxation = make(loss if is_logistic else whole(loss), subset, keep_points=True)
    height, _ = relaxation.evaluate(np.arange(6))
    found = relaxation.relax(relaxation.first_status(), None, height, np.inf)
    w = np.zeros(30)
    w[found.start[0]] = found.start[1]
    bends = loss.curvature(loss.y, X @ w) if is_logistic else np.ones(300)
    effects = (w**2 * (bends @ X**2 / 300 + subset.ridge))[found.likely]
    assert effects.size > 1
    # the curvature of samples may be that of a point on the way
    assert np.all(effects[1:] <= effects[:-1] * (2.0 if is_logistic else 1.0 + 1e-12))


def test_a_time_limit_is_kept_with_an_honest_gap():
    random = np.random.default_rng(0)
    X = random.standard_normal((200, 2000))
    problem = so.Problem(
        so.LeastSquares(X, random.standard_normal(200)), so.Ridged(so.Zero(), 0.01), so.Cardinality(15)
    )
    so.solve(problem, so.BranchAndBound(), max_iter=1)  # compilation
    start = time.process_time()
    solution = so.solve(problem, so.BranchAndBound(), time_limit=0.1)
    assert time.process_time() - start <= 0.4  # twice what is promised, for a busy machine
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.certificate.lower_bound <= solution.certificate.objective
    assert solution.certificate.relative_gap > 1e-3


def test_a_callback_stops_the_search():
    problem = so.Problem(so.LeastSquares(*drawn(3, n=50, p=400)), so.Ridged(so.Zero(), 0.001), so.Cardinality(8))
    solution = so.solve(problem, so.BranchAndBound(), callback=lambda nodes, w: True)
    assert solution.status is so.Status.STOPPED


def test_two_runs_are_the_same():
    problem = so.Problem(so.LeastSquares(*drawn(4, n=40, p=300)), so.Ridged(so.Zero(), 0.3), so.Cardinality(3))
    first, again = (so.solve(problem, so.BranchAndBound(), tol=1e-4) for _ in range(2))
    assert first.iterations == again.iterations
    assert first.w.tobytes() == again.w.tobytes()
    assert first.certificate.lower_bound == again.certificate.lower_bound


@pytest.mark.parametrize("tight", [True, False])
def test_nothing_is_proven_without_a_limit_to_the_coefficients(tight):
    """More features than samples fit exactly; dependent ones do as well."""
    X, y = drawn(5, n=6, p=9) if tight else drawn(5)
    if not tight:
        X[:, 1] = X[:, 0]
    with pytest.raises(so.UnsupportedProblem, match="add a ridge"):
        so.solve(so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(2)), so.BranchAndBound())


def test_scratch_holds_nothing_that_is_read(monkeypatch):
    """With buffers full of NaN the answer is the same, bit for bit."""
    problem = PROBLEMS["wide"]
    plain = so.solve(problem, so.BranchAndBound())
    empty = np.empty

    def poison(*arguments, **options):
        fresh = empty(*arguments, **options)
        if fresh.dtype.kind == "f":
            fresh.fill(np.nan)
        return fresh

    monkeypatch.setattr(quadratic_relaxation.np, "empty", poison)
    poisoned = so.solve(problem, so.BranchAndBound())
    assert plain.w.tobytes() == poisoned.w.tobytes()
    assert plain.certificate.lower_bound == poisoned.certificate.lower_bound


def test_a_large_part_of_a_dependent_diagonal_is_found():
    """Two features that nearly depend hold equal shares back, but not the others."""
    X, y = drawn(6, n=60)
    X[:, 1] = X[:, 0] + 1e-3 * X[:, 1]
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(2))
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-6)
    assert solution.status is so.Status.CONVERGED


def test_the_start_is_an_incumbent_and_nodes_have_no_usual_limit():
    random = np.random.default_rng(0)
    X = random.standard_normal((40, 12))
    problem = so.Problem(
        so.LeastSquares(X, X[:, 4] + X[:, 7] + random.standard_normal(40)),
        so.Ridged(so.Zero(), 0.1),
        so.Intersection(so.Cardinality(3), so.Required([0]), so.Forbidden([4])),
    )
    start = np.zeros(12)
    start[[4, 7, 9, 2]] = [4.0, 3.0, 2.0, 1.0]
    found = so.solve(problem, so.BranchAndBound(), start)
    assert found.status is so.Status.CONVERGED
    assert found.certificate.violation == 0.0
    assert found.certificate.objective <= so.solve(problem).certificate.objective * (1 + 1e-9)
    assert so.BranchAndBound.usual_limit > 10**9


@pytest.mark.parametrize(
    "loss",
    [so.LeastSquares(*drawn(7)), so.Logistic(X, np.sign(Y)), so.Huber(X, Y, delta=0.5)],
    ids=["squares", "logistic", "Huber"],
)
def test_nodes_that_are_interrupted_after_each_round_end_with_the_same_answer(loss, monkeypatch):
    problem = so.Problem(loss, so.Ridged(so.Zero(), 0.01), so.Cardinality(3))
    whole = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    monkeypatch.setattr("sparseopt.solvers.branch_and_bound._CHUNK", 0.0)
    parts = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6, time_limit=20.0)
    assert whole.status is parts.status is so.Status.CONVERGED
    assert np.array_equal(whole.w, parts.w)
    assert parts.iterations == whole.iterations
    assert parts.certificate.lower_bound == pytest.approx(whole.certificate.lower_bound, rel=1e-9)
    parts.certificate.verify(problem)


def test_what_is_known_when_time_runs_out_early_is_no_worse_than_the_start(monkeypatch):
    """The search has only begun; with a start, that is the first solution, and without one a support is there soon."""
    problem = so.Problem(so.LeastSquares(*drawn(3, n=300, p=200)), RIDGE, so.Cardinality(6))
    best = so.solve(problem)
    monkeypatch.setattr("sparseopt.solvers.branch_and_bound._CHUNK", 0.0)
    solution = so.solve(problem, so.BranchAndBound(), best.w, time_limit=0.0)
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.certificate.objective <= best.certificate.objective
    assert solution.certificate.lower_bound <= best.certificate.objective
    seen = []

    def look(nodes, w):
        seen.append(np.count_nonzero(w))
        return nodes > 0

    so.solve(problem, so.BranchAndBound(), callback=look)
    assert seen[min(10, len(seen) - 1)] > 0


def test_a_gap_that_is_not_reached_has_not_converged():
    """The infimum, zero, is not attained: the required coefficient would have to be zero."""
    problem = so.Problem(
        so.LeastSquares(X, np.zeros(len(X))), RIDGE, so.Intersection(so.Cardinality(3), so.Required((6,)))
    )
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-6)
    assert solution.certificate.relative_gap > 0.5
    assert solution.status is so.Status.STALLED


def test_a_required_feature_that_does_nothing_takes_a_place():
    random = np.random.default_rng(1)
    X = random.standard_normal((20, 6))
    X[:, 1] = 0.0
    y = X[:, 2:] @ [2.0, 1.5, 1.0, 0.5] + 0.1 * random.standard_normal(20)
    problem = so.Problem(so.LeastSquares(X, y), so.L1(0.02), so.Intersection(so.Cardinality(2), so.Required([1])))
    found = so.solve(problem, so.BranchAndBound())
    assert found.status is so.Status.CONVERGED
    assert found.certificate.violation == 0.0
    np.testing.assert_array_equal(found.support, [1, 2])
