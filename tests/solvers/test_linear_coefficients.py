"""Best subsets of a quadratic that is linear in a coefficient: only bounds, a ridge or a norm end what that gains."""

import itertools

import numpy as np
import pytest

import sparseopt as so

# The first coefficient has no curvature, as the weight of a riskless asset.
Q, C = np.diag([0.0, 1.0]), np.array([-1.0, 1.0])
SOLVERS = [None, so.BranchAndBound(), so.BranchAndBound(keep_proof=True), so.LocalSearch()]


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize(
    ("penalty", "constraint", "best"),
    [
        (so.L0(0.1), so.Box(-1.0, 2.0), [2.0, -1.0]),
        (so.Zero(), so.Intersection(so.Cardinality(1), so.Box(-1.0, 2.0)), [2.0, 0.0]),
        (so.Ridged(so.L0(0.1), 0.5), None, [2.0, -2.0 / 3.0]),
        (so.Ridged(so.Zero(), 0.5), so.Cardinality(1), [2.0, 0.0]),
        (so.Ridged(so.L0(0.1), 0.5), so.Forbidden(0), [0.0, -2.0 / 3.0]),
    ],
    ids=["box", "one in a box", "ridge", "one with a ridge", "forbidden"],
)
def test_what_is_linear_is_chosen_for_what_it_gains(penalty, constraint, best, solver):
    problem = so.Problem(so.Quadratic(Q, C), penalty, constraint)
    solution = so.solve(problem, solver)
    np.testing.assert_allclose(solution.w, best, atol=1e-6)
    assert solution.certificate.lower_bound <= problem.objective(best) + 1e-9
    if isinstance(solver, so.BranchAndBound):
        assert solution.status is so.Status.CONVERGED
    if isinstance(solver, so.BranchAndBound) and solver.keep_proof:
        solution.certificate.verify(problem)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize(
    "constraint", [None, so.Cardinality(1), so.Intersection(so.Cardinality(1), so.Box(-1.0, np.inf))], ids=repr
)
def test_what_falls_without_end_is_refused_by_name(constraint, solver):
    with pytest.raises(so.UnsupportedProblem, match="falls without end along coefficient 0"):
        so.solve(so.Problem(so.Quadratic(Q, C), so.L0(0.1), constraint), solver)


def test_groups_are_refused_for_the_right_reason():
    problem = so.Problem(so.Quadratic(Q, C), constraint=so.GroupCardinality(1, 1))
    with pytest.raises(so.UnsupportedProblem, match="where the quadratic is linear in a coefficient it counts single"):
        so.solve(problem)


def test_in_a_box_a_direction_without_curvature_is_followed_to_its_end():
    """No coefficient is linear, but their difference is: the best point is a corner, which no linear system gives."""
    Q, c = np.ones((2, 2)), np.array([-1.0, 1.0])
    problem = so.Problem(so.Quadratic(Q, c), so.L0(0.1), so.Box(-5.0, 4.0))
    corners = [np.array(w) for w in itertools.product((-5.0, 0.0, 4.0), repeat=2)]
    for solver in (so.BranchAndBound(), so.BranchAndBound(keep_proof=True), so.LocalSearch()):
        solution = so.solve(problem, solver)
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.objective <= min(map(problem.objective, corners)) + 1e-9


@pytest.mark.parametrize("keep_proof", [False, True])
def test_where_nothing_is_worth_its_price_the_search_converges(keep_proof):
    """The objective is zero at zero, which is best: a gap of rounding is relative to what a coefficient may take off."""
    problem = so.Problem(so.Quadratic(np.array([[2.0, 0.3], [0.3, 0.7]]), np.array([0.3, -0.7])), so.L0(5.0))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=keep_proof)).require(gap=1e-6)
    assert solution.status is so.Status.CONVERGED
    assert not solution.w.any()


@pytest.mark.parametrize("keep_proof", [False, True])
@pytest.mark.parametrize("penalty", [so.L0(0.1), so.Ridged(so.L0(1e-3), 0.1), so.L0L1(0.1, 0.2)], ids=repr)
@pytest.mark.parametrize("Q", [np.zeros((3, 3)), np.eye(3)], ids=["zero", "identity"])
@pytest.mark.parametrize("constraint", [so.Box(-1.0, 2.0), so.Cardinality(2)], ids=repr)
def test_where_nothing_gains_at_all_the_search_converges(Q, penalty, constraint, keep_proof):
    """Of a quadratic without slopes only the price says how large the objective is."""
    problem = so.Problem(so.Quadratic(Q, np.zeros(3)), penalty, constraint)
    if isinstance(constraint, so.Cardinality) and not (Q.any() or isinstance(penalty, so.Ridged)):
        problem = so.Problem(problem.loss, penalty, [constraint, so.Box(-1.0, 2.0)])
    solution = so.solve(problem, so.BranchAndBound(keep_proof=keep_proof)).require(gap=1e-6)
    assert solution.status is so.Status.CONVERGED
    assert not solution.w.any()
    if keep_proof:
        solution.certificate.verify(problem)


def test_boxes_that_have_nothing_in_common_are_refused_beside_a_price():
    problem = so.Problem(so.Huber(np.eye(2), [1.0, 2.0]), so.L0(0.1), [so.Box(0.0, 0.0), so.Box(0.1, 1.0)])
    with pytest.raises(so.UnsupportedProblem, match="the boxes have nothing in common in entry 0"):
        so.solve(problem)


@pytest.mark.parametrize("solver", [None, so.LocalSearch()], ids=repr)
@pytest.mark.parametrize(
    ("penalty", "constraint"),
    [
        (so.L0(0.1), None),
        (so.Zero(), so.Cardinality(2)),
        (so.L0L1(0.1, 0.3), None),
        (so.L0(0.1), so.Box([-np.inf, -5.0, -np.inf], [5.0, np.inf, np.inf])),
        (so.Zero(), so.GroupCardinality(1, [0, 0, 1])),
    ],
    ids=repr,
)
def test_what_falls_without_end_along_a_combination_is_refused_by_name(penalty, constraint, solver):
    """Two features are one and the same to Q, and c tells them apart; the third has nothing to do with them."""
    Q = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    quadratic = so.Quadratic(Q, np.array([1.0, -1.0, 0.5]))
    with pytest.raises(
        so.UnsupportedProblem, match="falls without end along a combination of features 0, 1; add a ridge"
    ):
        so.solve(so.Problem(quadratic, penalty, constraint), solver)


@pytest.mark.parametrize(
    ("penalty", "constraint"),
    [
        (so.Zero(), so.Cardinality(1)),
        (so.Ridged(so.L0(0.1), 0.1), None),
        (so.L0L1(0.1, 1.5), None),
        (so.L0(0.1), so.Forbidden(0)),
        (so.L0(0.1), so.Box([-5.0, -np.inf, -np.inf], [np.inf, np.inf, np.inf])),
    ],
    ids=repr,
)
def test_where_something_ends_the_fall_the_search_goes_on(penalty, constraint):
    Q = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    problem = so.Problem(so.Quadratic(Q, np.array([1.0, -1.0, 0.5])), penalty, constraint)
    assert so.solve(problem, so.LocalSearch()).status is so.Status.CONVERGED


def test_least_squares_in_the_words_of_a_quadratic_fall_to_their_end():
    """Its matrix is singular, but c has no slope along what has no curvature, beyond rounding."""
    rng = np.random.default_rng(2)
    for n, p in itertools.product((3, 10), (12, 40)):
        X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3.0, 3.0, p) + 30.0
        problem = so.Problem(
            so.Quadratic(X.T @ X / n, -(X.T @ rng.standard_normal(n)) / n), constraint=so.Cardinality(p)
        )
        assert so.LocalSearch().rejects(problem) is None


def test_a_path_of_sizes_ends_where_one_falls_without_end():
    problem = so.Problem(so.Quadratic(np.ones((2, 2)), np.array([-1.0, 1.0])))
    with pytest.raises(so.UnsupportedProblem, match="falls without end along a combination of features 0, 1"):
        so.path(problem, [so.Cardinality(1), so.Cardinality(2)])
