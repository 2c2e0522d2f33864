"""Local search for best subsets: values of moves against refits, whole runs against brute force."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.brute_force import best_value
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.subset_search import find_subset
from sparseopt.solvers.subsets.subset_state import SubsetState
from sparseopt.testing import poisoned


def regression(seed, n=30, p=12, signal=3):
    """Correlated columns and a few of them in y."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + 0.7 * random.standard_normal((n, 1))
    return X, X[:, :signal].sum(axis=1) + random.standard_normal(n)


def minimum(X, y, support, ridge=0.0):
    """The least value over coefficients on a support, by a refit."""
    part = X[:, support]
    gram, pull = part.T @ part / len(y) + ridge * np.eye(len(support)), part.T @ y / len(y)
    return y @ y / (2 * len(y)) - pull @ np.linalg.solve(gram, pull) / 2


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_moves_gain_what_refits_say(ridge):
    """After any sequence of moves, each of which updates all numbers."""
    X, y = regression(0)
    random, state = np.random.default_rng(1), SubsetState(GramRows.of(so.LeastSquares(X, y)), ridge, capacity=2)
    for j in (3, 7, 1):
        state.enter(j)
    for _ in range(150):
        outside = np.setdiff1d(np.arange(12), state.support)
        if state.size < 3 or (random.random() < 0.5 and state.size < 8):
            state.enter(int(random.choice(outside)))
        else:
            state.leave(int(random.integers(state.size)))
        S = state.support.tolist()
        outside = [j for j in range(12) if j not in S]
        here = minimum(X, y, S, ridge)
        assert state.height == pytest.approx(here, rel=1e-10)
        exits = [minimum(X, y, [k for k in S if k != i], ridge) - here for i in S]
        np.testing.assert_allclose(state.losses(), exits, atol=1e-12)
        entries = [here - minimum(X, y, [*S, j], ridge) for j in outside]
        assert state.best_entry(0.0)[0] == pytest.approx(max(entries), abs=1e-12)
        swaps = {(i, j): here - minimum(X, y, [*(k for k in S if k != i), j], ridge) for i in S for j in outside}
        _, made, _ = state.swap_down(0.0, 1e-12, limit=1)
        assert made == (max(swaps.values()) > 1e-12)
        if made:
            (gone,), (new,) = np.setdiff1d(S, state.support), np.setdiff1d(state.support, S)
            assert here - state.height == pytest.approx(max(swaps.values()), abs=1e-12)
            assert swaps[gone, new] == pytest.approx(max(swaps.values()), abs=1e-12)
        state.restart(S)


def test_a_state_made_anew_is_the_state_that_was_updated():
    X, y = regression(2)
    state = SubsetState(GramRows.of(so.LeastSquares(X, y)))
    for j in range(6):
        state.enter(j)
    for i in (4, 0, 2):
        state.leave(i)
    C, c, d, height = state.C[:3].copy(), state.c.copy(), state.d.copy(), state.height
    state.restart(state.support.copy())
    outside = np.setdiff1d(np.arange(12), state.support)
    for updated, new in (
        (C[:, outside], state.C[:3, outside]),
        (c[outside], state.c[outside]),
        (d[outside], state.d[outside]),
    ):
        np.testing.assert_allclose(updated, new, atol=1e-12)
    assert height == pytest.approx(state.height, rel=1e-12)


KINDS = {
    "cardinality": lambda p, k: (so.Zero(), so.Cardinality(k)),
    "price": lambda p, k: (so.L0(0.05), None),
    "ridge": lambda p, k: (so.Ridged(so.Zero(), 0.2), so.Cardinality(k)),
    "price and ridge": lambda p, k: (so.Ridged(so.L0(0.03), 0.1), so.Cardinality(k)),
    "nonnegative": lambda p, k: (so.Zero(), so.Intersection(so.Cardinality(k), so.Box(0.0, np.inf))),
    "box": lambda p, k: (so.Zero(), so.Intersection(so.Cardinality(k), so.Box(-0.3, 0.5))),
    "L1": lambda p, k: (so.L1(0.1), so.Cardinality(k)),
    "L0L1": lambda p, k: (so.Ridged(so.L0L1(0.05, 0.1), 0.05), None),
    "required": lambda p, k: (so.Zero(), so.Intersection(so.Cardinality(max(k, 1)), so.Required([1]))),
    "forbidden": lambda p, k: (so.Zero(), so.Intersection(so.Cardinality(k), so.Forbidden([0]))),
    "hierarchy": lambda p, k: (so.Zero(), so.Intersection(so.Cardinality(k), so.StrongHierarchy({p - 1: (0, 1)}))),
    "priced hierarchy in a box": lambda p, k: (
        so.L0(0.02),
        so.Intersection(so.StrongHierarchy({p - 1: (0, 1)}), so.Box(-1.0, 0.5)),
    ),
    "groups": lambda p, k: (so.Zero(), so.GroupCardinality(min(k, -(-p // 2)), np.arange(p) // 2)),
}


def odd_regression(seed):
    """Small data with its oddities: few rows, ties, zero and repeated columns, weights, an intercept, sparse storage."""
    random = np.random.default_rng(seed)
    n, p = int(random.integers(1, 14)), int(random.integers(3, 8))
    X = random.standard_normal((n, p))
    X = np.round(X) if random.random() < 0.3 else X
    if random.random() < 0.2:
        X[:, -1] = X[:, 0]
    if random.random() < 0.2:
        X[:, 0] = 0.0
    y = random.standard_normal(n) + X[:, :2].sum(axis=1)
    weights = random.uniform(0.1, 2.0, n) if random.random() < 0.4 else None
    storage = sparse.csc_array if random.random() < 0.3 else np.asarray
    return storage(X), y, weights, bool(random.random() < 0.4), int(random.integers(0, p + 1))


def check_against_brute_force(problem, solver, *, must_be_best=True):
    solution = so.solve(problem, solver)
    scale = abs(problem.objective(np.zeros(problem.n_features))) + 1e-12
    best = best_value(problem)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.violation == 0.0
    assert solution.certificate.objective >= best - 1e-9 * scale
    if must_be_best:
        assert solution.certificate.objective <= best + 1e-8 * scale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_small_problems_are_solved_to_the_best_subset(kind, seed):
    X, y, weights, intercept, k = odd_regression(seed + 100 * len(kind))
    penalty, constraint = KINDS[kind](X.shape[1], k)
    problem = so.Problem(so.LeastSquares(X, y, weights, intercept), penalty, constraint)
    with poisoned():
        check_against_brute_force(problem, so.LocalSearch(kicks=10))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("term", [so.RowCardinality(2), so.Cardinality(3), so.L0(0.1)], ids=repr)
def test_several_responses_share_a_support_or_have_their_own(term, seed):
    random = np.random.default_rng(seed)
    X, Y = random.standard_normal((12, 4)), random.standard_normal((12, 2))
    Y += X[:, [seed % 4, 2]]
    loss = so.LeastSquares(X, Y, random.uniform(0.5, 1.0, 12), intercept=True)
    problem = so.Problem(loss, term) if isinstance(term, so.L0) else so.Problem(loss, constraint=term)
    check_against_brute_force(problem, so.LocalSearch(kicks=10))


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["cardinality", "price", "nonnegative", "groups"]))
def test_no_drawn_problem_ends_below_its_optimum_or_outside_of_its_set(seed, kind):
    X, y, weights, intercept, k = odd_regression(seed)
    penalty, constraint = KINDS[kind](X.shape[1], k)
    problem = so.Problem(so.LeastSquares(X, y, weights, intercept), penalty, constraint)
    check_against_brute_force(problem, None, must_be_best=False)


def test_a_quadratic_is_searched_as_least_squares_are():
    X, y = regression(3)
    squares = so.solve(so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(4)))
    for Q in (X.T @ X / 30, sparse.csc_array(X.T @ X / 30)):
        quadratic = so.solve(so.Problem(so.Quadratic(Q, -X.T @ y / 30), constraint=so.Cardinality(4)))
        np.testing.assert_allclose(quadratic.w, squares.w, atol=1e-10)


def test_storage_precision_and_weights_change_nothing_but_rounding():
    X, y = regression(4, n=40, p=60)
    X[np.abs(X) < 0.5] = 0.0
    plain = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True), constraint=so.Cardinality(5)))
    twice = np.repeat([1.0, 2.0], 20)
    rows = np.concatenate([np.arange(20), np.repeat(np.arange(20, 40), 2)])
    for other, tol in (
        (so.LeastSquares(sparse.csr_array(X), y, intercept=True), 1e-10),
        (so.LeastSquares(X.astype(np.float32), y, intercept=True), 1e-4),
        (so.LeastSquares(X + 100.0, y - 7.0, intercept=True), 1e-8),
    ):
        solution = so.solve(so.Problem(other, constraint=so.Cardinality(5)))
        assert solution.support.tolist() == plain.support.tolist()
        np.testing.assert_allclose(solution.w, plain.w, atol=tol)
    weighted = so.solve(so.Problem(so.LeastSquares(X, y, twice), constraint=so.Cardinality(5)))
    repeated = so.solve(so.Problem(so.LeastSquares(X[rows], y[rows]), constraint=so.Cardinality(5)))
    np.testing.assert_allclose(weighted.w, repeated.w, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-70, 1e-20, 1e20, 1e70])
def test_units_are_free(scale):
    X, y = regression(5, p=40)
    plain = so.solve(so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(4)))
    X = X * np.where(np.arange(40) % 2, 1e3, 1e-3)
    scaled = so.solve(so.Problem(so.LeastSquares(X, scale * y), constraint=so.Cardinality(4)))
    assert scaled.support.tolist() == plain.support.tolist()


def test_runs_with_one_seed_are_the_same_to_the_byte_and_leave_the_data_alone():
    X, y = regression(6, n=40, p=80, signal=10)
    X.flags.writeable = y.flags.writeable = False
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(8))
    solver = so.LocalSearch(kicks=30, restarts=2, seed=5)
    assert so.solve(problem, solver).w.tobytes() == so.solve(problem, solver).w.tobytes()
    state = np.random.get_state()[1].tolist()  # noqa: NPY002 (it is what must not change)
    so.solve(problem, solver)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_kicks_restarts_and_a_start_never_make_it_worse():
    X, y = regression(7, n=40, p=100, signal=12)
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(8))
    plain = so.solve(problem, so.LocalSearch(kicks=0)).certificate.objective
    for solver in (so.LocalSearch(kicks=40), so.LocalSearch(restarts=5), so.LocalSearch(kicks=10, restarts=2)):
        assert so.solve(problem, solver).certificate.objective <= plain * (1 + 1e-12)
    w0 = np.zeros(100)
    w0[np.random.default_rng(0).choice(100, 8, replace=False)] = 1.0
    assert so.solve(problem, w0=w0).certificate.objective <= min(problem.objective(w0), plain) * (1 + 1e-12)


@pytest.mark.parametrize("price", [0.0, 0.05])
def test_kicks_go_home_where_they_are_in_vain_and_note_what_is_true(price):
    """From the best support of all nothing is better; what was seen on the way is what a refit of it says."""
    X, y = regression(8, n=30, p=14)
    gram = GramRows.of(so.LeastSquares(X, y))
    gram.prepare(np.arange(14))
    heights = {S: minimum(X, y, list(S)) for size in range(6) for S in itertools.combinations(range(14), size)}
    best = min((S for S in heights if len(S) == 5 or price), key=lambda S: heights[S] + price * len(S))
    state, noise = SubsetState(gram), np.array([3], dtype=np.uint64)
    state.restart(list(best))
    C, height = state.C[: len(best)].copy(), state.height
    _, left, vain = state.kick_on(10, 0, 5, price, price, 1e-10, 1e-14, noise)
    assert (left, vain) == (0, 10)
    assert state.support.tolist() == list(best)
    assert state.height == height
    np.testing.assert_array_equal(state.C[: len(best)], C)
    for size in np.flatnonzero(np.isfinite(state.heights)):
        found = tuple(sorted(state.best[size][:size].tolist()))
        assert state.heights[size] == pytest.approx(heights[found], rel=1e-10)
    state.restart([j for j in range(14) if j not in best][:5])
    vain = 0
    for _ in range(100):
        _, left, vain = state.kick_on(1, vain, 5, price, price, 1e-10, 1e-14, noise)
        assert left == 0
    assert np.min(state.heights[:6] + price * np.arange(6)) == pytest.approx(
        heights[best] + price * len(best), rel=1e-10
    )


def test_kicks_among_a_few_features_find_what_kicks_among_all_find():
    """Where there are many, the search begins among some of them, and goes on among more the longer it takes."""
    X, y = regression(7, n=60, p=400, signal=12)
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(6))
    growth, few, many = (so.solve(problem, so.LocalSearch(kicks=kicks)) for kicks in (0, 1, 1000))
    least = min(growth.certificate.objective, few.certificate.objective)
    assert many.certificate.objective <= least * (1 + 1e-12)
    assert many.status is so.Status.CONVERGED
    rows = [int(solution.account.split()[2]) for solution in (few, many)]
    assert rows[0] < 100 < rows[1] == 400


def test_a_state_of_some_features_is_the_part_of_the_state_of_all():
    X, y = regression(15, n=60, p=40)
    state = SubsetState(GramRows.of(so.LeastSquares(X, y)), 0.1)
    state.restart([3, 20, 11])
    features = state.promising(15)
    part = state.narrowed(features)
    assert features[part.support].tolist() == [3, 20, 11]
    np.testing.assert_array_equal(part.C[:3], state.C[:3, features])
    part.restart(part.support.copy())
    np.testing.assert_allclose(part.c, state.c[features], atol=1e-12)
    np.testing.assert_allclose(part.refined(), state.refined(), rtol=1e-12)
    assert part.height == pytest.approx(minimum(X, y, [3, 20, 11], 0.1), rel=1e-12)


def test_columns_that_are_nearly_the_same_are_no_trouble():
    X, y = regression(8, n=50, p=20)
    for distance in (0.0, 1e-12, 1e-9, 1e-6):
        near = np.column_stack([X, X + distance * np.random.default_rng(0).standard_normal(X.shape)])
        solution = so.solve(so.Problem(so.LeastSquares(near, y, intercept=True), constraint=so.Cardinality(25)))
        assert np.isfinite(solution.w).all()
        assert solution.certificate.objective <= so.Problem(so.LeastSquares(X, y, intercept=True)).objective(
            np.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), rcond=None)[0]
        ) * (1 + 1e-9)


@pytest.mark.parametrize("k", [0, 5, 40])
def test_more_features_than_rows_can_hold_end_at_the_rank(k):
    X, y = regression(9, n=5, p=40)
    solution = so.solve(so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(k)))
    assert solution.support.size <= min(k, 5)
    if k:
        assert solution.certificate.objective <= 1e-12 * np.mean(y**2)


@pytest.mark.parametrize("intercept", [False, True])
def test_no_support_beyond_the_rank_is_claimed_as_better(intercept):
    """Where all is fitted, gains of further moves are rounding, and the larger the nearer columns are to singular."""
    for seed in range(60):
        random = np.random.default_rng(seed)
        n, p = int(random.integers(1, 9)), int(random.integers(9, 60))
        X, y = random.standard_normal((n, p)), random.standard_normal(n)
        solution = so.solve(so.Problem(so.LeastSquares(X, y, intercept=intercept), constraint=so.Cardinality(p)))
        assert solution.support.size <= n - intercept
        assert solution.certificate.objective <= 1e-12 * np.mean(y**2)


def test_nonnegative_coefficients_do_not_get_stuck():
    """The values of free refits promise most for features whose signs are wrong."""
    random = np.random.default_rng(10)
    X = random.standard_normal((200, 300)) + 1.5 * random.standard_normal((200, 1))
    w = np.zeros(300)
    w[:20] = random.uniform(0.5, 1.0, 20)
    y = X @ w + 0.5 * random.standard_normal(200)
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Intersection(so.Cardinality(20), so.Box(0.0, np.inf)))
    solution = so.solve(problem)
    assert solution.support.size == 20
    assert solution.w.min() >= 0.0
    assert solution.certificate.objective <= problem.objective(w) * (1 + 1e-12)


def test_a_time_limit_returns_the_best_so_far():
    X, y = regression(11, n=200, p=1000, signal=30)
    problem = so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(30))
    so.solve(problem, max_iter=1)
    start = time.perf_counter()
    solution = so.solve(problem, so.LocalSearch(kicks=1_000_000), time_limit=0.2)
    assert time.perf_counter() - start < 1.0
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.support.size == 30
    assert solution.certificate.stationarity <= 1e-8


def test_find_subset_gives_plain_arrays():
    X, y = regression(12)
    gram = GramRows.of(so.LeastSquares(X, y))
    support, w, objective = find_subset(gram, 3, ridge=0.1, kicks=5, required=[4])
    assert 4 in support
    assert objective == pytest.approx(minimum(X, y, support, 0.1), rel=1e-12)
    part = X[:, support]
    np.testing.assert_allclose(w, np.linalg.solve(part.T @ part / 30 + 0.1 * np.eye(3), part.T @ y / 30), atol=1e-10)


def test_a_path_over_sizes_is_one_run_and_no_worse_than_growth_alone():
    X, y = regression(13, n=60, p=200, signal=10)
    problem = so.Problem(so.LeastSquares(X, y, intercept=True))
    path = so.path(problem, [so.Cardinality(k) for k in range(9)])
    objectives = [solution.certificate.objective for solution in path]
    assert path.support_sizes.tolist() == list(range(9))
    assert np.all(np.diff(objectives) < 0.0)
    greedy = so.LocalSearch(overshoot=0.0, kicks=0)
    for k in (1, 4, 8):
        alone = so.solve(so.Problem(problem.loss, constraint=so.Cardinality(k)), greedy)
        assert objectives[k] <= alone.certificate.objective * (1 + 1e-12)
        assert all(solution.status is so.Status.CONVERGED for solution in path)


@pytest.mark.parametrize(
    ("loss", "penalty", "constraint", "reason"),
    [
        (so.LeastSquares, so.Zero(), None, "nothing asks for few nonzeros"),
        (so.LeastSquares, so.MCP(0.1), so.Cardinality(2), "not MCP"),
        (so.LeastSquares, so.Zero(), so.Simplex(), "Simplex|nothing asks"),
        (lambda X, y: so.Cox(X, np.abs(y) + 0.1, y > 0.0), so.Zero(), so.Cardinality(2), "Gram matrix"),
    ],
)
def test_what_it_cannot_take_it_says(loss, penalty, constraint, reason):
    X, y = regression(14)
    with pytest.raises(so.UnsupportedProblem, match=reason):
        so.solve(so.Problem(loss(X, y), penalty, constraint), so.LocalSearch())
