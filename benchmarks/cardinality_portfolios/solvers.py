"""Solvers of portfolios with at most k assets: ours, and SCIP with the model that its users write.

HiGHS solves mixed-integer programs that are linear, and knows no quadratic objective beside integers.
"""

import numpy as np
import sparseopt as so

from benchmarks.measure import cpu_seconds


def ours(portfolio, gap, seconds):
    """Branch and bound."""
    found = []
    took = cpu_seconds(
        lambda: found.append(so.solve(portfolio.problem, so.BranchAndBound(), tol=gap, time_limit=seconds))
    )
    solution = found[0]
    return {
        "seconds": took, "solved": solution.status is so.Status.CONVERGED, "nodes": solution.iterations,
        **portfolio.graded(solution.w, solution.certificate.lower_bound),
    }  # fmt: skip


def _scip(portfolio, gap, seconds, moved):
    import pyscipopt as peer

    # its tolerances are absolute: risks are scaled until the objective is near one
    scale = 10.0 / float(np.mean(portfolio.Q.diagonal()))
    n, k, (lower, upper) = portfolio.mu.size, portfolio.k, (portfolio.lower, portfolio.upper)
    model = peer.Model()
    model.hideOutput()
    for name, value in (
        ("limits/gap", 0.999 * gap), ("limits/time", seconds), ("timing/clocktype", 1), ("parallel/maxnthreads", 1),
    ):  # fmt: skip
        model.setParam(name, value)
    w = [model.addVar(lb=min(lower, 0.0), ub=upper) for _ in range(n)]
    z = [model.addVar(vtype="B") for _ in range(n)]
    for wj, zj in zip(w, z, strict=True):
        model.addCons(wj <= upper * zj)
        if lower:
            model.addCons(wj >= lower * zj)
    model.addCons(peer.quicksum(z) <= k)
    model.addCons(peer.quicksum(w) == 1.0)
    model.addCons(peer.quicksum(float(m) * wj for m, wj in zip(portfolio.mu, w, strict=True)) >= portfolio.target)
    R = 0.5 * scale * (portfolio.Q - np.diag(moved))
    risk = model.addVar(lb=None)
    terms = [float(R[i, j]) * w[i] * w[j] for i in range(n) for j in range(n) if R[i, j]]
    model.addCons(peer.quicksum(terms) <= risk)
    rest = 0.0
    if moved.any():
        own = [model.addVar(lb=0.0) for _ in range(n)]
        for wj, zj, sj in zip(w, z, own, strict=True):
            model.addCons(wj * wj <= sj * zj)
        rest = peer.quicksum(0.5 * scale * float(d) * sj for d, sj in zip(moved, own, strict=True))
    model.setObjective(risk + rest)
    took = cpu_seconds(model.optimize)
    found = np.array([model.getVal(wj) for wj in w]) if model.getNSols() else np.zeros(n)
    return {
        "seconds": took, "solved": model.getStatus() in ("optimal", "gaplimit"), "nodes": model.getNNodes(),
        **portfolio.graded(found, model.getDualbound() / scale),
    }  # fmt: skip


def scip(portfolio, gap, seconds):
    """SCIP, with binaries and w <= upper z."""
    return _scip(portfolio, gap, seconds, np.zeros_like(portfolio.mu))


def scip_perspective(portfolio, gap, seconds):
    """SCIP, with the perspective of the least eigenvalue, scaled to the variances, as cones."""
    root = np.sqrt(portfolio.Q.diagonal())
    least = np.linalg.eigvalsh(portfolio.Q / root[:, None] / root)[0]
    return _scip(portfolio, gap, seconds, 0.999 * max(least, 0.0) * root**2)


SOLVERS = {"sparseopt": ours, "SCIP": scip, "SCIP perspective": scip_perspective}
