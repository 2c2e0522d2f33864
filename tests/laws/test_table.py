"""Which solver takes which problem, and what is proven of its result: a refusal is a result, too."""

import cases
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
)
TABLE = {
    "lasso": "dd-d--",
    "sparse lasso": "dd-d--",
    "elastic net": "dd-d--",
    "logistic": "dd---d",
    "poisson": "dd---d",
    "gamma with MCP": "ss---s",
    "squared hinge": "dd---d",
    "smoothed quantile": "dd---d",
    "poisson subset": "--s---",
    "quadratic in a box": "dd-d--",
    "L0": "ss----",
    "L0 in a box": "------",
    "simplex": "-d-d--",
    "L1 on the simplex": "---k--",
    "L1 ball": "-d----",
    "subset": "--s---",
    "ridged subset": "--s---",
    "rows": "---k--",
    "rows and box": "---k--",
    "group lasso": "-d--d-",
    "logistic on groups": "-d--d-",
    "group MCP": "-s--s-",
    "responses": "dd----",
    "rows of responses": "-d----",
    "multinomial": "dd----",
    "rows of classes": "-d----",
    "cox": "dd----",
    "cox with MCP": "ss----",
    "classes of a subset": "--s---",
    "logistic on rows": "------",
    "SLOPE": "-d----",
    "fused lasso": "-d----",
    "trend": "------",
}
PROOFS = {"d": "duality", "k": "kkt", "s": "stationarity"}


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
    solution = so.solve(problem, solver)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == PROOFS[expected]
    assert solution.certificate.violation <= 1e-6
    if expected == "d":
        assert abs(solution.certificate.relative_gap) <= 1e-6
    if expected == "k":
        assert solution.certificate.dual_residual <= 1e-6


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
