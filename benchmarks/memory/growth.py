"""Growth of a process's peak memory over one solve, printed as JSON."""

import json
import resource
import sys

import numpy as np
import scipy.linalg  # noqa: F401 (loaded by some solvers when they need it: code, not data)
import sparseopt as so
from scipy import sparse

from benchmarks.combinations import loss_of, penalty_of


def peak():
    """Largest resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def problem(solver, loss, penalty, intercept, X, score):
    """The problem that this solver is measured on, at a tenth of the alpha that makes it zero where it has one."""
    term = loss_of(loss, X, score, **({"intercept": True} if intercept else {}))
    if solver == "HardThresholding":
        return so.Problem(term, constraint=so.Cardinality(10))
    p = X.shape[1]
    if penalty == "TrendFiltering":
        return so.Problem(term, penalty_of(penalty, np.abs(X.T @ score).max() / (10 * score.size), p))
    largest = so.alpha_max(term, penalty_of(penalty, 1.0, p))
    return so.Problem(term, penalty_of(penalty, largest / 5, p))


def normal(storage, n, p):
    """X, filled so that nothing else of its size ever exists, and a score of the samples."""
    rng = np.random.default_rng(0)
    if storage == "CSC":
        # one entry in ten
        starts = np.arange(p + 1, dtype=np.int32) * (n // 10)
        rows = np.concatenate([np.arange(j % 10, n, 10, dtype=np.int32)[: n // 10] for j in range(p)])
        X = sparse.csc_array((rng.standard_normal(rows.size), rows, starts), shape=(n, p))
    else:
        X = np.empty((n, p), order="F")
        for j in range(p):
            X[:, j] = rng.standard_normal(n)
    return X, X[:, :10].sum(axis=1) + rng.standard_normal(n)


def size_of(X):
    """Bytes of X."""
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sparse.issparse(X) else X.nbytes


def main(solver, loss, penalty, storage, intercept, n, p):
    """Solve a small problem, which loads all code, then the large one."""
    method = getattr(so, solver)()
    so.solve(problem(solver, loss, penalty, intercept == "True", *normal(storage, 60, 20)), method)
    X, score = normal(storage, int(n), int(p))
    before = peak()
    solution = so.solve(problem(solver, loss, penalty, intercept == "True", X, score), method)
    print(json.dumps({"growth": peak() - before, "X": size_of(X), "status": solution.status.name}))
