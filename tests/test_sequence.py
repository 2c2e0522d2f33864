"""Sequences of quadratic programs: each solution is what a run from nothing finds, and carries its proof."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import sparseopt as so

TIGHT = 1e-8


def problem_of(rng, p=8, m=3, rank=None, penalty=None):
    M = rng.standard_normal((p, 2 * p if rank is None else rank))
    A = rng.standard_normal((m, p))
    rows = so.LinearConstraint(A, -np.ones(m), np.append(np.full(m - 1, 1.0), -1.0))
    penalty = so.Zero() if penalty is None else penalty
    return so.Problem(
        so.Quadratic(M @ M.T / p, rng.standard_normal(p)), penalty, so.Intersection(rows, so.Box(-2.0, 2.0))
    )


def same_as_alone(solution):
    """Whether a run of another method on the same data says the same."""
    alone = so.solve(solution.problem, so.InteriorPoint(), tol=TIGHT)
    if so.Status.STALLED in (solution.status, alone.status):
        return False
    assert solution.status is alone.status
    if solution.status is so.Status.CONVERGED:
        assert max(solution.violation, solution.stationarity) <= TIGHT
        objective = solution.certificate.objective
        assert solution.gap <= TIGHT * max(1.0, abs(objective))
        assert objective == pytest.approx(alone.certificate.objective, rel=1e-6, abs=1e-6)
        assert solution.certificate.violation <= 2 * TIGHT
        assert solution.certificate.dual_residual <= 2 * TIGHT
    else:
        assert solution.certificate.proof in ("infeasible ray", "unbounded ray")
    return True


@given(seed=st.integers(0, 10_000), rank=st.sampled_from([None, 0, 1, 3]), alpha=st.sampled_from([0.0, 0.3]))
@settings(max_examples=25, deadline=None)
def test_whatever_changes_the_solution_is_that_of_the_new_data(seed, rank, alpha):
    rng = np.random.default_rng(seed)
    sequence = so.QuadraticSequence(problem_of(rng, rank=rank, penalty=so.L1(alpha)), tol=TIGHT)
    for _ in range(6):
        kind = rng.integers(6)
        if kind == 0:
            sequence.update(c=rng.standard_normal(8))
        elif kind == 1:
            middle = rng.standard_normal(3)
            width = np.where(rng.random(3) < 0.3, 0.0, rng.random(3))
            sequence.update(row_lower=middle - width, row_upper=middle + width)
        elif kind == 2:
            sequence.update(lower=np.where(rng.random(8) < 0.3, -np.inf, -rng.random(8)), upper=rng.random(8))
        elif kind == 3:
            fixed = rng.integers(-1, 2, 8).astype(float)
            sequence.update(lower=np.where(rng.random(8) < 0.5, fixed, -2.0), upper=np.maximum(fixed, 1.5))
        elif kind == 4:
            sequence.update(penalty=so.L1(float(rng.choice([0.0, 0.1, 2.0]))))
        else:
            sequence.update(c=3 * rng.standard_normal(8), upper=np.inf, row_lower=-np.inf)
        same_as_alone(sequence.solve())


def test_a_drift_costs_few_changes():
    rng = np.random.default_rng(0)
    sequence = so.QuadraticSequence(problem_of(rng, 30, 5), tol=TIGHT)
    first, c, counts = sequence.solve(), sequence.problem.loss.c.copy(), []
    for _ in range(200):
        c = c + 0.02 * rng.standard_normal(30)
        sequence.update(c=c)
        counts.append(sequence.solve().iterations)
    assert np.mean(counts) < first.iterations / 3
    assert same_as_alone(sequence.solve())
    assert sequence.solve().iterations == 1


def test_a_cold_solution_does_not_depend_on_what_was_before():
    rng = np.random.default_rng(1)
    problem = problem_of(rng)
    fresh, used = so.QuadraticSequence(problem), so.QuadraticSequence(problem)
    for _ in range(5):
        used.update(c=rng.standard_normal(8))
        used.solve()
    used.update(c=problem.loss.c)
    assert used.solve(warm=False).w.tobytes() == fresh.solve().w.tobytes()


def test_a_solution_keeps_the_problem_it_was_made_for():
    rng = np.random.default_rng(2)
    sequence = so.QuadraticSequence(problem_of(rng), tol=TIGHT)
    first = sequence.solve()
    c = rng.standard_normal(8)
    sequence.update(c=c)
    second = sequence.solve()
    c[:] = 0.0  # what was lent is not looked at again
    for solution in (first, second):
        solution.certificate.verify(solution.problem)
        assert solution.require(residual=TIGHT) is solution
    assert not np.array_equal(first.problem.loss.c, second.problem.loss.c)
    with pytest.raises(so.NotCertified, match="residual"):
        second.require(residual=0.0 if second.gap else -1.0)
    assert "CONVERGED" in repr(first)


def test_targets_of_least_squares_and_an_intercept():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 6))
    X[np.abs(X) < 0.4] = 0.0
    rows = so.LinearConstraint(np.ones((1, 6)), 1.0, 1.0)
    for design in (X, sparse.csc_array(X)):
        for intercept in (False, True):
            loss = so.LeastSquares(design, rng.standard_normal(40), rng.random(40), intercept=intercept)
            sequence = so.QuadraticSequence(so.Problem(loss, so.L1(0.01), rows), tol=TIGHT)
            sequence.solve()
            y = rng.standard_normal(40) + 3.0
            sequence.update(y=y)
            solution = sequence.solve()
            assert same_as_alone(solution)
            alone = so.solve(so.Problem(so.LeastSquares(design, y, loss.sample_weight.values, intercept=intercept),
                                        so.L1(0.01), rows), tol=TIGHT)  # fmt: skip
            np.testing.assert_allclose(solution.w, alone.w, atol=1e-7)
            assert solution.intercept == pytest.approx(alone.intercept, abs=1e-7)


def test_no_solution_in_between_does_no_harm():
    rng = np.random.default_rng(4)
    sequence = so.QuadraticSequence(problem_of(rng), tol=TIGHT)
    before = sequence.solve()
    sequence.update(upper=-1.9)
    nothing = sequence.solve()
    assert nothing.status is so.Status.INFEASIBLE
    assert nothing.certificate.proof == "infeasible ray"
    with pytest.raises(so.NotCertified, match="No point satisfies"):
        nothing.require()
    sequence.update(upper=2.0)
    np.testing.assert_allclose(sequence.solve().w, before.w, atol=1e-9)


def test_limits_are_data():
    sequence = so.QuadraticSequence(problem_of(np.random.default_rng(5), 20, 4))
    found = sequence.solve(max_iter=2)
    assert found.status is so.Status.ITERATION_LIMIT
    assert found.iterations == 2
    assert sequence.solve().status is so.Status.CONVERGED
    sequence.update(c=10 * np.ones(20))
    assert sequence.solve(warm=False, time_limit=0.0).status in (so.Status.TIME_LIMIT, so.Status.CONVERGED)


def test_where_rounding_ends_the_method_another_one_finishes(monkeypatch):
    sequence = so.QuadraticSequence(problem_of(np.random.default_rng(6)), tol=TIGHT)
    with monkeypatch.context() as patch:
        patch.setattr("sparseopt.solvers.quadratic.dual_program.Settled.misses", lambda self, tol: True)
        found = sequence.solve()
    assert found.solver == "InteriorPoint"
    assert same_as_alone(found)
    again = sequence.solve()
    assert again.solver == "ActiveSet"
    np.testing.assert_allclose(again.w, found.w, atol=1e-7)


def test_mistakes_are_refused_in_words_and_change_nothing():
    problem = problem_of(np.random.default_rng(7))
    sequence = so.QuadraticSequence(problem)
    before = sequence.solve().w.copy()
    for change, words in (
        ({"c": np.ones(7)}, r"c has shape \(7,\)"),
        ({"c": np.full(8, np.nan)}, "c contains NaN"),
        ({"lower": np.ones(3)}, "lower has shape"),
        ({"lower": np.full(8, np.nan)}, "lower contains NaN"),
        ({"lower": 3.0}, "lower 3 exceeds upper 2 in entry 0"),
        ({"row_upper": -5.0}, "row_lower -1 exceeds row_upper -5"),
        ({"c": np.ones(8), "upper": -np.inf}, "exceeds upper -inf"),
    ):
        with pytest.raises(ValueError, match=words):
            sequence.update(**change)
    for change, words in (
        ({"y": np.ones(8)}, "y is the target of a LeastSquares"),
        ({"penalty": so.MCP(1.0)}, "penalty must be"),
    ):
        with pytest.raises(TypeError, match=words):
            sequence.update(**change)
    assert sequence.solve().w.tobytes() == before.tobytes()
    with pytest.raises(TypeError, match="c is the linear term"):
        so.QuadraticSequence(so.Problem(so.LeastSquares(np.eye(3), np.ones(3)), so.L1(0.1))).update(c=np.ones(3))
    with pytest.raises(so.UnsupportedProblem, match="QuadraticSequence: Cardinality"):
        so.QuadraticSequence(so.Problem(problem.loss, constraint=so.Cardinality(2)))
    with pytest.raises(TypeError, match="must be a Problem"):
        so.QuadraticSequence(problem.loss)


def test_a_copy_goes_its_own_way():
    rng = np.random.default_rng(8)
    sequence = so.QuadraticSequence(problem_of(rng))
    first = sequence.solve()
    other = copy.deepcopy(sequence)
    other.update(c=rng.standard_normal(8))
    assert not np.array_equal(other.solve().w, first.w)
    np.testing.assert_allclose(sequence.solve().w, first.w, atol=1e-12)
