"""Programs that are a loss and a penalty in disguise: the lasso and Huber's regression, as users of ours give them.

What is found is lifted back to the variables and multipliers of the program, so that its residuals are
those of the same program. The hinge loss has no structure of ours: it stays a quadratic program.
"""

import numpy as np

# Part of the absolute residual that is asked of the relative duality gap, which is what these solvers measure.
PART = 1e-3


def is_structured(program):
    """Whether the program is a lasso or Huber's regression, by its name."""
    return _kind(program) in ("lasso", "huber")


def _kind(program):
    return program.name.replace("_", " ").split()[0]


def structured(program, eps):
    """The call and its reading, as those of solvers.py; a ValueError where the program is not one of these."""
    if _kind(program) == "lasso":
        return _lasso(program, eps)
    if _kind(program) == "huber":
        return _huber(program, eps)
    raise ValueError(f"{program.name} has no structure that we know")


def _lasso(program, eps):
    """min curvature |A x - b|^2 / 2 + alpha |x| from rows A x - y = b, x <= t, -x <= t."""
    import sparseopt as so

    n = int(np.count_nonzero(program.q))
    alpha, m = program.q[-1], program.q.size - 2 * n
    curvature = program.P.diagonal()[n]
    A, b = program.A[:m, :n].tocsc(), program.row_upper[:m]

    def call():
        return so.solve(so.Problem(so.LeastSquares(A, b), so.L1(alpha / (curvature * m))), tol=PART * eps)

    def read(solution):
        x = solution.w
        y = A @ x - b
        pull = curvature * y
        slope = -(A.T @ pull)
        multipliers = np.concatenate([pull, np.maximum(slope + alpha, 0.0) / 2, np.minimum(slope - alpha, 0.0) / 2])
        return _is_done(solution), np.concatenate([x, y, np.abs(x)]), multipliers, np.zeros(program.q.size)

    return call, read


def _huber(program, eps):
    """min the sum of curvature z^2 / 2, and of steep |z| beyond delta = steep / curvature, from rows A x - u - r + s = b."""
    import sparseopt as so

    m = program.row_upper.size
    n = program.q.size - 3 * m
    A, b = program.A[:, :n].tocsc(), program.row_upper
    curvature, steep = program.P.diagonal()[n], program.q[-1]
    delta = steep / curvature

    def call():
        return so.solve(so.Problem(so.Huber(A, b, delta=delta)), tol=PART * eps)

    def read(solution):
        x = solution.w
        z = A @ x - b
        u = np.clip(z, -delta, delta)
        found = np.concatenate([x, u, np.maximum(z - delta, 0.0), np.maximum(-z - delta, 0.0)])
        pull = curvature * u
        bounds = np.concatenate([np.zeros(n + m), np.minimum(pull - steep, 0.0), np.minimum(-steep - pull, 0.0)])
        return _is_done(solution), found, pull, bounds

    return call, read


def _is_done(solution):
    return solution.status.name in ("CONVERGED", "STALLED")
