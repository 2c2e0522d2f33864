"""Best subsets under linear rows against all supports, and proofs that were tampered with."""

from dataclasses import replace

import numpy as np
import pytest
from small_row_subsets import optimum_of, row_problem_of

import sparseopt as so
from sparseopt.proofs.bound_rows import RowPoint, RowRay
from sparseopt.proofs.bound_tree import BoundTree
from sparseopt.testing import poisoned

NOTHING = np.empty(0, dtype=np.intp)


def scale_of(problem, best):
    return max(abs(best), abs(problem.objective(np.zeros(problem.n_features))), 1e-3)


@pytest.mark.parametrize("first", range(0, 60, 6))
def test_no_certificate_under_rows_is_wrong(first):
    for seed in range(first, first + 6):
        problem = row_problem_of(seed)
        best = optimum_of(problem)
        if best is None:
            continue
        for solver in (so.BranchAndBound(keep_proof=True), so.LocalSearch()):
            try:
                with poisoned():
                    found = so.solve(problem, solver)
            except so.UnsupportedProblem:  # a coefficient that nothing limits
                continue
            certificate = found.certificate
            assert certificate.lower_bound <= best + 1e-7 * scale_of(problem, best) if np.isfinite(best) else True
            if certificate.proof == "bound":
                certificate.verify(problem)
            if found.status is so.Status.CONVERGED:
                assert certificate.violation <= 1e-9
                assert certificate.objective >= best - 1e-7 * scale_of(problem, best)
            if isinstance(solver, so.BranchAndBound):
                assert (found.status is so.Status.INFEASIBLE) == (best == np.inf)
                if best < np.inf and best != 0.0:
                    assert found.status is so.Status.CONVERGED
                    assert certificate.objective <= best + 1.1e-6 * scale_of(problem, best)


RNG = np.random.default_rng(3)
LOADINGS = RNG.standard_normal((12, 3))
RISK = LOADINGS @ LOADINGS.T + np.diag(RNG.uniform(0.3, 1.0, 12))
RETURNS = RNG.uniform(0.0, 1.0, 12)
BUDGET = so.LinearConstraint(np.vstack([np.ones(12), RETURNS]), [1.0, 0.5], [1.0, np.inf])


def portfolio(*parts):
    return so.Problem(so.Quadratic(RISK, np.zeros(12)), constraint=so.Intersection(BUDGET, *parts))


@pytest.fixture(scope="module")
def proven():
    """A portfolio, and one that no four assets make up, with their solutions."""
    possible = portfolio(so.Box(0.0, 0.6), so.Cardinality(3))
    impossible = portfolio(so.Box(0.0, 0.2), so.Cardinality(4))
    return [(problem, so.solve(problem, so.BranchAndBound(keep_proof=True))) for problem in (possible, impossible)]


def test_a_proof_with_rows_is_that_of_its_problem_alone(proven):
    problem, solution = proven[0]
    solution.certificate.verify(problem)
    tree = solution.certificate.tree
    others = [
        replace(problem, constraint=so.Intersection(so.Box(0.0, 0.6), so.Cardinality(3))),
        portfolio(so.Box(0.0, 0.6), so.Cardinality(4)),
        portfolio(so.Box(0.0, 0.9), so.Cardinality(6)),
        replace(problem, loss=so.Quadratic(0.99 * RISK, np.zeros(12))),
    ]
    for other in others:
        assert tree.fault(other) is not None


def test_a_proof_that_there_is_no_point_can_be_checked(proven):
    problem, solution = proven[1]
    assert solution.status is so.Status.INFEASIBLE
    assert solution.certificate.lower_bound == np.inf
    assert "no point" in solution.certificate.summary
    solution.certificate.verify(problem)
    tree = solution.certificate.tree
    assert tree.fault(portfolio(so.Box(0.0, 0.3), so.Cardinality(4))) is not None
    # a finite bound is no proof of that
    assert replace(proven[0][1].certificate.tree, lower_bound=np.inf).fault(proven[0][0]) is not None


def changed(tree, change):
    """The tree with each of its points changed."""
    nodes = tuple(replace(node, points=tuple(change(point) for point in node.points)) for node in tree.nodes)
    return BoundTree(nodes, tree.lower_bound)


def test_tampered_multipliers_and_diagonals_are_rejected(proven):
    problem, solution = proven[0]
    tree = solution.certificate.tree

    def with_rows(factor):
        return changed(tree, lambda point: replace(point, rows=factor * point.rows))

    def with_diagonal(factor):
        return changed(
            tree,
            lambda point: (
                point if isinstance(point, RowRay) else replace(point, moved=(point.moved[0], factor * point.moved[1]))
            ),
        )

    for wrong in (with_rows(0.5), with_rows(-1.0), with_rows(np.nan), with_diagonal(1.5), with_diagonal(-1.0)):
        assert wrong.fault(problem) is not None
    shorter = changed(tree, lambda point: replace(point, rows=point.rows[:1]))
    assert "one finite number a row" in shorter.fault(problem)
    partly = changed(
        tree, lambda point: point if isinstance(point, RowRay) else replace(point, moved=(NOTHING, np.empty(0)))
    )
    assert "does not cover" in partly.fault(problem)


def test_no_bound_with_multipliers_is_above_what_portfolios_reach():
    """Whatever the point, the multipliers and the diagonal are."""
    from sparseopt.proofs.bound_data import ProblemData
    from sparseopt.proofs.bound_tree import _Bound

    problem = portfolio(so.Box(0.0, 1.0), so.Cardinality(12))
    best = so.solve(replace(problem, constraint=so.Intersection(BUDGET, so.Box(0.0, 1.0)))).certificate.objective
    data, least = ProblemData.of(problem), float(np.linalg.eigvalsh(RISK)[0])
    features, status = np.arange(12), np.zeros(12, dtype=np.int8)
    for _ in range(200):
        w, y = RNG.random(12) / 6, RNG.standard_normal(2)
        point = RowPoint(features, w, y, (features, np.full(12, least * RNG.random())))
        assert data.point_fault(point, status) is None
        assert _Bound(data, point).at(status) <= best + 1e-12
