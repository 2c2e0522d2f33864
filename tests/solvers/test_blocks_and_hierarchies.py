"""Branch and bound over rows, groups and hierarchies, against all supports one after another."""

import sys
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.trees.block_interior import interior_blocks
from sparseopt.solvers.trees.block_model import BlockModel, block_model
from sparseopt.solvers.trees.block_relaxation import BlockRelaxation
from sparseopt.solvers.trees.hierarchy import Family
from sparseopt.solvers.trees.row_enumeration import RowEnumeration
from sparseopt.solvers.trees.tree import FREE, IN, OUT
from sparseopt.subsets import SubsetProblem

sys.path.append(str(Path(__file__).parents[1] / "oracles"))
from brute_force import refits

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 6)) + 0.7 * RNG.standard_normal((30, 1))
Y = X[:, :3] @ [1.0, -1.0, 0.5] + RNG.standard_normal(30)
RESPONSES = np.column_stack([Y, X[:, 2] + RNG.standard_normal(30)])
MANY = X[:, :4] @ RNG.standard_normal((4, 9)) + RNG.standard_normal((30, 9))
RIDGE = so.Ridged(so.Zero(), 0.05)
LABELS = [0, 0, 1, 1, 1, 2]
MIXED = [[5, 0], [3], [1, 2, 4]]
FAMILY = so.StrongHierarchy({0: (3,), 1: (2, 4), 4: (5,)})
WEIGHTS = np.arange(1.0, 31.0)
DUPLICATE = np.column_stack([X[:, :4], X[:, 1], np.zeros(30)])


def squares(y=Y, **options):
    return so.LeastSquares(X, y, **options)


PROBLEMS = {
    "rows": so.Problem(so.LeastSquares(X[:, :5], RESPONSES, intercept=True), RIDGE, so.RowCardinality(2)),
    "rows without a ridge": so.Problem(
        so.LeastSquares(X[:, :5], RESPONSES, sample_weight=WEIGHTS), constraint=so.RowCardinality(2)
    ),
    "named rows": so.Problem(
        so.LeastSquares(X[:, :5], RESPONSES),
        RIDGE,
        so.Intersection(so.RowCardinality(3), so.Required([4]), so.Forbidden(0)),
    ),
    "rows with a hierarchy": so.Problem(
        so.LeastSquares(X[:, :5], RESPONSES),
        RIDGE,
        so.Intersection(so.RowCardinality(3), so.StrongHierarchy({0: (3,), 1: (2, 4)})),
    ),
    "no rows": so.Problem(so.LeastSquares(X[:, :5], RESPONSES), RIDGE, so.RowCardinality(0)),
    "all rows": so.Problem(so.LeastSquares(X[:, :5], RESPONSES), RIDGE, so.RowCardinality(5)),
    "one row of data": so.Problem(so.LeastSquares(X[:1, :5], RESPONSES[:1]), RIDGE, so.RowCardinality(2)),
    "rows of dependent columns": so.Problem(
        so.LeastSquares(DUPLICATE, RESPONSES, intercept=True), RIDGE, so.RowCardinality(2)
    ),
    "more responses than features": so.Problem(so.LeastSquares(X[:, :2], MANY[:, :4]), RIDGE, so.RowCardinality(1)),
    "single precision": so.Problem(
        so.LeastSquares(X[:, :5].astype(np.float32), RESPONSES.astype(np.float32)), RIDGE, so.RowCardinality(2)
    ),
    "groups": so.Problem(squares(intercept=True), RIDGE, so.GroupCardinality(2, LABELS)),
    "groups without a ridge": so.Problem(squares(), constraint=so.GroupCardinality(1, LABELS)),
    "groups in any order": so.Problem(squares(sample_weight=WEIGHTS), RIDGE, so.GroupCardinality(2, MIXED)),
    "groups of dependent columns": so.Problem(so.LeastSquares(DUPLICATE, Y), RIDGE, so.GroupCardinality(2, LABELS)),
    "groups in a quadratic": so.Problem(so.Quadratic(X.T @ X, -X.T @ Y), RIDGE, so.GroupCardinality(2, LABELS)),
    "hierarchy": so.Problem(squares(), RIDGE, so.Intersection(so.Cardinality(3), FAMILY)),
    "priced hierarchy": so.Problem(squares(), so.Ridged(so.L0(0.02), 0.05), FAMILY),
    "required child": so.Problem(squares(), RIDGE, so.Intersection(so.Cardinality(4), FAMILY, so.Required(1))),
    "forbidden parent": so.Problem(squares(), RIDGE, so.Intersection(so.Cardinality(4), FAMILY, so.Forbidden(5))),
    "hierarchy in a box": so.Problem(
        squares(), so.L0(0.02), so.Intersection(so.Box(0.0, 0.5), so.StrongHierarchy({0: 1, 2: (1, 3)}))
    ),
    "a parent of zeros": so.Problem(
        so.LeastSquares(np.column_stack([X[:, :4], np.zeros(30)]), Y, intercept=True),
        so.Ridged(so.L0(0.01), 0.05),
        so.Intersection(so.Cardinality(4), so.StrongHierarchy({0: 4, 1: (4, 2)})),
    ),
    "logistic hierarchy": so.Problem(
        so.Logistic(X, np.sign(Y), intercept=True), RIDGE, so.Intersection(so.Cardinality(3), FAMILY)
    ),
    "Huber hierarchy": so.Problem(so.Huber(X, Y, delta=0.5), so.Ridged(so.L0(0.02), 0.05), FAMILY),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_best_of_all_supports_is_found_and_proven(name):
    problem = PROBLEMS[name]
    best, scale = refits(problem).best, abs(problem.objective(np.zeros(problem.n_features)))
    rounding = (1e-9 if problem.dtype == np.float64 else 1e-6) * (scale + abs(best))
    for keep_proof in (False, True):
        solution = so.solve(problem, so.BranchAndBound(keep_proof=keep_proof), tol=1e-6)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.violation == 0.0
        assert abs(solution.certificate.objective - best) <= 1e-6 * max(abs(best), 1e-6 * scale) + rounding
        assert solution.certificate.lower_bound <= best + rounding
    solution.certificate.verify(problem)


def run(parts):
    """What a preparation returns."""
    while True:
        try:
            next(parts)
        except StopIteration as done:
            return done.value


@pytest.mark.parametrize("name", ["rows", "groups", "groups in any order", "groups without a ridge"])
def test_the_bound_of_a_node_is_below_all_supports_that_agree_with_it(name):
    """Also where it fixes blocks: what it takes away has a bound at the threshold."""
    problem, random = PROBLEMS[name], np.random.default_rng(1)
    subset = SubsetProblem.of(problem)
    model = run(block_model(problem.loss, subset))
    relaxation, best = BlockRelaxation(model, subset), refits(problem).best
    units = len(model.members)
    for threshold in (0.9 * best, 1.05 * best, np.inf):
        for _ in range(20):
            known = random.choice(np.array([FREE, FREE, FREE, IN, OUT], dtype=np.int8), units)
            known[np.flatnonzero(known == IN)[subset.k :]] = OUT
            status = known.copy()
            found = relaxation.relax(status, None, threshold, np.inf)
            for size in range(subset.k + 1):
                for support in combinations(range(units), size):
                    inside = np.isin(np.arange(units), support)
                    if np.any(inside & (known == OUT)) or np.any(~inside & (known == IN)):
                        continue
                    value = model.evaluate(np.array(support, dtype=np.intp))[0]
                    assert min(found.bound, threshold) <= value * (1 + 1e-12)
                    is_left = not (np.any(inside & (status == OUT)) or np.any(~inside & (status == IN)))
                    assert is_left or value >= threshold * (1 - 1e-12)


def test_what_is_taken_off_the_curvature_is_improved():
    """The saddle point is above the bound that any fixed part gives."""
    random = np.random.default_rng(2)
    A = random.standard_normal((60, 12)) @ random.standard_normal((12, 12)) + 0.3 * random.standard_normal((60, 12))
    G, Q = A.T @ A / 60, A.T @ random.standard_normal((60, 2)) / 60
    model = BlockModel(G, Q, 1.0, np.sqrt(G.diagonal()), 1e-14, [np.array([j]) for j in range(12)], 0.01)
    _, blocks = model.part(np.arange(12), np.zeros(12, dtype=bool))
    start = np.full(12, 0.5), model.first_share(), np.inf, 1.0, 1e-6
    plain = interior_blocks(blocks, 3, *start, chooses=False)
    chosen = interior_blocks(blocks, 3, *start)
    assert chosen[0] > plain[0] + 1e-3 * abs(plain[0])


def test_more_responses_than_features_are_turned_without_loss():
    """Only their products with each other matter, and there are no more of those than features."""
    problem = so.Problem(so.LeastSquares(X[:, :5], MANY), RIDGE, so.RowCardinality(2))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-8)
    values = []
    for pair in combinations(range(5), 2):
        A = X[:, pair]
        W = np.linalg.solve(A.T @ A / 30 + 0.05 * np.eye(2), A.T @ MANY / 30)
        values.append(np.sum((MANY - A @ W) ** 2) / 60 + 0.025 * np.sum(W**2))
    assert solution.certificate.objective == pytest.approx(min(values), rel=1e-9)
    solution.certificate.verify(problem)


def false_blocks(tree, random):
    """The tree with more taken off the curvature than there is, or nonsense in the place of it."""
    changes = [
        lambda C: 1.5 * C,
        lambda C: C + 0.3 * np.abs(C).max() * np.eye(len(C)),
        lambda C: -C,
        lambda C: np.full_like(C, np.nan),
        lambda C: C + np.triu(np.ones_like(C), 1) if len(C) > 1 else 3.0 * C,
    ]
    for change in changes:
        nodes = tuple(
            replace(
                node,
                points=tuple((*point[:3], tuple((f, change(C)) for f, C in point[3])) for point in node.points),
            )
            for node in tree.nodes
        )
        yield replace(tree, nodes=nodes)
    for name in ((lambda f: f + 1), (lambda f: f[:0]), (lambda f: np.full_like(f, random.integers(3)))):
        nodes = tuple(
            replace(node, points=tuple((*point[:3], tuple((name(f), C) for f, C in point[3])) for point in node.points))
            for node in tree.nodes
        )
        yield replace(tree, nodes=nodes)


@pytest.mark.parametrize("name", ["rows", "groups", "rows without a ridge"])
def test_blocks_that_are_too_large_prove_nothing(name):
    """With the bound raised above the optimum no choice of blocks holds; without, none that is not positive semidefinite."""
    problem = PROBLEMS[name]
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    tree, best = solution.certificate.tree, refits(problem).best
    assert tree.fault(problem) is None
    false = replace(tree, lower_bound=best + 1e-6 * abs(best))
    for wrong in false_blocks(false, np.random.default_rng(0)):
        assert wrong.fault(problem) is not None
    # blocks are for rows and groups alone
    other = so.Problem(so.Logistic(X[:, :5], np.sign(Y)), RIDGE, so.Cardinality(2))
    assert tree.fault(other) is not None


def large(k=10, p=60, q=5):
    random = np.random.default_rng(0)
    H = np.maximum(random.standard_normal((200, 20)) @ random.standard_normal((20, p)), 0.0)
    return so.Problem(
        so.LeastSquares(H, H @ random.standard_normal((p, q)), intercept=True), RIDGE, so.RowCardinality(k)
    )


@pytest.mark.parametrize("p", [60, 250])
def test_a_time_limit_is_kept_with_an_honest_gap(p):
    problem = large(p=p, q=3)
    so.solve(problem, so.BranchAndBound(), time_limit=2.0)  # compilation of whatever a longer run calls
    start = time.process_time()
    solution = so.solve(problem, so.BranchAndBound(), time_limit=0.1)
    assert time.process_time() - start <= 0.4  # twice what is promised, for a busy machine
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.certificate.lower_bound <= solution.certificate.objective
    assert solution.certificate.relative_gap > 1e-3


def test_nodes_that_are_interrupted_after_each_step_end_with_the_same_answer(monkeypatch):
    for name in ("rows", "groups", "hierarchy", "rows with a hierarchy", "logistic hierarchy"):
        problem = PROBLEMS[name]
        whole = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr("sparseopt.solvers.branch_and_bound._CHUNK", 0.0)
            parts = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6, time_limit=20.0)
        assert whole.status is parts.status is so.Status.CONVERGED
        assert parts.certificate.objective == pytest.approx(whole.certificate.objective, rel=1e-9)
        parts.certificate.verify(problem)


def test_what_is_left_open_is_proven_as_far_as_it_goes():
    problem = large()
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), max_iter=20)
    assert solution.status is so.Status.ITERATION_LIMIT
    assert 1e-3 < solution.certificate.relative_gap < 1.0
    solution.certificate.verify(problem)
    again = so.solve(problem, so.BranchAndBound(keep_proof=True), max_iter=20)
    assert again.certificate.lower_bound == solution.certificate.lower_bound


def test_a_start_is_an_incumbent_also_where_it_breaks_the_rules():
    for name in ("rows", "groups", "hierarchy", "rows with a hierarchy"):
        problem = PROBLEMS[name]
        best = so.solve(problem, so.BranchAndBound(), tol=1e-6)
        start = np.random.default_rng(0).standard_normal(best.w.shape)
        seen = []
        so.solve(
            problem, so.BranchAndBound(), start, time_limit=0.0, callback=lambda _, w, seen=seen: seen.append(w.copy())
        )
        assert all(problem.violation(w.ravel()) == 0.0 for w in seen)
        again = so.solve(problem, so.BranchAndBound(), start, tol=1e-6)
        assert again.certificate.objective == pytest.approx(best.certificate.objective, rel=1e-6)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (so.Problem(so.LeastSquares(X, RESPONSES), RIDGE, so.Cardinality(3)), "chooses rows, by RowCardinality"),
        (so.Problem(so.LeastSquares(X, RESPONSES), RIDGE, so.GroupCardinality(1, 4)), "chooses rows, by RowCardinality"),
        (so.Problem(squares(), so.L1(0.1), so.GroupCardinality(2, LABELS)), "no L1 norm"),
        (so.Problem(so.LeastSquares(X[:4], RESPONSES[:4]), constraint=so.RowCardinality(2)), "fit 4 samples exactly"),
        (so.Problem(so.LeastSquares(X[:4], Y[:4]), constraint=so.GroupCardinality(2, LABELS)), "fit 4 samples exactly"),
        (so.Problem(so.Logistic(X, np.sign(Y)), RIDGE, so.GroupCardinality(2, LABELS)), "single features"),
        (so.Problem(so.LeastSquares(np.ones((3, 2000)), np.ones((3, 2))), RIDGE, so.RowCardinality(2)), "it takes up to"),
        (so.Problem(so.LeastSquares(DUPLICATE, RESPONSES), constraint=so.RowCardinality(2)), "add a ridge"),
        (so.Problem(so.LeastSquares(DUPLICATE, Y), constraint=so.GroupCardinality(2, LABELS)), "add a ridge"),
    ],
)  # fmt: skip
def test_what_it_cannot_prove_is_refused_with_the_reason(problem, reason):
    with pytest.raises(so.UnsupportedProblem, match=reason):
        so.solve(problem, so.BranchAndBound())


def test_a_family_completes_what_is_fixed():
    family = Family({0: (1,), 1: (2,), 3: (1, 4)}, 3)
    status = np.array([IN, FREE, FREE, FREE, FREE], dtype=np.int8)
    assert family.complete(status)
    np.testing.assert_array_equal(status, [IN, IN, IN, FREE, FREE])
    status = np.array([FREE, FREE, OUT, FREE, FREE], dtype=np.int8)
    assert family.complete(status)
    np.testing.assert_array_equal(status, [OUT, OUT, OUT, OUT, FREE])
    assert not family.complete(np.array([IN, FREE, OUT, FREE, FREE], dtype=np.int8))
    assert not family.complete(np.array([IN, FREE, FREE, IN, FREE], dtype=np.int8))  # five are needed
    assert family.orphans([0, 1, 4]) == [0, 1]
    alone, more = family.repaired(np.array([0, 4]), [], [])
    assert alone.tolist() == [4]
    assert more.tolist() == [4]  # no room for three more
    assert family.repaired(np.array([0]), [], [])[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("fixed", [0, 2])
def test_the_best_set_of_rows_is_found_among_all(size, fixed):
    """With some rows in, some out, and calls that end after every elimination."""
    random = np.random.default_rng(size)
    A = random.standard_normal((40, 11)) + random.standard_normal((40, 1))
    G, Q = A.T @ A / 40, A.T @ random.standard_normal((40, 3)) / 40
    model = BlockModel(G, Q, 1.5, np.sqrt(G.diagonal()), 1e-15, [np.array([j]) for j in range(11)], 0.01)
    status = np.full(11, FREE, dtype=np.int8)
    status[[3, 7][:fixed]], status[9] = IN, OUT
    into = np.flatnonzero(status == IN)
    values = {
        more: model.evaluate(np.concatenate([into, more]))[0]
        for more in combinations(np.flatnonzero(status == FREE).tolist(), size)
    }
    best = min(values, key=values.get)
    for threshold in (np.inf, values[best] * (1 + 1e-9), values[best] * (1 - 1e-9)):
        sets = RowEnumeration(model, status, size)
        while not sets.run(threshold, 0.0):
            pass
        if threshold < values[best]:
            assert sets.support is None
            assert sets.bound == threshold
        else:
            np.testing.assert_array_equal(sets.support, np.sort(np.concatenate([into, best])))
            assert values[best] * (1 - 1e-9) <= sets.bound <= values[best]


def test_rows_that_no_relaxation_tells_apart_are_enumerated():
    """The first bound is far from the best objective, and one node is enough."""
    problem = large(k=4, p=40)
    solution = so.solve(problem, so.BranchAndBound(), tol=1e-4)
    assert solution.status is so.Status.CONVERGED
    assert solution.iterations == 1
    kept = so.solve(large(k=2, p=20), so.BranchAndBound(keep_proof=True), tol=1e-4)
    assert kept.certificate.objective == pytest.approx(
        so.solve(large(k=2, p=20), so.BranchAndBound(), tol=1e-4).certificate.objective, rel=1e-9
    )


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
def test_a_proof_holds_where_an_intercept_makes_a_column_zero(storage):
    rng = np.random.default_rng(0)
    X = storage(np.column_stack([np.ones(12), np.zeros(12)]))
    Y = rng.standard_normal((12, 3)) + 0.7
    problem = so.Problem(so.LeastSquares(X, Y, intercept=True), constraint=so.RowCardinality(2))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True))
    assert solution.status is so.Status.CONVERGED
    solution.certificate.verify(problem)
