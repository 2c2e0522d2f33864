"""The best subset for the worst loss, against all subsets, each solved as a convex problem of its own."""

import itertools

import cvxpy as cp
import numpy as np
import pytest

import sparseopt as so
from sparseopt.problem import without_price
from sparseopt.testing import poisoned


def drawn(seed):
    """A small problem of any kind: ties, repeated columns, whole numbers, perfect fits, k from 0 to p."""
    random = np.random.default_rng(seed)
    n, p, count = int(random.integers(8, 50)), int(random.integers(1, 6)), int(random.integers(1, 4))
    k, kind = int(random.integers(0, p + 1)), int(random.integers(0, 4))
    X = random.standard_normal((n, p))
    if kind == 1:
        X[:, -1] = X[:, 0]
    if kind == 2:
        X = np.sign(X)
    if kind == 3:
        X = X + 3.0 * X[:, :1]
    groups = np.arange(n) % count
    own = random.choice([-1.0, 0.0, 1.0, 0.5], size=(count, p))
    y = np.einsum("ij,ij->i", X, own[groups]) + random.choice([0.1, 1.0]) * random.standard_normal(n)
    if kind == 2:
        y = np.round(y)
    penalties = [so.Zero(), so.Ridged(so.Zero(), 0.1), so.L1(0.05), so.L0(0.05), so.Ridged(so.L0(0.02), 0.05)]
    penalty = penalties[int(random.integers(0, 5))]
    parts = [so.Cardinality(k)] + ([so.Box(-0.5, 0.7)] if random.random() < 0.3 else [])
    baselines = random.random(count) if random.random() < 0.5 else None
    is_centred = bool(random.integers(0, 2))
    loss = so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=is_centred, baselines=baselines)
    if random.random() < 0.25 and baselines is None:
        loss, penalty = so.Perturbed(loss, 0.2 * random.random(p)), so.Zero()
    return so.Problem(loss, penalty, so.Intersection(*parts))


def least(problem, k):
    """The least objective of all supports of up to k features."""
    box = next((part for part in problem.constraint.parts if isinstance(part, so.Box)), None)
    price = problem.penalty.penalty if isinstance(problem.penalty, so.Ridged) else problem.penalty
    alpha = price.alpha if isinstance(price, so.L0) else 0.0
    best = np.inf
    for size in range(k + 1):
        for support in itertools.combinations(range(problem.n_features), size):
            if size == 0:
                best = min(best, problem.objective(np.zeros(problem.n_features)))
                continue
            part = so.Problem(problem.loss.restrict(np.array(support)), without_price(problem.penalty), box)
            found = so.solve(part, so.Minimax(), tol=1e-8)
            best = min(best, found.certificate.objective + alpha * size)
    return best


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_is_below_and_the_subset_is_the_best(seed):
    problem = drawn(seed)
    k = problem.constraint.parts[0].k
    expected, scale = least(problem, k), abs(problem.loss.value_at_zero())
    solution = so.solve(problem, so.MinimaxBranchAndBound(), tol=1e-7)
    certificate = solution.certificate
    assert solution.status is so.Status.CONVERGED
    assert certificate.lower_bound <= expected + 1e-10 * scale
    assert certificate.objective == pytest.approx(expected, abs=2e-7 * max(abs(expected), certificate.reference))
    assert certificate.proof in {"bound", "duality"}
    assert certificate.violation == 0.0
    assert np.count_nonzero(solution.w) <= k
    searched = so.solve(problem)
    assert searched.solver.startswith("MinimaxSearch")
    assert searched.certificate.objective >= expected - 1e-7 * scale
    assert searched.certificate.lower_bound == -np.inf


def test_the_best_subset_is_that_of_cvxpy():
    random = np.random.default_rng(100)
    n, p, k, groups = 60, 6, 2, np.arange(60) % 3
    X = random.standard_normal((n, p))
    y = np.where(groups == 0, X[:, 0], X[:, 1]) + X[:, 2] + 0.5 * random.standard_normal(n) + 1.0
    best = np.inf
    for support in itertools.combinations(range(p), k):
        w, b = cp.Variable(k), cp.Variable()
        values = [cp.sum_squares(X[groups == g][:, support] @ w + b - y[groups == g]) / 40 for g in range(3)]
        best = min(best, cp.Problem(cp.Minimize(cp.maximum(*values))).solve(solver=cp.CLARABEL))
    loss = so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=True)
    solution = so.solve(so.Problem(loss, constraint=so.Cardinality(k)), so.MinimaxBranchAndBound(), tol=1e-8)
    assert solution.certificate.objective == pytest.approx(best, rel=1e-6)
    assert solution.certificate.relative_gap <= 1e-8


def test_a_tree_of_some_nodes_is_finished_with_poisoned_buffers():
    random = np.random.default_rng(5)
    n, p, groups = 120, 16, np.arange(120) % 4
    X = random.standard_normal((n, p)) + 0.5 * random.standard_normal((n, 1))
    y = np.einsum("ij,ij->i", X[:, :6], random.choice([-1.0, 0.0, 1.0], size=(4, 6))[groups])
    loss = so.WorstCase.over_groups(so.LeastSquares, X, y + random.standard_normal(n), groups, intercept=True)
    problem = so.Problem(loss, constraint=so.Cardinality(5))
    plain = so.solve(problem, so.MinimaxBranchAndBound(), tol=1e-5)
    with poisoned():
        again = so.solve(problem, so.MinimaxBranchAndBound(), tol=1e-5)
    assert np.array_equal(plain.w, again.w)
    assert plain.certificate.lower_bound == again.certificate.lower_bound
    assert plain.iterations > 0
    assert plain.require(gap=1e-5).status is so.Status.CONVERGED
    assert so.solve(problem).certificate.objective >= plain.certificate.lower_bound


@pytest.mark.parametrize("solver", [so.MinimaxSearch(), so.MinimaxBranchAndBound()])
def test_required_and_forbidden_features_are_kept(solver):
    random = np.random.default_rng(6)
    X, groups = random.standard_normal((50, 6)), np.arange(50) % 2
    loss = so.WorstCase.over_groups(so.LeastSquares, X, X[:, 0] - X[:, 1], groups)
    sets = so.Intersection(so.Cardinality(2), so.Required([5]), so.Forbidden([0]))
    assert so.solve(so.Problem(loss, constraint=sets), solver).support.tolist() == [1, 5]


def test_a_classifier_finds_what_all_groups_share():
    random = np.random.default_rng(7)
    X, groups = random.standard_normal((200, 10)), np.arange(200) % 2
    y = np.sign(2.0 * X[:, 0] + 2.0 * X[:, 1] + np.where(groups == 0, 3.0, -3.0) * X[:, 2])
    loss = so.WorstCase.over_groups(so.Logistic, X, y, groups, intercept=True)
    found = so.solve(so.Problem(loss, so.Ridged(so.Zero(), 0.01), so.Cardinality(2)))
    assert found.support.tolist() == [0, 1]
    assert "LeastSquares" in so.MinimaxBranchAndBound().rejects(so.Problem(loss, constraint=so.Cardinality(2)))


def test_w0_is_a_start_and_time_is_kept():
    random = np.random.default_rng(8)
    X, groups = random.standard_normal((100, 30)), np.arange(100) % 5
    loss = so.WorstCase.over_groups(so.LeastSquares, X, X[:, :8].sum(axis=1) + random.standard_normal(100), groups)
    problem = so.Problem(loss, constraint=so.Cardinality(6))
    w0 = np.zeros(30)
    w0[:6] = 1.0
    first = so.solve(problem, so.MinimaxSearch(kicks=0), w0)
    assert first.certificate.objective <= so.solve(problem, so.MinimaxSearch(), w0, max_iter=1).certificate.objective
    early = so.solve(problem, so.MinimaxBranchAndBound(), tol=1e-12, time_limit=0.1)
    assert early.certificate.lower_bound <= early.certificate.objective


@pytest.mark.parametrize("solver", [so.MinimaxSearch(), so.MinimaxBranchAndBound()])
def test_what_is_no_subset_of_a_worst_case_is_refused(solver):
    X, y = np.eye(4), np.ones(4)
    loss = so.WorstCase((so.LeastSquares(X, y),))
    refused = [
        so.Problem(so.LeastSquares(X, y), constraint=so.Cardinality(1)),
        so.Problem(loss, so.L1(0.1)),
        so.Problem(loss, so.MCP(0.1), so.Cardinality(1)),
        so.Problem(loss, constraint=so.GroupCardinality(1, 2)),
        so.Problem(loss, constraint=so.Intersection(so.Cardinality(2), so.StrongHierarchy({1: (0,)}))),
        so.Problem(so.Perturbed(loss, 0.1), so.Ridged(so.Zero(), 0.1), so.Cardinality(1)),
    ]
    for problem in refused:
        with pytest.raises(so.UnsupportedProblem):
            so.solve(problem, solver)


def test_a_bound_without_a_proof_is_not_believed():
    X, y = np.random.default_rng(9).standard_normal((30, 4)), np.arange(30.0)
    problem = so.Problem(
        so.WorstCase.over_groups(so.LeastSquares, X, y, np.arange(30) % 2), constraint=so.Cardinality(1)
    )
    solution = so.solve(problem, so.MinimaxBranchAndBound())
    with pytest.raises(so.CertificateError, match="MinimaxBranchAndBound"):
        solution.certificate.verify(problem)
