"""One problem against brute force: what a solver may not do, as sentences."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from brute_force import refits

import sparseopt as so
from sparseopt.testing import poisoned

# Seconds of one solve, and the relative gap that it is asked for.
_SECONDS, _TOL = 20.0, 1e-6


@dataclass
class Verdict:
    """What became of one solver on one problem."""

    outcome: str
    faults: list = field(default_factory=list)
    seconds: float = 0.0
    is_best: bool = False


def judge(problem, found, solver):
    """The verdict on a solver, given all refits of the problem."""
    if reason := solver.rejects(problem):
        return Verdict(f"refused: {reason}")
    with poisoned():
        try:
            solution = so.solve(problem, solver, tol=_TOL, time_limit=_SECONDS)
        except so.UnsupportedProblem as refusal:
            return Verdict(f"refused: {refusal}")
        except Exception as fault:  # noqa: BLE001 - whatever it raises is what is looked for
            return Verdict("raised", [f"raised {type(fault).__name__}: {fault}"])
    faults = _faults(problem, found, solution)
    if isinstance(solver, so.BranchAndBound):
        faults += _faults_of_proof(problem, found, solution, is_kept=solver.keep_proof)
    slack = _slack(problem, found)
    is_best = solution.certificate.objective <= found.best + slack + _TOL * solution.certificate.reference
    return Verdict(solution.status.name.lower(), faults, solution.seconds, is_best)


def refits_of(problem):
    """All refits, or None where one of them is not good enough to judge by."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = refits(problem)
    return found if found.worst <= 1e-6 else None


def _slack(problem, found):
    """What the refits and the rounding of the data may be wrong by."""
    loss = problem.loss
    at_zero = abs(loss.evaluate(np.zeros(problem.n_features)))
    # what centring takes off rounds what is left, and so do the parts of a quadratic
    if isinstance(loss, so.Quadratic):
        W, Q = np.abs(found.w), np.abs(loss.Q.to_array())
        raw = float(np.max(W @ np.abs(loss.c) + np.einsum("mj,jk,mk->m", W, Q, W) / 2, initial=0.0))
    else:
        raw = float(np.mean(np.square(loss.y.astype(np.float64))))
    size = max(abs(found.best) if np.isfinite(found.best) else 0.0, at_zero, 1e-5 * raw, 1e-20)
    if problem.dtype == np.float32:
        return 3e-5 * size
    return (1e-9 if isinstance(problem.loss, so.LeastSquares | so.Quadratic | so.MultiResponse) else 1e-7) * size


def _faults(problem, found, solution):
    """What is wrong with any solution, whatever the solver promises."""
    certificate, slack = solution.certificate, _slack(problem, found)
    faults = []
    if not np.all(np.isfinite(solution.w)):
        return ["w is not finite"]
    if certificate.violation > 1e-8:
        faults.append(f"violation {certificate.violation:.3g}")
    elif certificate.objective < found.best - slack:
        faults.append(f"objective {certificate.objective:.12g} is below the optimum {found.best:.12g}")
    if certificate.lower_bound > found.best + slack:
        faults.append(f"bound {certificate.lower_bound:.12g} is above the optimum {found.best:.12g}")
    if certificate.objective != so.certify(problem, solution.w.ravel()).objective:
        faults.append("the objective is not that of w")
    return faults


def _faults_of_proof(problem, found, solution, *, is_kept):
    """What is wrong with a branch and bound: an optimum that is none, a gap that is open, a proof that does not hold."""
    certificate, slack = solution.certificate, _slack(problem, found)
    faults = []
    if solution.status is so.Status.CONVERGED:
        if certificate.objective > found.best + _TOL * certificate.reference + slack:
            faults.append(f"converged at {certificate.objective:.12g}, but the optimum is {found.best:.12g}")
        # a perfect fit ends at the rounding of what was to be fitted
        # and the logarithms of targets in single precision are no better than these
        goal = 1.01 * _TOL + (2e-7 if problem.dtype == np.float32 else 0.0)
        if not (certificate.relative_gap <= goal or certificate.gap <= 1e-6 * slack):
            faults.append(f"converged with a relative gap of {certificate.relative_gap:.3g}")
    if is_kept and certificate.proof == "bound":
        try:
            certificate.verify(problem)
        except so.CertificateError as refusal:
            faults.append(f"verify: {refusal}")
    return faults
