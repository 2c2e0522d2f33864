"""The first solves of one combination of solver, loss, penalty and storage, as a new process sees them.

Each case returns a function that builds the problem and solves it. The libraries are imported
here by the case alone, so that their import is on no clock but that of the imports.
"""

import json
from functools import partial

import numpy as np
from scipy import sparse

from benchmarks.measure import cpu_seconds

LATER = 20


def data(storage):
    """A small problem: its solution costs nothing, so that what is left is the machinery."""
    kind, dtype = storage.split()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 50))
    score = X[:, :5].sum(axis=1) + rng.standard_normal(100)
    if kind == "CSC":
        X[np.abs(X) < 1] = 0
        return sparse.csc_array(X.astype(dtype)), score
    return np.asfortranarray(X.astype(dtype)), score


def ours(solvers, loss, penalty, storages):
    """Our solvers, one after another on each storage that they take, so that a whole back-end is compiled."""
    calls = [
        _ours(solver, loss, penalty, storage)
        for storage in storages.split(" and ")
        for solver in solvers.split(", ")
        if solver != "ActiveSet" or storage.startswith("dense")
    ]

    def call():
        for one in calls:
            one()

    return call


def _ours(solver, loss, penalty, storage):
    """One of our solvers; the solver "path" is a path of ten alphas."""
    import sparseopt as so

    from benchmarks.combinations import loss_of, penalty_of

    row = so.LinearConstraint(np.ones((1, 50)), 0.0, 1.0)
    constraints = {
        "Cardinality": so.Cardinality(5),
        "Simplex": so.Simplex(),
        "rows and box": so.Intersection(row, so.Box(-1.0, 1.0)),
        "L1, rows": row,
    }
    loss, _, intercept = loss.partition(" + ")
    X, score = data(storage)
    options = {"intercept": True} if intercept else {}

    def call():
        term = penalty_of(penalty.removesuffix(", rows"), 0.1, X.shape[1])
        made = _quadratic(X, score) if loss == "Quadratic" else loss_of(loss, X, score, **options)
        problem = so.Problem(made, term or so.Zero(), constraints.get(penalty))
        if solver == "path":
            alphas = np.geomspace(1.0, 0.1, 10)
            so.path(problem, [penalty_of(penalty, alpha, X.shape[1]) for alpha in alphas], tol=1e-4)
        else:
            so.solve(problem, getattr(so, solver)(), tol=1e-4)

    return call


def _quadratic(X, score):
    """The quadratic of X, or one with three entries a row for sparse data, whose square would be full."""
    import sparseopt as so

    p = X.shape[1]
    if sparse.issparse(X):
        bands = [np.full(p - 1, -1.0), np.full(p, 2.5), np.full(p - 1, -1.0)]
        return so.Quadratic(sparse.diags_array(bands, offsets=[-1, 0, 1]).tocsc(), X.T @ score)
    return so.Quadratic(X.T @ X, -(X.T @ score))


def skglm(solver, loss, penalty, storage):
    """One of skglm's solvers, called without its estimators, which would add to its time."""
    from skglm import datafits, penalties, solvers

    X, score = data(storage)
    y = np.sign(score) if loss == "Logistic" else score
    X = sparse.csc_matrix(X) if sparse.issparse(X) else X
    datafit = {"LeastSquares": datafits.Quadratic, "Logistic": datafits.Logistic}[loss]
    term = {"L1": partial(penalties.L1, 0.1), "MCP": partial(penalties.MCPenalty, 0.1, 3.0)}[penalty]
    options = {} if solver == "FISTA" else {"fit_intercept": False}

    def call():
        getattr(solvers, solver)(tol=1e-4, **options).solve(X, y, datafit(), term())

    return call


def sklearn(_solver, _loss, _penalty, storage):
    """scikit-learn's lasso, compiled ahead of time."""
    from sklearn.linear_model import Lasso

    X, y = data(storage)

    def call():
        Lasso(alpha=0.1, fit_intercept=False, tol=1e-4).fit(X, y)

    return call


def numba(_solver, _loss, _penalty, _storage):
    """A sum of three numbers, compiled and cached by numba itself: what it asks for at its own start."""
    from benchmarks.latency.trivial import total

    return partial(total, np.ones(3))


LIBRARIES = {"sparseopt": ours, "skglm": skglm, "scikit-learn": sklearn, "numba": numba}


def main(library, *combination):
    """Print the CPU seconds of the first and second call, and of the fastest later one."""
    call = LIBRARIES[library](*combination)
    first, second = cpu_seconds(call), cpu_seconds(call)
    later = min(cpu_seconds(call) for _ in range(LATER))
    print(json.dumps({"first": first, "second": second, "later": later}))
