"""The oracle of subsets, against other programs on every support and against what a sentence says."""

import itertools

import numpy as np
import pytest
from brute_force import best_value, refits
from scipy import optimize, sparse

import sparseopt as so

RNG = np.random.default_rng(0)
N, P = 12, 6
X = RNG.standard_normal((N, P))
X[:, 4] = X[:, 1]  # twice the same
X[:, 5] = 0.0
Y = X @ [1.0, -2.0, 0.0, 0.5, 0.0, 0.0] + 0.3 * RNG.standard_normal(N)
WEIGHTS = RNG.uniform(0.1, 2.0, N)
INNER = so.Box([-0.5, 0.0, 0.1, -1.0, -np.inf, -1.0], [0.5, np.inf, 0.3, 0.0, np.inf, 1.0])


@pytest.mark.parametrize("design", [X, sparse.csc_array(X), X[:1], X[:4]], ids=["dense", "sparse", "n = 1", "n < p"])
@pytest.mark.parametrize("intercept", [False, True])
def test_least_squares_is_that_of_lapack_on_every_support(design, intercept):
    n = design.shape[0]
    dense = design.toarray() if sparse.issparse(design) else design
    found = refits(so.Problem(so.LeastSquares(design, Y[:n], WEIGHTS[:n], intercept), constraint=so.Cardinality(P)))
    assert len(found.values) == 2**P
    root = np.sqrt(WEIGHTS[:n] / WEIGHTS[:n].sum())
    for support, value in zip(found.supports, found.values, strict=True):
        A = np.column_stack([dense[:, support], np.ones((n, int(intercept)))])
        w = np.linalg.lstsq(root[:, None] * A, root * Y[:n], rcond=None)[0]
        assert value == pytest.approx(np.sum((root * (A @ w - Y[:n])) ** 2) / 2, rel=1e-10, abs=1e-12)


def test_a_box_is_that_of_scipy_on_every_support():
    ridge = 0.05
    found = refits(so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0(0.01), ridge), INNER))
    assert len(found.values) == 2 ** (P - 1)  # 2 is always in
    A, b = np.vstack([X / np.sqrt(N), np.sqrt(ridge) * np.eye(P)]), np.append(Y / np.sqrt(N), np.zeros(P))
    lower, upper = INNER.bounds(P)
    for support, value, w in zip(found.supports, found.values, found.w, strict=True):
        theirs = optimize.lsq_linear(A[:, support], b, (lower[support], upper[support]), tol=1e-14)
        assert value == pytest.approx(theirs.cost + 0.01 * support.sum(), rel=1e-9)
        assert INNER.violation(w) == 0.0


@pytest.mark.parametrize(
    "loss",
    [
        so.Logistic(X, np.sign(Y), intercept=True),
        so.Huber(X, Y, WEIGHTS, delta=0.3),
        so.Huber(X, Y, delta=0.01, intercept=True),
        so.Poisson(X, np.round(np.exp(Y.clip(-2, 2))), offset=Y / 5),
        so.Gamma(X, np.exp(Y), intercept=True),
        so.SquaredHinge(X, np.sign(Y)),
        so.Quantile(X, Y, quantile=0.3),
        so.Quadratic(X.T @ X / N, -X.T @ Y / N),
        so.LeastSquares(X, Y, offset=X[:, 3], intercept=True),
    ],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize("l1", [0.0, 0.05])
def test_other_losses_are_what_convex_solvers_find_on_every_support(loss, l1):
    penalty = so.Ridged(so.L1(l1) if l1 else so.Zero(), 0.1)
    found = refits(so.Problem(loss, penalty, so.Cardinality(2)))
    assert found.worst <= 1e-7  # values are that squared from the best
    for support, value in zip(found.supports, found.values, strict=True):
        columns = np.flatnonzero(support)
        theirs = so.solve(so.Problem(loss.restrict(columns), penalty), tol=1e-11) if columns.size else None
        best = loss.evaluate(np.zeros(P)) if theirs is None else theirs.certificate.objective
        assert value == pytest.approx(best, rel=1e-9, abs=1e-10)


def test_rows_of_several_responses_have_one_support():
    Y2 = np.column_stack([Y, X[:, 3] + X[:, 0]])
    for intercept in (False, True):
        loss = so.LeastSquares(X, Y2, WEIGHTS, intercept)
        single = [so.LeastSquares(X, Y2[:, k], WEIGHTS, intercept) for k in range(2)]
        each = [refits(so.Problem(part, constraint=so.Cardinality(P))) for part in single]
        small = each[0].supports.sum(axis=1) <= 2
        assert best_value(so.Problem(loss, constraint=so.RowCardinality(2))) == pytest.approx(
            (each[0].values + each[1].values)[small].min(), rel=1e-9
        )
        together = min(
            each[0].values[each[0].supports.sum(axis=1) == a].min()
            + each[1].values[each[1].supports.sum(axis=1) == b].min()
            for a, b in itertools.product(range(4), repeat=2)
            if a + b <= 3
        )
        assert best_value(so.Problem(loss, constraint=so.Cardinality(3))) == pytest.approx(together, rel=1e-9)


def test_only_supports_that_all_sets_allow_are_tried():
    sets = so.Intersection(so.Cardinality(3), so.Required(2), so.Forbidden([0]), so.StrongHierarchy({3: 1}))
    found = refits(so.Problem(so.LeastSquares(X, Y), so.L0(0.1), sets))
    assert {tuple(np.flatnonzero(support)) for support in found.supports} == {
        (2,), (1, 2), (2, 4), (2, 5), (1, 2, 3), (1, 2, 4), (1, 2, 5), (2, 4, 5)
    }  # fmt: skip
    assert found.best == found.values.min()
