"""Laws of solvers, on problems of all kinds that they take."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.certificate import certify
from sparseopt.constraints import (
    Box,
    Cardinality,
    LinearConstraint,
    Simplex,
)
from sparseopt.losses import Cox, LeastSquares, Logistic, Multinomial, MultiResponse, Quadratic
from sparseopt.penalties import L1, MCP, GroupLasso, GroupMCP, Ridged
from sparseopt.problem import Problem
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solve import solve
from sparseopt.testing.comparisons import bytes_of


def check_solver(solver, problems=None, *, tol=1e-6) -> None:
    """Check that a solver refuses in words or solves, and leaves everything that it was lent.

    Parameters
    ----------
    solver : Solver
    problems : iterable of Problem, optional
        By default one of each kind that the package knows, so that some should be refused.
    tol : float, default 1e-6
        What the solver is asked to reach.

    Raises
    ------
    AssertionError
        With the problem and what failed on it.
    """
    parameters = getattr(type(solver), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise AssertionError(f"{type(solver).__name__} is not frozen; decorate the class with @dataclass(frozen=True).")
    problems = _problems() if problems is None else list(problems)
    taken = [problem for problem in problems if _is_taken(solver, problem)]
    if not taken:
        raise AssertionError(f"{solver!r} refuses all {len(problems)} problems; pass one that it takes.")
    for problem in taken:
        _check_run(solver, problem, tol)


def _problems():
    random = np.random.default_rng(0)
    X = random.standard_normal((40, 10))
    w = np.zeros(10)
    w[:3] = 1.0, -0.5, 0.25
    y = X @ w + 0.1 * random.standard_normal(40)
    sparse_X = sparse.csc_array(np.where(np.abs(X) > 0.5, X, 0.0))
    quadratic = Quadratic(X.T @ X / 40, -X.T @ y / 40)
    # under a penalty that is flat far from zero, labels that a plane separates have no minimiser
    inseparable = y + random.standard_normal(40) > 0
    return [
        Problem(LeastSquares(X, y), L1(0.1)),
        Problem(LeastSquares(X.astype(np.float32), y), L1(0.1)),
        Problem(LeastSquares(sparse_X, y, intercept=True), Ridged(L1(0.05), 0.1)),
        Problem(Logistic(X, y > 0, intercept=True), L1(0.05)),
        Problem(LeastSquares(X, y), MCP(0.1)),
        Problem(MultiResponse(X, np.column_stack([y, X[:, 3]]), intercept=True), L1(0.1)),
        Problem(Multinomial(X, y > 0), L1(0.05)),
        Problem(Cox(X, np.exp(-y), y < 1), L1(0.05)),
        Problem(LeastSquares(sparse_X, y, intercept=True), GroupLasso(0.1, 2)),
        Problem(Logistic(X, inseparable), GroupMCP(0.05, 5)),
        Problem(quadratic, L1(0.01), Box(-0.4, 0.4)),
        Problem(LeastSquares(X, y), constraint=Simplex()),
        Problem(LeastSquares(X, y), constraint=Cardinality(3)),
        Problem(quadratic, constraint=LinearConstraint(np.ones((1, 10)), 1.0, 1.0)),
    ]


def _is_taken(solver, problem):
    reason = solver.rejects(problem)
    if reason is None:
        return True
    if not (isinstance(reason, str) and len(reason.split()) >= 3):
        raise AssertionError(f"{solver!r} refuses {problem!r} with {reason!r}; give the reason in words.")
    try:
        solve(problem, solver)
    except UnsupportedProblem as refusal:
        if reason not in str(refusal):
            raise AssertionError(
                f"{solver!r} refuses {problem!r} with {reason!r}, but solve says {refusal}."
            ) from refusal
    return False


def _check_run(solver, problem, tol):
    name = f"{solver!r} on {problem!r}"
    p = problem.n_features
    lent, w0 = bytes_of(problem), np.zeros(p)
    if problem.constraint is None:
        w0[::2] = 0.5
    spread = np.zeros(2 * p)[::2]
    spread[:] = w0
    w0.flags.writeable = False
    solution = solve(problem, solver, w0, tol=tol)
    if bytes_of(problem) != lent:
        raise AssertionError(f"{name}: the run changed the problem's data.")
    if solution.status is not Status.CONVERGED:
        raise AssertionError(f"{name}: {solution!r}; {solution.status.value}")
    for way, start in (("the same start", w0), ("a strided start", spread), ("a float32 start", w0.astype(np.float32))):
        again = solve(problem, solver, start, tol=tol)
        if again.w.tobytes() != solution.w.tobytes():
            raise AssertionError(
                f"{name}: {way} ends {np.abs(again.w - solution.w).max():g} away from the first run; runs must repeat to the byte."
            )
    if (
        solution.w.dtype != problem.dtype
        or not np.all(np.isfinite(solution.w))
        or np.any((solution.w == 0.0) & np.signbit(solution.w))
    ):
        raise AssertionError(f"{name}: w must be finite {problem.dtype} without -0.0, got {solution.w}.")
    _check_certificate(name, problem, solution, tol)
    short = solve(problem, solver, w0, tol=0.0, max_iter=1)
    if short.iterations > 1:
        raise AssertionError(f"{name}: {short.iterations} iterations were made where one was allowed.")


def _check_certificate(name, problem, solution, tol):
    found = solution.certificate
    again = certify(
        problem,
        solution.w,
        lower_bound=found.lower_bound if found.proof == "bound" else -np.inf,
        duals=solution.duals,
        ray=found.ray,
    )
    if (again.objective, again.lower_bound, again.violation) != (found.objective, found.lower_bound, found.violation):
        raise AssertionError(f"{name}: the certificate {found!r} is not that of the returned w, {again!r}.")
    if found.violation > tol:
        raise AssertionError(f"{name}: w violates the constraint by {found.violation:g}.")
    if found.proof == "duality" and not found.relative_gap <= tol:
        raise AssertionError(
            f"{name}: the relative gap {found.relative_gap:g} exceeds {tol:g} although the run converged."
        )
    if needs_multipliers(problem) and found.proof == "kkt" and not found.dual_residual <= tol:
        raise AssertionError(
            f"{name}: the dual residual {found.dual_residual:g} exceeds {tol:g} although the run converged."
        )
