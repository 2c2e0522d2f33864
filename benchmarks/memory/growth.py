"""Growth of a process's peak memory over one solve of a dense problem, printed as JSON."""

import json
import resource
import sys

import numpy as np
import scipy.linalg  # noqa: F401 (loaded by some solvers when they need it: code, not data)
import sparseopt as so


def peak():
    """Largest resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def problem(solver, loss, intercept, X, y):
    """The problem that this solver is measured on."""
    term = getattr(so, loss)(X, np.sign(y) if loss == "Logistic" else y, intercept=intercept)
    if solver == "HardThresholding":
        return so.Problem(term, constraint=so.Cardinality(10))
    return so.Problem(term, so.L1(so.alpha_max(term) / 5))


def normal(n, p):
    """A Fortran-ordered X, filled column by column so that nothing else of its size ever exists, and y."""
    rng = np.random.default_rng(0)
    X = np.empty((n, p), order="F")
    for j in range(p):
        X[:, j] = rng.standard_normal(n)
    return X, X[:, :10].sum(axis=1) + rng.standard_normal(n)


def main(solver, loss, intercept, n, p):
    """Solve a small problem, which loads all code, then the large one."""
    method = getattr(so, solver)()
    so.solve(problem(solver, loss, intercept == "True", *normal(60, 20)), method)
    X, y = normal(int(n), int(p))
    before = peak()
    solution = so.solve(problem(solver, loss, intercept == "True", X, y), method)
    print(json.dumps({"growth": peak() - before, "X": X.nbytes, "status": solution.status.name}))
