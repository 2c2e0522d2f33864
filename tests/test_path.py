"""Paths: warm starts, strengths at which the first coefficient enters, and what a path holds."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import lasso_path

import sparseopt as so

RNG = np.random.default_rng(4)
X = RNG.standard_normal((40, 10))
Y = X[:, 0] - 0.5 * X[:, 4] + 0.1 * RNG.standard_normal(40) + 1.0
LABELS = RNG.choice([-1, 1], 40)
LOSSES = {
    "least squares": so.LeastSquares(X, Y, intercept=True),
    "sparse": so.LeastSquares(sparse.csc_array(np.where(np.abs(X) > 0.5, X, 0)), Y, intercept=True),
    "logistic": so.Logistic(X, LABELS, intercept=True),
    "huber": so.Huber(X, Y, delta=0.5, intercept=True),
}
RULES = {
    "l1": so.L1,
    "twice": lambda alpha: so.Ridged(so.L1(2 * alpha), 0.1),
    "weighted": lambda alpha: so.Weighted(so.L1(alpha), np.linspace(0.5, 2.0, 10)),
    "nonnegative": lambda alpha: so.Nonnegative(so.L1(alpha)),
    "mcp": so.MCP,
    "scad": so.SCAD,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
def test_alpha_max_is_where_zero_stops_being_stationary(loss, rule):
    """By the subdifferential at zero, in numpy: no solver runs."""
    loss, rule = LOSSES[loss], RULES[rule]
    strongest = so.alpha_max(loss, rule(1.0))
    above, below = (
        so.certify(so.Problem(loss, rule(factor * strongest)), np.zeros(10)) for factor in (1 + 1e-9, 1 - 1e-6)
    )
    scale = np.abs(loss.gradient(np.zeros(10))).max()
    assert above.stationarity <= 1e-12 * scale
    assert below.stationarity >= 1e-7 * scale


def test_alpha_max_of_l0_is_where_a_coefficient_pays():
    loss = LOSSES["least squares"]
    strongest = so.alpha_max(loss, so.L0(1.0))
    assert so.solve(so.Problem(loss, so.L0(strongest * (1 + 1e-9)))).support.size == 0
    assert so.solve(so.Problem(loss, so.L0(strongest * (1 - 1e-6)))).support.size == 1


def test_alpha_max_of_a_penalty_that_penalises_nothing_is_zero():
    assert so.alpha_max(LOSSES["least squares"], so.Zero()) == 0.0


def test_alpha_max_says_which_penalties_it_does_not_know():
    class Own(so.Penalty):
        def value(self, w):
            return abs(w)

        def prox(self, v, step):
            return v

    with pytest.raises(TypeError, match=r"alpha_max knows no formula for Own; compute it from loss.gradient\(0\)"):
        so.alpha_max(LOSSES["least squares"], Own())


def test_a_grid_falls_evenly_from_alpha_max():
    grid = so.alpha_grid(LOSSES["least squares"], 5, 1e-2)
    assert grid[0] == pytest.approx(so.alpha_max(LOSSES["least squares"]), rel=1e-15)
    np.testing.assert_allclose(grid[1:] / grid[:-1], 10**-0.5)
    assert so.alpha_grid(LOSSES["sparse"], 7)[-1] == pytest.approx(1e-4 * so.alpha_max(LOSSES["sparse"]))
    for loss in (so.LeastSquares(X.T, np.arange(10.0)), so.Quadratic(np.eye(2), np.ones(2))):
        assert so.alpha_grid(loss)[-1] == pytest.approx(1e-2 * so.alpha_max(loss))
    with pytest.raises(ValueError, match="count must be at least 1"):
        so.alpha_grid(LOSSES["least squares"], 0)
    with pytest.raises(ValueError, match="ratio must be greater than 0"):
        so.alpha_grid(LOSSES["least squares"], 5, 0.0)


def test_a_path_is_scikit_learns():
    loss = so.LeastSquares(X, Y)
    alphas = so.alpha_grid(loss, 12, 1e-3)
    ours = so.path(so.Problem(loss), [so.L1(alpha) for alpha in alphas], tol=1e-10)
    _, theirs, _ = lasso_path(X, Y, alphas=alphas, tol=1e-12, max_iter=100_000)
    # f + g is strongly convex: two points with this gap are no further apart
    modulus = np.linalg.eigvalsh(X.T @ X / 40)[0]
    np.testing.assert_allclose(ours.w, theirs.T, atol=2 * np.sqrt(2e-10 * ours[0].certificate.objective / modulus))


@pytest.mark.parametrize("loss", ["least squares", "logistic"])
def test_each_solution_of_a_path_has_its_own_certificate(loss):
    problem = so.Problem(LOSSES[loss])
    found = so.path(problem, [so.L1(alpha) for alpha in so.alpha_grid(LOSSES[loss], 8)], tol=1e-8)
    assert found[0].support.size == 0
    assert found.largest_gap <= 1e-8
    for solution, term in zip(found, found.terms, strict=True):
        solution.certificate.verify(so.Problem(LOSSES[loss], term))
    objectives = [solution.certificate.objective for solution in found]
    assert objectives == sorted(objectives, reverse=True)


def test_warm_starts_save_work_and_change_no_proof():
    loss = so.LeastSquares(X @ RNG.standard_normal((10, 10)), Y)
    terms = [so.L1(alpha) for alpha in so.alpha_grid(loss, 30)]
    # WorkingSet takes ten features at once, in one iteration from anywhere
    solver = so.CoordinateDescent()
    warm = so.path(so.Problem(loss), terms, solver, tol=1e-8)
    cold = [so.solve(so.Problem(loss, term), solver, tol=1e-8) for term in terms]
    assert sum(solution.iterations for solution in warm) < sum(solution.iterations for solution in cold)
    for one, other in zip(warm, cold, strict=True):
        assert one.certificate.objective == pytest.approx(other.certificate.objective, rel=2e-8)


def test_a_path_of_cardinalities_grows_by_one():
    found = so.path(so.Problem(LOSSES["least squares"]), [so.Cardinality(k) for k in range(4)])
    assert found.support_sizes.tolist() == [0, 1, 2, 3]
    assert found.alphas.tolist() == [0, 1, 2, 3]
    objectives = [solution.certificate.objective for solution in found]
    assert objectives == sorted(objectives, reverse=True)


def test_a_path_keeps_the_constraint_of_its_problem():
    problem = so.Problem(LOSSES["least squares"], constraint=so.Box(0.0, np.inf))
    found = so.path(problem, [so.L1(0.2), so.L1(0.1)])
    assert np.all(found.w >= 0.0)


def test_what_a_path_holds():
    alphas = [0.3, 0.2, 0.1]
    found = so.path(so.Problem(LOSSES["least squares"]), (so.L1(alpha) for alpha in alphas))
    assert len(found) == 3
    assert found.w.shape == (3, 10)
    assert found.alphas.tolist() == alphas
    assert found.intercepts.tolist() == [solution.intercept for solution in found]
    assert found[-1] is found.solutions[2]
    assert [solution.support.size for solution in found] == found.support_sizes.tolist()
    assert repr(found).startswith(
        f"Path(3 solutions, support {found.support_sizes[0]} to {found.support_sizes[-1]}, largest relative gap "
    )


@pytest.mark.parametrize(
    ("term", "strength"),
    [
        (so.Ridged(so.L1(0.3), 1.0), 0.3),
        (so.Nonnegative(so.Ridged(so.L0(0.2), 1.0)), 0.2),
        (so.SCAD(0.1), 0.1),
        (so.Zero(), np.nan),
        (so.Weighted(so.L1(0.3), np.ones(10)), 0.3),
    ],
    ids=lambda part: type(part).__name__,
)
def test_the_strength_of_a_nested_penalty_is_its_innermost(term, strength):
    found = so.path(so.Problem(LOSSES["least squares"]), [term], max_iter=1)
    np.testing.assert_equal(found.alphas, [strength])


def test_the_time_limit_is_for_the_whole_path():
    found = so.path(so.Problem(LOSSES["least squares"]), [so.L1(0.2), so.L1(0.1)], time_limit=0.0)
    assert len(found) == 1
    assert found.terms == (so.L1(0.2),)


def test_wrong_arguments_are_named():
    problem = so.Problem(LOSSES["least squares"])
    with pytest.raises(ValueError, match="penalties is empty; give at least one penalty"):
        so.path(problem, [])
    with pytest.raises(TypeError, match="penalties must hold penalties or constraints, got float"):
        so.path(problem, [0.1])
    with pytest.raises(
        TypeError, match="penalties must be a sequence of penalties or constraints, got L1; put it into a list"
    ):
        so.path(problem, so.L1(0.1))
    with pytest.raises(TypeError, match="problem must be a Problem, got LeastSquares"):
        so.path(problem.loss, [so.L1(0.1)])
