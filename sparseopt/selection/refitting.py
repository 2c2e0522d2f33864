"""A second fit on the supports of a path: what a penalty has shrunk takes its full size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.constraints import Box
from sparseopt.path import Path
from sparseopt.penalties import Zero
from sparseopt.problem import Problem
from sparseopt.solve import solve


def refitted(path, loss, *, penalty=None, tol=1e-8, max_iter=10_000) -> Path:
    """The same supports, with the coefficients that are best on each without the penalty that chose it.

    The relaxed lasso at its end (Meinshausen, 2007), or the subsets of a ridged search without their ridge. Each
    solution is certified for what it is: the best with the other coefficients at zero.

    Parameters
    ----------
    path : Path
        Of a problem with this loss.
    loss : Loss
    penalty : Penalty, default Zero()
        A convex penalty that stays, as a little ridge where columns repeat each other.
    tol, max_iter
        As in `solve`, for each support.

    Returns
    -------
    Path
        With the penalties or constraints of `path`.
    """
    if not isinstance(path, Path):
        raise TypeError(f"path must be a Path, got {type(path).__name__}; give the result of sparseopt.path.")
    if path[0].w.shape != loss.shape:
        raise ValueError(f"path has coefficients of shape {path[0].w.shape}, and loss of {loss.shape}; give its loss.")
    penalty, known = Zero() if penalty is None else penalty, {}
    for solution in path:
        support = solution.w.ravel() != 0.0
        key = support.tobytes()
        if key not in known:
            box = Box(np.where(support, -np.inf, 0.0), np.where(support, np.inf, 0.0))
            known[key] = solve(Problem(loss, penalty, box), w0=solution.w, tol=tol, max_iter=max_iter)
    solutions = tuple(known[(solution.w.ravel() != 0.0).tobytes()] for solution in path)
    null = loss.evaluate(np.zeros(loss.n_features))
    fits = np.array([loss.evaluate(solution.w.ravel().astype(np.float64)) for solution in solutions])
    return replace(path, solutions=solutions, explained=1.0 - fits / null if null > 0.0 else np.zeros(len(path)))
