"""Which solver takes which problem, and what is proven of its result: a refusal is a result, too."""

from functools import cache

import cases
import numpy as np
import pytest

import sparseopt as so

# One letter a solver, in this order: d duality, k KKT residuals, s stationarity, - refused.
SOLVERS = (
    so.CoordinateDescent(),
    so.ProximalGradient(),
    so.HardThresholding(),
    so.OperatorSplitting(),
    so.BlockDescent(),
    so.ProxNewton(),
    so.WorkingSet(),
    so.RowDescent(),
    so.CoupledNewton(),
    so.SlopeWorkingSet(),
    so.TiedNewton(),
    so.Splitting(),
    so.GramDescent(),
    so.LocalSearch(),
    so.OrthogonalMatchingPursuit(),
    so.Splicing(),
    so.ActiveSet(),
    so.InteriorPoint(),
    so.ConstrainedWorkingSet(),
    so.MonotoneWorkingSet(),
    so.AugmentedLagrangian(),
)
TABLE = {
    "lasso": "dd-d--d----dd---dd--d",
    "sparse lasso": "dd-d--d----d----dd--d",
    "elastic net": "dd-d--d----dd---dd--d",
    "logistic": "dd---d-----d--------d",
    "poisson": "dd---d--------------d",
    "gamma with MCP": "ss---s--------------s",
    "squared hinge": "dd---d-----d--------d",
    "smoothed quantile": "dd---d-----d--------d",
    "poisson subset": "--s----------sss----s",
    "quadratic in a box": "dd-d------------dd--d",
    "L0": "ss----s------s------s",
    "L0 in a box": "-------------s------s",
    "simplex": "-d-d------d-----dd--d",
    "L1 on the simplex": "---k------------kkk-k",
    "L1 ball": "-d--------d---------d",
    "subset": "--s----------sss----s",
    "ridged subset": "--s----------sss----s",
    "rows": "---k------------kkk-k",
    "rows and box": "---k------------kkk-k",
    "group lasso": "-d--d-----dd--------d",
    "logistic on groups": "-d--d-----dd--------d",
    "group MCP": "-s--s---------------s",
    "responses": "dd-----dd-----------d",
    "rows of responses": "-d-----dd-----------d",
    "multinomial": "dd------d-----------d",
    "rows of classes": "-d------d-----------d",
    "cox": "dd------d-----------d",
    "cox with MCP": "ss------s-----------s",
    "classes of a subset": "--s-----------ss----s",
    "logistic on rows": "--------------------k",
    "SLOPE": "-d-------ddd--------d",
    "fused lasso": "-d--------dd--------d",
    "worst of groups": "---------------------",
    "trend": "-----------d---------",
}
PROOFS = {"d": "duality", "k": "kkt", "s": "stationarity"}


@cache
def solved(name, solver):
    """Shared between the tests, which look at it and at what others found."""
    return so.solve(cases.PROBLEMS[name], solver)


def test_the_table_has_all_problems():
    assert TABLE.keys() == cases.PROBLEMS.keys()


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_a_solver_takes_a_problem_or_says_why_not(solver, name):
    problem, expected = cases.PROBLEMS[name], TABLE[name][SOLVERS.index(solver)]
    if expected == "-":
        with pytest.raises(so.UnsupportedProblem, match=type(solver).__name__):
            so.solve(problem, solver)
        return
    solution = solved(name, solver)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == PROOFS[expected]
    assert solution.certificate.violation <= 1e-6
    if expected == "d":
        assert abs(solution.certificate.relative_gap) <= 1e-6
    if expected == "k":
        assert solution.certificate.dual_residual <= 1e-6


@pytest.mark.parametrize("name", TABLE)
def test_no_bound_is_above_what_another_solver_finds(name):
    """So all duality gaps measure the same thing; and a certificate is a matter of the point, not of the solver."""
    problem = cases.PROBLEMS[name]
    solutions = [solved(name, solver) for solver, proof in zip(SOLVERS, TABLE[name], strict=True) if proof == "d"]
    objectives = [solution.certificate.objective for solution in solutions]
    for solution in solutions:
        there = so.certify(problem, solution.w, duals=solution.duals)
        assert there.objective == solution.certificate.objective
        assert there.lower_bound == pytest.approx(solution.certificate.lower_bound, rel=1e-12)
        assert there.lower_bound <= min(objectives) + 1e-12 * abs(min(objectives))
        assert there.objective - min(objectives) <= 2e-6 * abs(there.objective)


@pytest.mark.parametrize("name", ["lasso", "quadratic in a box", "simplex"])
def test_solvers_agree(name):
    """Each objective lies within its gap of the optimum."""
    problem = cases.PROBLEMS[name]
    objectives = [
        so.solve(problem, solver, tol=1e-8).certificate.objective
        for solver in SOLVERS
        if solver.rejects(problem) is None
    ]
    assert len(objectives) >= 2
    assert max(objectives) - min(objectives) <= 2e-8 * abs(max(objectives))


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if "d" in row])
def test_a_start_far_out_does_no_harm(name):
    """There the losses with linear tails have no curvature, and others are beyond all numbers."""
    problem = cases.PROBLEMS[name]
    random = np.random.default_rng(0)
    for size in (1e3, 1e9):
        solution = so.solve(problem, w0=size * random.standard_normal(problem.n_features))
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.violation <= 1e-6
        assert abs(solution.certificate.relative_gap) <= 1e-6
